"""Limits and addresses of the media side.  Times are in seconds."""

import enum

from attrs import frozen

from sfu.parameters import MediaKind


@frozen
class MediaSettings:
    """The addresses of a router, its intervals, and the limits of its peers.

    - ``hosts``: the addresses to bind, IPv4 and IPv6, or names of them.  A wildcard stands for each address of the
      machine, None for loopback and one interface address.
    - ``port``: one UDP port for all clients.  0 picks a free one.
    - ``announce``: the addresses or names that clients get instead, for a machine behind NAT.
    - ``tcp``: whether clients may send media over TCP (RFC 6544), to the port that :meth:`Router.use_tcp_listeners`
      names.  ``tcp_announce``: the addresses or names with ports, as ``host:port``, that clients get instead of it.
    - ``address_interval``: between two checks for addresses of the machine that came or went.
    - ``name_interval``: between two look-ups of the announced names.  ``name_timeout`` limits each look-up.
    - ``handshake_timeout``: from ``connect`` to the end of the DTLS handshake.
    - ``disconnected_after``: without a sign of life for so long, a connected transport becomes *disconnected*.  Signs
      of life are media, reports about received media, and STUN bindings, which clients send every 2.5 to 6 s.
    - ``silence_timeout``: without an authentic sign for so long, consent to send expires (RFC 7675 section 5.1) and the
      transport closes.
    - ``courtesy_timeout``: for the goodbye of one transport.
    - ``exit_timeout``: for all goodbyes of a peer together.
    - ``report_interval``: between two receiver reports to a sender, and on average between two sender reports about
      video to a receiver.
    - ``audio_report_interval``: on average between two sender reports about audio to a receiver.  Browsers send theirs
      as often.
    - ``key_frame_interval``: the unit of all waits for key frames, see :mod:`sfu.keyframes`.
    - ``max_producers``, ``max_consumers``: for each peer.
    - ``max_packet_rate``, ``max_bitrate``: the packets and the bits of media per second that a client may send on one
      transport in the long run.
    - ``share_bandwidth``: whether receivers on narrow paths get less video, see :mod:`sfu.bandwidth`.  If false, the
      data plane only estimates what a path carries.
    - ``video_orientation``: whether to offer clients this header extension (3GPP TS 26.114 section 7.4.5).
    """

    hosts: tuple[str, ...] | None = ("127.0.0.1",)
    port: int = 40000
    announce: tuple[str, ...] = ()
    tcp: bool = True
    tcp_announce: tuple[str, ...] = ()
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
    max_packet_rate: int = 10_000
    max_bitrate: int = 100_000_000
    share_bandwidth: bool = True
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
    """Why a consumer closed although its owner did not ask for it."""

    PRODUCER_CLOSED = "producer_closed"
    USER_LEFT = "user_left"
    FAILED = "failed"
