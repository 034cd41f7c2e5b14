"""Full clients: pymediasoup on aiortc, with codecs, ICE and DTLS of their own, driven from Trio.

They are to the gateway what a browser is, in Python: tests and tools call with them.  aiortc runs on asyncio, in a
loop beside Trio's (:mod:`tools.full.bridge`); signalling goes over :mod:`protocol.client`.  For gateways on this
machine: their ICE knows loopback addresses alone.
"""

from tools.full.client import FullClient, Reception, open_full_client
from tools.full.meters import Heard, Seen
from tools.full.tracks import Pattern, Tone

__all__ = ["FullClient", "Heard", "Pattern", "Reception", "Seen", "Tone", "open_full_client"]
