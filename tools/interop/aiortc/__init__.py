"""pymediasoup on aiortc, which ``tools.full`` has made a client of."""
