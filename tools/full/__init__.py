"""Full clients: pymediasoup on aiortc, with codecs, ICE and DTLS of their own, driven from Trio.

To the gateway they are like browsers.  aiortc runs in an asyncio loop beside Trio's (:mod:`tools.full.bridge`);
:mod:`protocol.client` does the signalling.  They reach gateways on this machine only, since their ICE gathers loopback
addresses alone.
"""

from tools.full.client import DecodedStream, FullClient, open_full_client
from tools.full.meters import DecodedAudio, DecodedVideo
from tools.full.tracks import MovingPattern, Tone

__all__ = ["DecodedAudio", "DecodedStream", "DecodedVideo", "FullClient", "MovingPattern", "Tone", "open_full_client"]
