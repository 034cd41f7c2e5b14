"""What becomes of a DTLS association, and who of the two we are."""

import enum

from attrs import frozen

from sfu.wire.srtp import SrtpKeys


class DtlsRole(enum.Enum):
    """Our own role; the client speaks first."""

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
    """The handshake is done and the peer's certificate is the expected one."""

    keys: SrtpKeys


@frozen
class DtlsFailed:
    """The handshake will not succeed; ``reason`` is for the log.  An alert for the peer may wait to be sent."""

    reason: str


@frozen
class DtlsClosed:
    """The peer ended the connection: close_notify, or a fatal alert after the handshake."""

    reason: str


DtlsEvent = DtlsConnected | DtlsFailed | DtlsClosed
