"""Full clients: pymediasoup on aiortc, with codecs, ICE and DTLS of their own, driven from Trio.

To the gateway they are like browsers.  aiortc runs in an asyncio loop beside Trio's (:mod:`tools.full.bridge`).
:mod:`protocol.client` does the signalling.  Full clients reach only gateways on this machine, because their ICE gathers
no other addresses than those of loopback.
"""

from tools.full.client import DecodedStream, FullClient, open_full_client
from tools.full.meters import DecodedAudio, DecodedVideo
from tools.full.tracks import MovingPattern, Tone

__all__ = ["DecodedAudio", "DecodedStream", "DecodedVideo", "FullClient", "MovingPattern", "Tone", "open_full_client"]
