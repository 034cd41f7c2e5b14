"""Limits and addresses of the media side.  Times are in seconds."""

import enum

from attrs import frozen

from sfu.parameters import MediaKind


@frozen
class MediaSettings:
    """The addresses of a router, its intervals, and the limits of its peers.

    ``hosts`` are the addresses to bind, IPv4 and IPv6, or names of them.  A wildcard stands for each address of the
    machine, None for loopback and one interface address.  ``port`` is one UDP port for all clients; 0 picks a free one.
    Clients get the addresses in ``announce`` instead, for a machine behind NAT.  Every ``name_interval`` the router
    looks up the announced names again, each for at most ``name_timeout``.  Every ``address_interval`` it checks which
    addresses of the machine came and went.

    ``handshake_timeout`` runs from ``connect`` to the end of the DTLS handshake.  A connected transport becomes
    *disconnected* after ``disconnected_after`` without a sign of life.  Signs of life are STUN bindings (clients send
    one every 2.5 to 6 s), media, and reports about received media.  After ``silence_timeout`` without an authentic
    sign, consent to send expires (RFC 7675 section 5.1) and the transport closes.  ``courtesy_timeout`` limits the
    goodbye of one transport, ``exit_timeout`` all goodbyes of a peer.  ``max_producers`` and ``max_consumers`` are for
    each peer.

    Senders get a report about their media every ``report_interval``.  Receivers get sender reports, with the senders'
    clocks, behind the first packets.  More follow, on average every ``report_interval`` for video and every
    ``audio_report_interval`` for audio.  Browsers send theirs as often.

    ``key_frame_interval`` is the unit of all waits for key frames, see :mod:`sfu.keyframes`.  ``video_orientation``
    offers clients its header extension (3GPP TS 26.114 section 7.4.5).
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
        """The mean time between two sender reports to receivers of such media."""
        return self.report_interval if kind == "video" else self.audio_report_interval


class TransportState(enum.StrEnum):
    """The state of a transport.  Its owner gets a notice of each of the last four."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class ConsumerEndReason(enum.StrEnum):
    """Why a consumer closed without its owner's doing."""

    PRODUCER_CLOSED = "producer_closed"
    USER_LEFT = "user_left"
    FAILED = "failed"
