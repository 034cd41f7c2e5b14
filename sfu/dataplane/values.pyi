"""The values that cross the boundary to the data plane: specifications, events and statistics.

The classes are Rust structs under ``sfu/dataplane/src/core/interface``, and frozen there.  They are written here as
dataclasses, so that a type checker knows their constructor and fields.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from sfu.dataplane.interface import ConsumerId, Crossing, DropReason, Path, ProducerId, TransportId

# Specifications.

@dataclass(frozen=True)
class EncodingSpec:
    """One encoding of a producer.

    Without an ``ssrc``, the data plane learns the SSRC from packets with the MID and RID extensions (RFC 8843,
    RFC 8852).  Such packets may also replace a given SSRC.  ``rtx_ssrc`` is the SSRC of its retransmissions (RFC 4588),
    if the client announced it.
    """

    ssrc: int | None = None
    rid: str | None = None
    rtx_ssrc: int | None = None

@dataclass(frozen=True, kw_only=True)
class ProducerSpec:
    """A stream that comes in.

    - ``codec``: the lower-case MIME type.  It decides how to find key frames and layers.
    - ``clock_rate``: in Hz.
    - ``payload_types``: from the client's payload types to the router's.  Packets with any other type are dropped.
    - ``encodings``: in rising quality.
    - ``extension_ids``: from the client's header extension ids to the router's.  Other extensions are removed.
    - ``red_payload_types``: the client's payload types of redundant audio (RFC 2198).  The data plane forwards only the
      primary block of such a packet, under the payload type that the block names.
    - ``rtx_payload_types``: the client's payload types of retransmissions (RFC 4588), each with the client's payload
      type that it repeats.
    - ``nack``: whether the client takes generic NACKs (RFC 4585 section 6.2.1) and sends the missing packets again.
    - ``mid``: the MID of its media section.
    - ``mid_id``, ``rid_id``, ``repaired_rid_id``, ``audio_level_id``, ``descriptor_id``: the client's ids of the
      extensions that the data plane reads (RFC 8843, RFC 8852, RFC 6464, and the dependency descriptor of AV1).
    - ``wide_id``: the client's id of the transport-wide sequence numbers, if it takes transport-wide feedback
      (draft-holmer-rmcat-transport-wide-cc-extensions-01).  The data plane then reports the arrival of each packet of
      the transport that has such a number, whichever stream it belongs to.
    - ``cname``: the name of the sender in reports (RFC 3550 section 6.5.1).
    - ``paused``: whether to drop its packets.
    """

    kind: Literal["audio", "video"]
    codec: str
    clock_rate: int
    payload_types: Mapping[int, int]
    encodings: Sequence[EncodingSpec]
    extension_ids: Mapping[int, int] = ...
    red_payload_types: Set[int] = ...
    rtx_payload_types: Mapping[int, int] = ...
    nack: bool = False
    mid: str | None = None
    mid_id: int | None = None
    rid_id: int | None = None
    repaired_rid_id: int | None = None
    audio_level_id: int | None = None
    wide_id: int | None = None
    descriptor_id: int | None = None
    cname: str = ""
    paused: bool = False

@dataclass(frozen=True)
class ConsumerFormat:
    """The form in which a receiver takes streams of one kind.  Make it once, and share it among all consumers that are
    alike.

    - ``payload_types``: the router's payload types that the receiver takes.  Other packets are left out.
    - ``extension_ids``: the router's header extension ids that the receiver takes.  Other extensions are left out.
    - ``mid_id``: the router's id of the MID extension.  Consumers with a MID write it into every packet.
    - ``report_interval``: the mean time between two sender reports, in seconds.
    - ``rtx_payload_types``: the router's payload types of media, each with the one for its retransmissions (RFC 4588).
    - ``red_payload_types``: the router's payload types of audio, each with the one for redundant audio (RFC 2198).
    - ``wide_id``: the router's id of the transport-wide sequence number, if the receiver takes it and answers with
      feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).  Consumers write a number into every packet.

    Once the sender has reported its clock, receivers get sender reports on that clock (RFC 3550 section 6.4.1).  Each
    report adds the time since the sender's own.  The first report leaves with the next packets.  The next ones follow
    at random intervals of 0.5 to 1.5 times ``report_interval``.  None leaves while the stream sends no packets.

    At a switch between encodings, timestamps follow the sender's clocks.  Without clocks, they follow the arrival
    times.  The data plane forgets the clock of an encoding when the SSRC of the encoding changes.
    """

    payload_types: Set[int]
    extension_ids: Set[int] = ...
    mid_id: int | None = None
    report_interval: float = 1
    rtx_payload_types: Mapping[int, int] = ...
    red_payload_types: Mapping[int, int] = ...
    wide_id: int | None = None

# Events.

@dataclass(frozen=True)
class DtlsArrived:
    """A DTLS datagram came from one of the transport's paths."""

    transport: TransportId
    data: bytes

