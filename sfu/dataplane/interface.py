"""The boundary between decisions (Python, per event) and packets (the data plane, per packet).

Every call is synchronous and takes effect before it returns: after ``remove_…`` no packet of that object can leave
any more.  A data plane holds no policy.  It does not ask for key frames or choose layers; it opens, rewrites, seals,
forwards, counts and tells receivers what it counted, and hands up what it cannot decide.

The identifiers of transports, producers and consumers are chosen by the caller and never used twice.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, NewType, Protocol

from attrs import field, frozen

from sfu.wire.srtp import SrtpKeys

TransportId = NewType("TransportId", int)
ProducerId = NewType("ProducerId", int)
ConsumerId = NewType("ConsumerId", int)


class Path(NamedTuple):
    """Where a datagram came from or goes to: the remote address, and which of our sockets it uses."""

    host: str
    port: int
    local: int = 0


class DropReason(enum.StrEnum):
    """Why a datagram or a copy of a packet went no further; the label of the drop counters."""

    EMPTY = "empty"
    OVERSIZED = "oversized"
    UNKNOWN_PROTOCOL = "unknown_protocol"
    UNKNOWN_ADDRESS = "unknown_address"
    NO_KEYS = "no_keys"
    MALFORMED_RTP = "malformed_rtp"
    MALFORMED_RTCP = "malformed_rtcp"
    UNAUTHENTIC = "unauthentic"
    REPLAYED = "replayed"
    UNKNOWN_STREAM = "unknown_stream"
    UNKNOWN_PAYLOAD_TYPE = "unknown_payload_type"
    PADDING_ONLY = "padding_only"
    PRODUCER_PAUSED = "producer_paused"
    SEND_WOULD_BLOCK = "send_would_block"
    SEND_FAILED = "send_failed"
    EVENTS_FULL = "events_full"
    # Counted by the slow path, through ``count_drop``.
    MALFORMED_STUN = "malformed_stun"
    UNKNOWN_USERNAME = "unknown_username"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a label, not a secret
    UNEXPECTED_STUN = "unexpected_stun"
    MALFORMED_DTLS = "malformed_dtls"
    UNEXPECTED_DTLS = "unexpected_dtls"


@frozen
class EncodingSpec:
    """One encoding of a producer.

    Without an SSRC it is learnt from the MID and RID extensions (RFC 8843, 8852); with one, these still move it.
    """

    ssrc: int | None = None
    rid: str | None = None


@frozen
class ProducerSpec:
    """A stream that comes in.

    ``codec`` is the lower-case MIME type (it says how to find key frames and temporal layers); ``clock_rate`` in Hz.
    ``payload_types`` maps the client's payload types to the router's, others are dropped.  ``extension_ids`` maps the
    client's header extension ids to the router's, others are taken out.  ``mid_id``, ``rid_id`` and
    ``audio_level_id`` are the client's ids of the extensions that the data plane itself reads (RFC 8843, RFC 8852,
    RFC 6464).  ``encodings`` are in rising quality.  ``cname`` names the sender in reports (RFC 3550 section 6.5.1).
    Packets of ``red_payload_types`` (the client's) carry their primary block among redundant ones (RFC 2198): the
    primary is taken out and forwarded as if it had come by itself, under the payload type that the block names.
    """

    kind: Literal["audio", "video"]
    codec: str
    clock_rate: int
    payload_types: Mapping[int, int]
    encodings: Sequence[EncodingSpec]
    extension_ids: Mapping[int, int] = field(factory=dict)
    red_payload_types: frozenset[int] = frozenset()
    mid: str | None = None
    mid_id: int | None = None
    rid_id: int | None = None
    audio_level_id: int | None = None
    cname: str = ""
    paused: bool = False


@frozen
class ConsumerSpec:
    """A stream that goes out.

    ``payload_types`` and ``extension_ids`` are the router's that this receiver takes; the rest is left out.  ``mid``
    is written into every packet as extension ``mid_id`` where both are given.  ``encoding`` and ``temporal`` are the
    first target, as in :meth:`DataPlane.set_layers`.  Every ``report_interval`` seconds on the average the receiver is
    told the sender's clock (see :meth:`DataPlane.set_source_clock`).
    """

    ssrc: int
    payload_types: frozenset[int]
    extension_ids: frozenset[int] = frozenset()
    mid: str | None = None
    mid_id: int | None = None
    encoding: int | None = 0
    temporal: int | None = None
    report_interval: float = 1
    paused: bool = True


@frozen
class SlowDatagram:
    """STUN from anywhere (``transport`` is None unless the path is taught), or DTLS from a taught path.

    Not the Binding requests that :meth:`DataPlane.answer_bindings` is about.
    """

    path: Path
    transport: TransportId | None
    data: bytes


@frozen
class RtcpArrived:
    """An SRTCP packet, opened: the plain compound packet (RFC 3550 section 6.1; may be reduced-size, RFC 5506).

    Not those in which there is nothing but what a receiver reports: that is in :class:`ConsumerStats`.
    """

    transport: TransportId
    packet: bytes
    at: float


@frozen
class EncodingLearned:
    """The SSRC of an encoding became known, or changed."""

    producer: ProducerId
    encoding: int
    ssrc: int


@frozen
class LayersChanged:
    """A consumer now forwards this encoding (None: nothing yet) up to this temporal layer (None: not layered)."""

    consumer: ConsumerId
    encoding: int | None
    temporal: int | None


@frozen
class FellSilent:
    """The client has given no sign of life for as long as :meth:`DataPlane.watch` said.

    The last authentic one came at ``last_at`` (seconds).
    """

    transport: TransportId
    last_at: float


@frozen
class ConsentExpired:
    """Nothing authentic has come since ``last_at`` (seconds): nothing may be sent to the client (RFC 7675)."""

    transport: TransportId
    last_at: float


@frozen
class CameBack:
    """An authentic sign of life came of a client that had fallen silent."""

    transport: TransportId


@frozen
class EncodingFlows:
    """A packet of a video encoding came, the first ever or the first for ``ENCODING_IDLE`` seconds."""

    producer: ProducerId
    encoding: int


@frozen
class PlaneFailed:
    """The data plane had a bug and has forgotten every transport, producer and consumer; it goes on empty."""

    why: str


Event = (
    SlowDatagram
    | RtcpArrived
    | EncodingLearned
    | EncodingFlows
    | LayersChanged
    | FellSilent
    | ConsentExpired
    | CameBack
    | PlaneFailed
)


@frozen
class EncodingStats:
    """What was received of one encoding since it began; all totals, so that a reader takes differences.

    ``highest_sequence`` is extended by its cycles (RFC 3550 appendix A.1), ``expected`` and ``lost`` follow appendix
    A.3 (``lost`` may be negative with duplicates), ``jitter`` appendix A.8 in timestamp units.  ``bytes`` are whole
    plain RTP packets.  ``last_timestamp`` is the RTP timestamp of the newest packet, which came at ``last_at``.
    """

    ssrc: int | None
    packets: int
    bytes: int
    highest_sequence: int
    expected: int
    lost: int
    jitter: int
    key_frames: int
    last_timestamp: int
    last_at: float | None


@frozen
class ProducerStats:
    """``voice_packets`` carried an audio level, whose linear amplitudes (0–1) sum up to ``voice_amplitude``."""

    encodings: tuple[EncodingStats, ...]
    voice_packets: int
    voice_amplitude: float


@frozen
class ReceptionReport:
    """A receiver's newest report about what it is sent (RFC 3550 section 6.4.1).

    ``fraction_lost`` is in 1/256 since the report before, ``lost`` the total, ``jitter`` in timestamp units.
    ``round_trip`` is in seconds by our own clock; None before a sender report of ours was answered.
    """

    fraction_lost: int
    lost: int
    jitter: int
    round_trip: float | None


@frozen
class ConsumerStats:
    """What was sent to one consumer, and what its receiver reported of it.

    ``packets`` are all that left, those of padding in the place of what was left out late included.  ``octets`` is the
    payload alone, as sender reports want it (RFC 3550 section 6.4.1); ``bytes`` are whole plain RTP packets.
    ``timestamp_offset`` is what is added (mod 2**32) to the current encoding's timestamps.
    """

    packets: int
    bytes: int
    octets: int
    encoding: int | None
    temporal: int | None
    timestamp_offset: int
    last_timestamp: int
    last_at: float | None
    reception_report: ReceptionReport | None


@frozen
class PlaneTotals:
    """``routes`` are consumers connected now; the rest are totals since the start, whole datagrams.

    What is for the slow path is counted at the latest when it is handed up.
    """

    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int
    drops: Mapping[DropReason, int]
    transports: int
    producers: int
    routes: int
    paths: int


class DataPlane(Protocol):
    """What the slow path may ask of a data plane.

    Raises ``KeyError`` for an identifier that is not there, except that removing one that is gone already (it went with
    its transport) does nothing; ``ValueError`` for an identifier that is there already.
    """

    def add_transport(self, transport: TransportId) -> None: ...

    def set_keys(self, transport: TransportId, keys: SrtpKeys) -> None:
        """Media flows from now on, both ways.  At most once per transport: ``ValueError`` the second time."""

    def add_path(self, transport: TransportId, path: Path) -> None:
        """Take datagrams from here as this transport's: an authenticated STUN binding came from it.

        A transport keeps its newest 16 paths; a path that another transport had moves here.  The first path is also
        the one to send on.
        """

    def set_send_path(self, transport: TransportId, path: Path) -> None:
        """Send to here from now on (RFC 8445 section 8.1.1: the newest nominated pair)."""

    def answer_bindings(self, transport: TransportId, username_fragment: str, password: str) -> None:
        """Answer the Binding requests that change nothing, and hand up the others as before.

        These are authentic with the given credentials, come from one of the transport's paths, have nothing in them
        that would need a decision, and nominate no other path than the one that is sent on (RFC 8445 section 7.3).
        """

    def hand_up_bindings(self, transport: TransportId) -> None:
        """Answer none any more."""

    def watch(self, transport: TransportId, heard_at: float, silent_after: float, lost_after: float) -> None:
        """Tell when the client, which was heard at ``heard_at``, gives no sign of life any more.  Times in seconds.

        Authentic signs are RTP and RTCP that authenticated and are no repetition, and Binding requests and indications
        with the right integrity (RFC 7675 section 5.1).  :class:`FellSilent` is told after ``silent_after`` without
        any, :class:`CameBack` at the next one, :class:`ConsentExpired` after ``lost_after`` without any.

        A Binding indication without integrity (RFC 8445 section 11), which anybody can forge who knows an address,
        puts off :class:`FellSilent` if it comes from one of the transport's paths, and nothing else.
        """

    def note_binding(self, transport: TransportId, at: float) -> None:
        """A Binding request came up that is authentic: a sign of life.  That it ended a silence is not told."""

    def heard_at(self, transport: TransportId) -> float | None:
        """When the newest authentic sign of life came, in seconds; None for never."""

    def media_heard_at(self, transport: TransportId) -> float | None:
        """When RTP or RTCP came that authenticated and was no repetition, as :meth:`heard_at`."""

    def remove_transport(self, transport: TransportId) -> None:
        """Forget its keys and paths, with every producer and consumer still on it."""

    def add_producer(self, transport: TransportId, producer: ProducerId, spec: ProducerSpec) -> None:
        """Raises ``ValueError`` where an SSRC, the MID, or a RID without MID, is another producer's of this transport.

        Also where an encoding has neither an SSRC nor a RID (or, alone in its producer, a MID) with the extension id
        to find it.
        """

    def remove_producer(self, producer: ProducerId) -> None:
        """Removes its consumers' routes, too; the consumers stay until they are removed."""

    def set_producer_paused(self, producer: ProducerId, paused: bool) -> None:
        """A paused producer's packets are dropped.  Its video consumers start again at a key frame."""

    def set_source_clock(self, producer: ProducerId, encoding: int, ntp: int, timestamp: int, at: float) -> None:
        """A sender report about the encoding came at ``at``: its 64-bit NTP time and its RTP timestamp.

        From then on receivers get sender reports on that clock, moved on by the time that has passed here
        (RFC 3550 section 6.4.1): the first with the next packets that they are sent, the others at random between half
        and three halves of their consumer's ``report_interval`` after one another, and none where nothing is sent.
        Switches between encodings keep to these clocks; without them they go by arrival times.  A clock is forgotten
        when its encoding begins anew with another SSRC.
        """

    def add_consumer(
        self, transport: TransportId, consumer: ConsumerId, producer: ProducerId, spec: ConsumerSpec
    ) -> None:
        """Raises ``ValueError`` for an encoding that the producer has not, and for an SSRC that this transport ever
        sent with before (RFC 3711 section 9.1: its packets would be encrypted with the same key stream)."""

    def remove_consumer(self, consumer: ConsumerId) -> None: ...

    def set_consumer_paused(self, consumer: ConsumerId, paused: bool) -> None:
        """A video consumer that is resumed starts at the next key frame; sequence numbers go on without a gap."""

    def set_layers(self, consumer: ConsumerId, encoding: int | None, temporal: int | None) -> None:
        """The target: forward this encoding (switched to at its next key frame; None: nothing) and, where the codec
        has temporal layers, those up to ``temporal`` (None: all)."""

    def send(self, path: Path, datagram: bytes) -> None:
        """A slow-path datagram (STUN, DTLS), as it is."""

    def send_rtcp(self, transport: TransportId, packet: bytes) -> None:
        """Seal a compound packet and send it; nothing happens without keys and a path, nor in the name of a consumer
        (its SSRC comes first in the packet) that was removed."""

    def count_drop(self, reason: DropReason) -> None:
        """For what only the slow path can tell."""

    def producer_stats(self, producer: ProducerId) -> ProducerStats: ...

    def consumer_stats(self, consumer: ConsumerId) -> ConsumerStats: ...

    def totals(self) -> PlaneTotals: ...

    async def wait(self) -> None:
        """Return when :meth:`poll` may have something; always a checkpoint.

        Raises ``trio.ClosedResourceError`` once closed, also where it waits already.
        """

    def poll(self, now: float) -> Sequence[Event]:
        """Hand over what came of packets: a bounded batch, the rest the next time.

        First what was learned and changed, as it is now and once for each object, then datagrams in their order, and
        among them who fell silent or came back.
        What a command changes by itself (a pause stops a consumer) is not told.  Packets move in here or in a thread
        of the plane's own.  ``now`` is in seconds on the caller's clock (``trio.current_time()``).
        """

    def close(self) -> None:
        """Close the sockets.  Nothing leaves any more; calling it twice does nothing."""
