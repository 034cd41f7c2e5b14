"""Bounds and addresses of the media side.  Times are in seconds."""

import enum

from attrs import frozen

from sfu.parameters import MediaKind


@frozen
class MediaSettings:
    """How a port listens and what its peers may have.

    ``hosts`` are the addresses to bind, IPv4 and IPv6, or names of them; a wildcard stands for each address of the
    machine, None for loopback and one interface address.  ``port`` is one UDP port for everybody, 0 picks a free one.
    ``announce`` replaces the addresses told to clients, for a machine behind NAT; names in it are looked up again every
    ``name_interval``, each for ``name_timeout`` at most.  Every ``address_interval`` it is seen which addresses of the
    machine came and went.

    ``handshake_timeout`` runs from ``connect`` to the end of the DTLS handshake.  A connected transport is
    *disconnected* after ``disconnected_after`` without a sign of life (clients send a STUN binding every 2.5 to 6 s,
    or media, or reports about what they get), and closed after ``silence_timeout`` without an authentic one, which is
    how long consent to send lasts (RFC 7675 section 5.1).  ``courtesy_timeout`` bounds one resource's goodbye,
    ``exit_timeout`` all of a peer's.  ``max_…`` are for each peer.

    Who sends media is told every ``report_interval`` how it arrives.  Who receives is told the senders' clocks with the
    first packets, and from then on every ``report_interval`` for video and ``audio_report_interval`` for audio on the
    average, which is how often browsers do it.

    ``video_orientation`` offers clients its header extension (3GPP TS 26.114 section 7.4.5).
    """

    hosts: tuple[str, ...] | None = ("127.0.0.1",)
    port: int = 40000
    announce: tuple[str, ...] = ()
    address_interval: float = 3
    name_interval: float = 60
    name_timeout: float = 5
    handshake_timeout: float = 10
    disconnected_after: float = 7
    silence_timeout: float = 30
    courtesy_timeout: float = 1
    exit_timeout: float = 5
    report_interval: float = 1
    audio_report_interval: float = 5
    key_frame_interval: float = 1
    max_producers: int = 16
    max_consumers: int = 1024
    video_orientation: bool = True

    def report_interval_of(self, kind: MediaKind) -> float:
        """How often receivers of such media are told its sender's clock."""
        return self.report_interval if kind == "video" else self.audio_report_interval


class TransportState(enum.StrEnum):
    """Where a transport stands; the last four are told to its owner."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class ConsumerEnd(enum.StrEnum):
    """Why a consumer ended that its owner did not close."""

    PRODUCER_CLOSED = "producer_closed"
    USER_LEFT = "user_left"
    FAILED = "failed"