@dataclass(frozen=True)
class PathSelected:
    """Datagrams to the client go to this path from now on."""

    transport: TransportId
    path: Path

@dataclass(frozen=True)
class KeyFrameRequested:
    """The consumer's receiver cannot decode what it gets: it sent PLI or FIR, or its path was dead for a while.

    One such event waits for a consumer at a time, however often its receiver asks.
    """

    consumer: ConsumerId

@dataclass(frozen=True)
class EncodingLearned:
    """The SSRC of an encoding became known, or changed."""

    producer: ProducerId
    encoding: int
    ssrc: int

@dataclass(frozen=True)
class EncodingFlows:
    """A packet of a video encoding came: the first ever, or the first for ``ENCODING_IDLE`` seconds."""

    producer: ProducerId
    encoding: int

@dataclass(frozen=True)
class LayersChanged:
    """A consumer now forwards this encoding (None: nothing yet) up to this temporal layer (None: not layered).

    ``spatial`` is the highest spatial layer inside the encoding; None if the encoding has only one.
    """

    consumer: ConsumerId
    encoding: int | None
    temporal: int | None
    spatial: int | None

@dataclass(frozen=True)
class RepairFailed:
    """The client could not repair a loss in this video encoding, so its receivers need a key frame to go on.

    ``narrow``: its network carries only a part of the encoding, so it has no room for a key frame either.
    """

    producer: ProducerId
    encoding: int
    narrow: bool

@dataclass(frozen=True)
class FellSilent:
    """The client has given no sign of life for as long as :meth:`sfu._dataplane.DataPlane.watch` said.

    The last authentic sign came at ``last_at``, in seconds.
    """

    transport: TransportId
    last_at: float

@dataclass(frozen=True)
class ConsentExpired:
    """No authentic sign of life came since ``last_at`` (seconds), so nothing may be sent to the client (RFC 7675)."""

    transport: TransportId
    last_at: float

@dataclass(frozen=True)
class CameBack:
    """A client that had fallen silent gave an authentic sign of life."""

    transport: TransportId

@dataclass(frozen=True)
class LimitsExceeded:
    """The client has sent so much beyond its limits that its transport has to close.  Comes once.

    Only media with its keys, and new Binding requests with its password, count.  So nobody else can cause this.
    """

    transport: TransportId

@dataclass(frozen=True)
class BandwidthCrossed:
    """The estimate of the bandwidth to the client, in bits per second, crossed a watermark.

    Only the newest crossing of a transport waits.  There are at most two a second, and none while nothing changes.
    """

    transport: TransportId
    estimate: float
    why: Crossing

@dataclass(frozen=True)
class PlaneFailed:
    """The data plane had a bug and has forgotten every transport, producer and consumer.  It goes on empty."""

    why: str

Event = (
    DtlsArrived
    | PathSelected
    | KeyFrameRequested
    | EncodingLearned
    | EncodingFlows
    | LayersChanged
    | RepairFailed
    | FellSilent
    | ConsentExpired
    | CameBack
    | LimitsExceeded
    | BandwidthCrossed
    | PlaneFailed
)
"""Everything that the data plane reports.  In the extension it is the base class of the events."""

# Statistics.

