"""The events of a DTLS association, its states, and our role."""

import enum

from attrs import frozen

from sfu.wire.srtp import SrtpKeys


class DtlsRole(enum.Enum):
    """Our own role.  The client speaks first."""

    CLIENT = "client"
    SERVER = "server"


class DtlsState(enum.Enum):
    NEW = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    FAILED = enum.auto()
    CLOSED = enum.auto()


@frozen
class DtlsConnected:
    """The handshake is done, and the peer's certificate has the expected fingerprint.

    ``round_trip`` is the time from our last but one flight to its answer, in seconds.  It is longer than the network's
    round trip if datagrams were lost.
    """

    keys: SrtpKeys
    round_trip: float


@frozen
class DtlsFailed:
    """The handshake failed; ``reason`` is for the log.  An alert for the peer may be waiting to be sent."""

    reason: str


@frozen
class DtlsClosed:
    """The peer ended the connection, by a close_notify or by a fatal alert after the handshake."""

    reason: str


DtlsEvent = DtlsConnected | DtlsFailed | DtlsClosed
