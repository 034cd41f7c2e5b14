"""A stream that comes in: a producer, its encodings, and one packet of them."""

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from attrs import define, field

from sfu.dataplane.extensions import ExtensionRewriter
from sfu.dataplane.interface import ConsumerId, EncodingSpec, EncodingStats, ProducerId, ProducerSpec
from sfu.dataplane.payload import INSPECTORS, Frame, Inspector
from sfu.dataplane.reception import Reception
from sfu.wire.rtp import RtpHeader

if TYPE_CHECKING:
    from sfu.dataplane.outgoing import Consumer
    from sfu.dataplane.transport import Transport

RewriterKey = tuple[frozenset[tuple[int, int]], int | None, int]
"""Consumers with the same share a rewriter: the ids taken, the id of the MID and its element's size."""

_AMPLITUDES = tuple(10 ** (-level / 20) if level < 127 else 0.0 for level in range(128))
"""The linear amplitude of each level of RFC 6464 section 3: 0 to -126 dBov, and 127 for silence."""


@define
class Packet:
    """What is worked out once for all consumers of a packet.

    ``extended`` and ``picture`` are the sequence number and picture id without wrapping; ``newest`` says that none of
    its encoding overtook it; ``payload_type`` is the router's; ``payload`` has its padding, ``payload_size`` does
    not; ``serial`` tells packets apart.
    """

    plain: bytes
    header: RtpHeader
    extended: int
    newest: bool
    payload_type: int
    payload: bytes
    payload_size: int
    frame: Frame | None
    picture: int
    serial: int
    now: float


class Encoding:
    """One SSRC of a producer, now; who is sent it (``routes``), and who waits for it to begin (``waiting``)."""

    __slots__ = (
        "__weakref__",
        "_key_timestamp",
        "_newest_picture",
        "_newest_timestamp",
        "clock",
        "index",
        "inspector",
        "key_frames",
        "producer",
        "reception",
        "routes",
        "spec",
        "ssrc",
        "top_temporal",
        "waiting",
    )

    def __init__(self, producer: "Producer", index: int, spec: EncodingSpec) -> None:
        self.producer = producer
        self.index = index
        self.spec = spec
        self.inspector: Inspector | None = INSPECTORS.get(producer.spec.codec)
        self.routes: dict[ConsumerId, Consumer] = {}
        self.waiting: dict[ConsumerId, Consumer] = {}
        self.restart(spec.ssrc)

    def restart(self, ssrc: int | None) -> None:
        """The encoding begins, or begins anew with another SSRC."""
        self.ssrc = ssrc
        self.reception = Reception(self.producer.spec.clock_rate)
        self.clock: int | None = None
        self.key_frames = 0
        self.top_temporal = -1
        self._key_timestamp: int | None = None
        self._newest_timestamp: int | None = None
        self._newest_picture: int | None = None

    def inspect(self, plain: bytes, header: RtpHeader, newest: bool) -> tuple[Frame | None, int]:
        """What the payload tells, and its picture id without wrapping (0 where there is none)."""
        if self.inspector is None:
            return None, 0
        timestamp = header.timestamp
        frame = self.inspector(plain, header.size, newest and timestamp != self._newest_timestamp)
        if newest:
            self._newest_timestamp = timestamp
        if frame.key and timestamp != self._key_timestamp:
            self._key_timestamp = timestamp
            self.key_frames += 1
        return frame, self._extend_picture(frame) if frame.picture >= 0 else 0

    def _extend_picture(self, frame: Frame) -> int:
        if self._newest_picture is None:
            self._newest_picture = frame.picture
        half = 1 << frame.picture_bits - 1
        step = ((frame.picture - self._newest_picture + half) & 2 * half - 1) - half
        picture = self._newest_picture + step
        if step > 0:
            self._newest_picture = picture
        return picture

    def stats(self) -> EncodingStats:
        reception = self.reception
        return EncodingStats(
            ssrc=self.ssrc,
            packets=reception.packets,
            bytes=reception.bytes,
            highest_sequence=reception.highest_sequence,
            expected=reception.expected,
            lost=reception.lost,
            jitter=reception.jitter,
            key_frames=self.key_frames,
            last_timestamp=reception.last_timestamp,
            last_at=reception.last_at,
        )


@define(eq=False)
class Producer:
    id: ProducerId
    transport: "Transport"
    spec: ProducerSpec
    paused: bool = False
    encodings: list[Encoding] = field(factory=list)
    consumers: "dict[ConsumerId, Consumer]" = field(factory=dict)
    rewriters: WeakValueDictionary[RewriterKey, ExtensionRewriter] = field(factory=WeakValueDictionary)
    voice_packets: int = 0
    voice_amplitude: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.paused = self.spec.paused
        self.encodings = [Encoding(self, index, spec) for index, spec in enumerate(self.spec.encodings)]

    def named_by(self, header: RtpHeader) -> Encoding | None:
        """The encoding without a given SSRC whose MID and RID the packet carries."""
        spec = self.spec
        if header.payload_type not in spec.payload_types:
            return None
        mid = spec.mid if spec.mid_id is not None else None
        if mid is not None and element(header, spec.mid_id) != mid.encode():
            return None
        rid = element(header, spec.rid_id)
        for encoding in self.encodings:
            name = encoding.spec.rid
            if encoding.spec.ssrc is None and (name.encode() == rid if name is not None else mid is not None):
                return encoding
        return None

    def hear(self, header: RtpHeader) -> None:
        """Add up the audio level that the packet carries (RFC 6464); its first bit is only a hint of voice."""
        level = element(header, self.spec.audio_level_id)
        if level:
            self.voice_packets += 1
            self.voice_amplitude += _AMPLITUDES[level[0] & 0x7F]


def element(header: RtpHeader, number: int | None) -> bytes | None:
    """The value of a header extension, None where the packet does not carry it."""
    for known, value in header.extensions:
        if known == number:
            return value
    return None


def learnt_names(spec: ProducerSpec) -> set[tuple[str | None, str | None]]:
    """By which MID and RID the encodings without an SSRC are told.

    Raises ``ValueError`` where nothing would tell one.
    """
    mid = spec.mid if spec.mid_id is not None else None
    names: set[tuple[str | None, str | None]] = set()
    for encoding in spec.encodings:
        if encoding.ssrc is not None:
            continue
        by_mid_alone = encoding.rid is None and mid is not None and len(spec.encodings) == 1
        by_rid = encoding.rid is not None and spec.rid_id is not None
        if not by_mid_alone and not by_rid:
            raise ValueError("an encoding has neither an SSRC nor a MID or RID that its packets would carry")
        if (mid, encoding.rid) in names:
            raise ValueError("two encodings with the same RID")
        names.add((mid, encoding.rid))
    return names
