"""The media side: packets, transports, producers and consumers.

It knows nothing of channels, users or WebSockets.  :func:`open_port` binds the one UDP port, :func:`open_peer` is one
client's media for as long as a block runs.
"""

from sfu.consumer import Consumer
from sfu.hostnames import BadAddress
from sfu.listening import BadAnnouncement
from sfu.observer import PeerObserver
from sfu.peer import Peer, PeerExit, open_peer
from sfu.producer import Producer
from sfu.router import Census, Port, open_port, serve_port
from sfu.settings import ConsumerEnd, MediaSettings, TransportState
from sfu.startup import rehearse_call, rehearse_handshake
from sfu.transport import Transport

__all__ = [
    "BadAddress",
    "BadAnnouncement",
    "Census",
    "Consumer",
    "ConsumerEnd",
    "MediaSettings",
    "Peer",
    "PeerExit",
    "PeerObserver",
    "Port",
    "Producer",
    "Transport",
    "TransportState",
    "open_peer",
    "open_port",
    "rehearse_call",
    "rehearse_handshake",
    "serve_port",
]
