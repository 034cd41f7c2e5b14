"""pymediasoup on aiortc, with the client of ``tools.full``."""
