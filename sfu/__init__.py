"""The media side: packets, transports, producers and consumers.

It knows nothing of channels, users or WebSockets.  :func:`open_router` binds the one UDP port of a router.
:func:`open_peer` opens one client's media for as long as a block runs.
"""

from sfu.closing import PeerExit
from sfu.consumer import Consumer
from sfu.context import RouterContext
from sfu.directory import RouterCounts
from sfu.guard import Guard
from sfu.hostnames import BadAddress
from sfu.listening import BadAnnouncement
from sfu.measurements import PeerMeasurement, measure_peers, read_voices
from sfu.observer import PeerObserver
from sfu.peer import Peer, open_peer
from sfu.producer import Producer
from sfu.router import Router, open_router, serve_router
from sfu.settings import ConsumerEndReason, MediaSettings, TransportState
from sfu.startup import self_test, warm_up
from sfu.streams import StreamRefusal
from sfu.transport import Transport

__all__ = [
    "BadAddress",
    "BadAnnouncement",
    "Consumer",
    "ConsumerEndReason",
    "Guard",
    "MediaSettings",
    "Peer",
    "PeerExit",
    "PeerMeasurement",
    "PeerObserver",
    "Producer",
    "Router",
    "RouterContext",
    "RouterCounts",
    "StreamRefusal",
    "Transport",
    "TransportState",
    "measure_peers",
    "open_peer",
    "open_router",
    "read_voices",
    "self_test",
    "serve_router",
    "warm_up",
]
