"""DTLS 1.2 for one transport, in either role, under the caller's clock (RFC 6347, RFC 5764)."""

import enum
from collections.abc import Sequence

from attrs import frozen

from sfu.parameters import DtlsFingerprint
from sfu.wire.certificate import Certificate
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


class DtlsContext:
    """What all connections with one certificate share; make it once."""

    def __init__(self, certificate: Certificate) -> None:
        raise NotImplementedError


class Dtls:
    """One DTLS association.

    Each call may leave datagrams and events: take them by :meth:`datagrams_to_send` and :meth:`next_event`, and ask
    :meth:`get_timer` again.
    """

    def __init__(self, context: DtlsContext, role: DtlsRole, fingerprints: Sequence[DtlsFingerprint]) -> None:
        """``fingerprints`` are the peer's; raises ``ValueError`` when there is none that we can check."""
        raise NotImplementedError

    @property
    def state(self) -> DtlsState:
        raise NotImplementedError

    def start(self, now: float) -> None:
        """Send the first flight (client), or be ready for it (server).  Once, before anything else."""
        raise NotImplementedError

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a datagram of the peer.

        Raises ``BadDatagram`` where nothing in it can be DTLS of this association; that changes nothing.
        """
        raise NotImplementedError

    def get_timer(self) -> float | None:
        """When to call :meth:`handle_timer`, in the seconds of ``now``; None: not at all."""
        raise NotImplementedError

    def handle_timer(self, now: float) -> None:
        """Resend the flight that was not answered (RFC 6347 section 4.2.4).  Does nothing before its time."""
        raise NotImplementedError

    def datagrams_to_send(self) -> list[bytes]:
        """What has to be sent now, in order; each at most 1,200 bytes.  Taking them forgets them."""
        raise NotImplementedError

    def next_event(self) -> DtlsEvent | None:
        raise NotImplementedError

    def close(self) -> None:
        """End it; leaves a close_notify to be sent where there is a connection.  Twice does nothing."""
        raise NotImplementedError
