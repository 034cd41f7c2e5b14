"""A stream that goes out: one consumer's view of a producer's packets."""

from typing import TYPE_CHECKING

from sfu.dataplane.extensions import ExtensionRewriter, MidElement
from sfu.dataplane.incoming import Encoding, Packet, Producer
from sfu.dataplane.interface import ConsumerId, ConsumerSpec, ConsumerStats, LayersChanged
from sfu.dataplane.numbering import Numbering
from sfu.dataplane.payload import Frame, write_picture
from sfu.wire.rtp import FIXED_HEADER

if TYPE_CHECKING:
    from sfu.dataplane.transport import Transport

_pack_header = FIXED_HEADER.pack
_TIMESTAMPS = 0xFFFFFFFF
_ALL_LAYERS = 7
_CLOCKS_TRUSTED_WITHIN = 5.0  # seconds that sender reports and arrival may be apart; more, and the reports are wrong


class Consumer:
    """Rewrites packets for one receiver.

    ``target`` and ``target_temporal`` are what is asked for, ``current`` and ``temporal`` what is in force;
    ``awaited`` is the encoding that this consumer will take up when it can, ``current`` flowing on until then.
    """

    __slots__ = (
        "__weakref__",
        "_changed",
        "_extensions",
        "_mid_one_byte",
        "_mid_two_byte",
        "_numbers",
        "_payload_types",
        "_pictures",
        "_reported",
        "_source",
        "_source_ssrc",
        "_tl0_newest",
        "_tl0_offset",
        "awaited",
        "bytes",
        "current",
        "id",
        "last_at",
        "last_timestamp",
        "octets",
        "packets",
        "paused",
        "producer",
        "ssrc",
        "target",
        "target_temporal",
        "temporal",
        "timestamp_offset",
        "transport",
    )

    def __init__(
        self,
        number: ConsumerId,
        transport: "Transport",
        producer: Producer,
        spec: ConsumerSpec,
        *,
        first_sequence: int,
        extensions: ExtensionRewriter,
        mid: MidElement | None,
        changed: "dict[ConsumerId, Consumer]",
    ) -> None:
        self.id = number
        self.transport = transport
        self.producer: Producer | None = producer
        self.ssrc = spec.ssrc
        self.paused = spec.paused
        self.target = spec.encoding
        self.aim_at_temporal(spec.temporal)
        self.current: Encoding | None = None
        self.awaited: Encoding | None = None
        self.temporal = 0
        self.packets = self.bytes = self.octets = 0
        self.timestamp_offset = self.last_timestamp = 0
        self.last_at: float | None = None
        self._payload_types = spec.payload_types
        self._extensions = extensions
        self._mid_one_byte = mid.one_byte if mid else b""
        self._mid_two_byte = mid.two_byte if mid else b""
        self._numbers = Numbering(first_sequence)
        self._pictures = Numbering()
        self._tl0_newest: int | None = None
        self._tl0_offset = 0
        self._source: Encoding | None = None
        self._source_ssrc: int | None = None
        self._reported: tuple[int | None, int | None] = (None, None)
        self._changed = changed

    def aim_at_temporal(self, temporal: int | None) -> None:
        self.target_temporal = _ALL_LAYERS if temporal is None else temporal

    def can_begin(self, packet: Packet) -> bool:
        """Whether this packet could be the first of an encoding for this consumer."""
        return self.transport.ready and packet.payload_type in self._payload_types

    def begin(self, encoding: Encoding, packet: Packet) -> None:
        """Take up an encoding with this packet: all numbers go on from where they are."""
        self._align_timestamps(encoding, packet)
        self.current = encoding
        self.temporal = self.target_temporal
        self._numbers.begin(packet.extended)
        frame = packet.frame
        if frame is not None and frame.picture >= 0:
            self._pictures.begin(packet.picture)
        if frame is not None and frame.tl0 >= 0 and self._tl0_newest is not None:
            self._tl0_offset = self._tl0_newest + 1 - frame.tl0
        self._changed[self.id] = self

    def stop(self) -> None:
        """Nothing is forwarded any more until :meth:`begin`."""
        self.current = None
        self._reported = (None, None)
        self._changed.pop(self.id, None)

    def _align_timestamps(self, encoding: Encoding, packet: Packet) -> None:
        """Another source's timestamps continue those of the last; the same source's just go on."""
        last_at = self.last_at
        if last_at is not None and (self._source is not encoding or self._source_ssrc != encoding.ssrc):
            clock_rate = encoding.producer.spec.clock_rate
            timestamp = packet.header.timestamp
            offset = self.last_timestamp + round((packet.now - last_at) * clock_rate) - timestamp
            exact = self._exact_offset(encoding)
            if exact is not None and _difference(exact, offset) < _CLOCKS_TRUSTED_WITHIN * clock_rate:
                offset = exact
            if not 0 < (timestamp + offset - self.last_timestamp) & _TIMESTAMPS < 0x80000000:
                offset = self.last_timestamp + 1 - timestamp
            self.timestamp_offset = offset & _TIMESTAMPS
        self._source = encoding
        self._source_ssrc = encoding.ssrc

    def _exact_offset(self, encoding: Encoding) -> int | None:
        """The offset that stays on the producer's common timeline, where both encodings' places on it are known."""
        source = self._source
        if source is None or source.ssrc != self._source_ssrc or source.clock is None or encoding.clock is None:
            return None
        return self.timestamp_offset + encoding.clock - source.clock

    def leave_out(self, packet_number: int) -> None:
        """A packet of the current encoding, by its extended sequence number, that nobody is sent."""
        self._numbers.leave_out(packet_number)

    def rewrite(self, packet: Packet) -> bytes | None:
        """The packet as this receiver gets it, plain; None where it is left out."""
        frame = packet.frame
        if packet.payload_type not in self._payload_types or (
            frame is not None and frame.temporal >= 0 and not self._takes_layer(frame)
        ):
            self._numbers.leave_out(packet.extended)
            if frame is not None and frame.picture >= 0:
                self._pictures.leave_out(packet.picture)
            return None
        number = self._numbers.take(packet.extended)
        if number is None:
            return None
        header, plain = packet.header, packet.plain
        payload = packet.payload if frame is None else self._renumber_frame(packet, frame)
        if payload is None:
            return None
        extensions = self._extensions
        if extensions.serial != packet.serial:
            extensions.rewrite(header.extensions, packet.serial)
        flags = plain[0] & 0xEF
        if extensions.head:
            flags |= 0x10
        return b"".join(
            (
                _pack_header(
                    flags,
                    packet.payload_type | plain[1] & 0x80,
                    number & 0xFFFF,
                    header.timestamp + self.timestamp_offset & _TIMESTAMPS,
                    self.ssrc,
                ),
                header.csrcs,
                extensions.head,
                self._mid_two_byte if extensions.two_byte else self._mid_one_byte,
                extensions.tail,
                payload,
            )
        )

    def _takes_layer(self, frame: Frame) -> bool:
        """Temporal layers change where that harms no picture: down at any frame, up where the encoder says so.

        A key frame depends on nothing, and what follows it on nothing before it.
        """
        before = self.temporal
        if frame.begins:
            if frame.key or self.target_temporal < before:
                self.temporal = self.target_temporal
            elif frame.sync and before < frame.temporal <= self.target_temporal:
                self.temporal = frame.temporal
        takes = frame.temporal <= self.temporal
        if takes and frame.switch_up and self.temporal < self.target_temporal:
            self.temporal = self.target_temporal
        if self.temporal != before:
            self._changed[self.id] = self
        return takes

    def _renumber_frame(self, packet: Packet, frame: Frame) -> bytes | bytearray | None:
        """The payload with its picture id and TL0PICIDX continued; None for a picture that was left out."""
        size = packet.header.size
        payload: bytes | bytearray = packet.payload
        if frame.picture >= 0:
            picture = self._pictures.take(packet.picture)
            if picture is None:
                return None
            if picture != packet.picture:
                payload = bytearray(payload)
                write_picture(payload, frame.picture_at - size, picture, frame.picture_bits)
        if frame.tl0 >= 0:
            tl0 = frame.tl0 + self._tl0_offset & 0xFF
            if self._tl0_newest is None or (tl0 - self._tl0_newest) & 0xFF < 0x80:
                self._tl0_newest = tl0
            if tl0 != frame.tl0:
                payload = bytearray(payload)
                payload[frame.tl0_at - size] = tl0
        return payload

    def sent(self, packet: Packet, size: int) -> None:
        """Count what went out; ``size`` is that of the whole plain packet."""
        self.packets += 1
        self.bytes += size
        self.octets += packet.payload_size
        timestamp = packet.header.timestamp + self.timestamp_offset & _TIMESTAMPS
        if self.last_at is None or (timestamp - self.last_timestamp) & _TIMESTAMPS < 0x80000000:
            self.last_timestamp = timestamp
            self.last_at = packet.now

    def layers(self) -> tuple[int | None, int | None]:
        """The encoding and the highest temporal layer forwarded now."""
        if self.current is None:
            return None, None
        top = self.current.top_temporal
        return self.current.index, None if top < 0 else min(self.temporal, top)

    def changed_layers(self) -> LayersChanged | None:
        """What to tell the slow path, if it does not know yet."""
        layers = self.layers()
        if layers == self._reported:
            return None
        self._reported = layers
        return LayersChanged(self.id, *layers)

    def stats(self) -> ConsumerStats:
        encoding, temporal = self.layers()
        return ConsumerStats(
            packets=self.packets,
            bytes=self.bytes,
            octets=self.octets,
            encoding=encoding,
            temporal=temporal,
            timestamp_offset=self.timestamp_offset,
            last_timestamp=self.last_timestamp,
            last_at=self.last_at,
        )


def _difference(one: int, other: int) -> int:
    """How far apart two timestamps are, whichever comes first."""
    return abs(((one - other + 0x80000000) & _TIMESTAMPS) - 0x80000000)
