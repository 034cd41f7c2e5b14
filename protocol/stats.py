"""The answer to ``stats``. Counters start with each object, so a reader takes differences.

Times are in milliseconds. Sizes are those of whole RTP packets, in bytes. The gateway leaves out values that it has not
measured.
"""

from typing import Annotated, Literal

from attrs import frozen

from protocol import limits
from protocol.constraints import Range
from protocol.declarations import OkData
from protocol.media import Rid, Ssrc
from protocol.vocabulary import Count, Direction, Layers, MediaKind, ObjectId, Source

Milliseconds = Annotated[float, Range(0, limits.MAX_REQUEST_ID)]
TransportStatsState = Literal["new", "connecting", "connected", "disconnected"]


@frozen
class TransportStats:
    """A transport: ``new`` before the client connects it, ``connecting`` until media can flow.

    The gateway can send about ``available_bitrate`` bits per second to the client. It sent ``probe_bytes`` only to
    measure that. Both are there once the gateway has sent video to a client that gives transport-wide feedback.
    """

    transport_id: ObjectId
    direction: Direction
    state: TransportStatsState
    available_bitrate: Count | None = None
    probe_bytes: Count | None = None


@frozen
class EncodingStats:
    """The packets of one encoding that arrived. Duplicates may make ``lost`` negative (RFC 3550 appendix A.3).

    The gateway asked the client again for ``requested`` missing packets. ``repaired`` came after all, and the gateway
    gave up ``given_up``. ``lost`` counts repaired packets too. ``round_trip_ms`` is the time from a request to the
    packet.
    """

    packets: Count
    bytes: Count
    lost: Annotated[int, Range(-limits.MAX_REQUEST_ID, limits.MAX_REQUEST_ID)]
    jitter_ms: Milliseconds
    key_frames: Count
    ssrc: Ssrc | None = None
    rid: Rid | None = None
    requested: Count | None = None
    repaired: Count | None = None
    given_up: Count | None = None
    round_trip_ms: Milliseconds | None = None


@frozen
class ProducerStats:
    """A producer of this session, with its encodings in rising quality."""

    producer_id: ObjectId
    kind: MediaKind
    source: Source
    paused: bool
    encodings: tuple[EncodingStats, ...]


@frozen
class ConsumerStats:
    """A consumer of this session. The client's receiver reports give loss and round trip (RFC 3550 section 6.4.1).

    ``fraction_lost`` is from 0 to 1. The client asked again for ``requested`` packets, of which ``not_resent`` were not
    sent again. ``resent`` packets were: at its request, or because it loses audio and takes no redundant audio.
    ``packets`` and ``bytes`` count none of these. ``redundant`` packets also carried earlier ones (RFC 2198).
    """

    consumer_id: ObjectId
    producer_id: ObjectId
    kind: MediaKind
    paused: bool
    packets: Count
    bytes: Count
    layers: Layers | None = None
    fraction_lost: Annotated[float, Range(0, 1)] | None = None
    round_trip_ms: Milliseconds | None = None
    requested: Count | None = None
    resent: Count | None = None
    not_resent: Count | None = None
    redundant: Count | None = None


@frozen
class Stats(OkData):
    """``ok`` of ``stats``."""

    transports: tuple[TransportStats, ...]
    producers: tuple[ProducerStats, ...]
    consumers: tuple[ConsumerStats, ...]