@dataclass(frozen=True)
class EncodingStats:
    """The reception of one encoding since it began.  All are totals: a reader takes differences.

    ``highest_sequence`` is extended by its cycles (RFC 3550 appendix A.1).  ``expected`` and ``lost`` follow appendix
    A.3; duplicates can make ``lost`` negative.  ``jitter`` follows appendix A.8, in timestamp units.  ``bytes`` counts
    whole plain RTP packets.  The newest packet had ``last_timestamp`` and came at ``last_at``.

    Three totals are about missing packets: ``requested`` from the client, ``repaired`` by a retransmission or inside a
    later packet, and ``given_up`` by the data plane.  ``lost`` counts repaired packets, too.  ``round_trip`` is the
    time from a request to the packet, in seconds; None before the first answer.

    ``layer_bytes`` and ``layer_frames`` have an entry for each layer: entry 8 * s + t is that of the spatial layer s
    and the temporal layer t. They count the packets that a receiver could get, also repaired ones. A stream without
    layers has one entry.
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
    requested: int
    repaired: int
    given_up: int
    round_trip: float | None
    layer_bytes: list[int]
    layer_frames: list[int]

@dataclass(frozen=True)
class ProducerStats:
    """``voice_packets`` had an audio level; ``voice_amplitude`` is the sum of their linear amplitudes (0–1 each)."""

    encodings: list[EncodingStats]
    voice_packets: int
    voice_amplitude: float

@dataclass(frozen=True)
class ReceptionReport:
    """A receiver's newest report about a stream that we send (RFC 3550 section 6.4.1).

    ``fraction_lost`` is in 1/256 since the report before, ``lost`` the total, ``jitter`` in timestamp units.
    ``round_trip`` is in seconds by our own clock; None until the receiver answers a sender report of ours.
    """

    fraction_lost: int
    lost: int
    jitter: int
    round_trip: float | None

@dataclass(frozen=True)
class ConsumerStats:
    """The packets sent to one consumer, and its receiver's newest report about them.

    ``packets`` counts all packets that left.  Among them is the padding that fills the number of an omitted late
    packet.  ``octets`` counts payloads alone, as sender reports do (RFC 3550 section 6.4.1); ``bytes`` counts whole
    plain RTP packets.  The data plane adds ``timestamp_offset`` (mod 2**32) to the current encoding's timestamps.

    ``spatial`` is the highest spatial layer inside the encoding that is forwarded now, and ``spatial_target`` the one
    that a key frame would bring.  Both are None if the encoding has only one.

    The receiver asked for ``requested`` missing packets.  ``not_resent`` of them were not sent again, and the drop
    counters say why.  ``resent`` packets left again, with ``resent_bytes`` as whole plain packets: those that the
    receiver asked for, and audio that left twice because the receiver loses packets and takes no redundant audio.
    ``packets``, ``bytes`` and ``octets`` count none of these.  ``redundant`` packets also carried earlier ones (RFC
    2198).
    """

    packets: int
    bytes: int
    octets: int
    encoding: int | None
    temporal: int | None
    spatial: int | None
    spatial_target: int | None
    timestamp_offset: int
    last_timestamp: int
    last_at: float | None
    reception_report: ReceptionReport | None
    requested: int
    resent: int
    resent_bytes: int
    not_resent: int
    redundant: int

@dataclass(frozen=True)
class TransportStats:
    """The packets of one transport in both directions, and how many of them the network lost.  All are totals.

    The client sent ``expected`` packets, as far as their numbers tell.  ``missing`` of them did not come at once, but
    perhaps later by a repair.  Both are sums over the encodings that it sends now, so they may also fall.

    The client's reports cover ``reported`` packets that it was sent.  ``reported_lost`` of them were lost on the way to
    the client; what the senders' paths had lost does not count.  ``round_trip`` is the newest one that a report has
    shown, in seconds; None before the first.
    """

    expected: int
    missing: int
    reported: int
    reported_lost: int
    round_trip: float | None

@dataclass(frozen=True)
class BandwidthStats:
    """How much the path to a receiver carries, as its transport-wide feedback shows.

    ``estimate`` and ``acked`` are in bits per second of UDP payload.  ``acked`` is the rate that arrives; None before
    the first feedback.  ``loss`` is the share of packets that the path loses, from 0 to 1.  ``round_trip`` is in
    seconds.  ``probe_bytes`` counts the bytes that were sent only to measure the path.
    """

    estimate: float
    acked: float | None
    loss: float
    round_trip: float | None
    probe_bytes: int

@dataclass(frozen=True)
class PlaneTotals:
    """Packets, bytes and drops since the start, as whole datagrams; and the number of objects now.

    ``routes`` counts the consumers whose producer still exists.  A datagram for the slow path counts at the latest when
    :meth:`~sfu._dataplane.DataPlane.poll` hands it over.

    The plane asked senders for ``requested_of_senders`` missing packets.  ``repaired`` came after all, and the plane
    asks for ``given_up`` no longer.  Receivers asked for ``requested_by_receivers`` packets, and ``resent`` left again.
    These totals also count objects that are gone.  The plane keeps ``stored_packets`` to send them again.  It has
    reserved ``stored_bytes`` of memory for them, of at most ``stored_bytes_limit``.  Senders got
    ``feedback_to_senders`` packets of transport-wide feedback.

    The plane has read ``feedback_of_receivers`` transport-wide feedback packets, and sent ``probe_bytes`` to measure
    paths.  The paths of ``short_transports`` carry less than what is in use.
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
    usernames: int
    requested_of_senders: int
    repaired: int
    given_up: int
    requested_by_receivers: int
    resent: int
    stored_packets: int
    stored_bytes: int
    stored_bytes_limit: int
    feedback_to_senders: int
    feedback_of_receivers: int
    probe_bytes: int
    short_transports: int
