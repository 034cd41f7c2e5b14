"""Counts every packet that a light client receives, and decrypts a sample of them.

SRTP leaves RTP headers in the clear (RFC 3711 section 3.1), so SSRC and sequence number are enough to count.  A
decrypted packet shows its source and its latency.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import attrs
import trio
from attrs import define, field

from protocol.vocabulary import MediaKind
from tools.light.histogram import Histogram
from tools.light.stamp import read_stamp_untrusted

#: A packet is decrypted if its sequence number is a multiple of this.  A prime samples every position in the bursts.
OPEN_EVERY: Final = 11
#: Largest gap whose packets may still come late (RFC 3550 appendix A.1).
_MAX_GAP: Final = 3000
_MAX_STREAMS: Final = 4096
_HEADER: Final = struct.Struct("!BBHII")


@define
class PacketCounts:
    """Totals of one stream or of many.

    ``bytes`` is the size of the whole SRTP packets.  ``reordered`` packets came after a packet with a higher number.
    ``duplicated`` packets came again.  ``lost`` packets have not come yet, so a late packet lowers this count.

    ``opened`` packets were chosen for decryption.  Of those, ``unopened`` could not be decrypted, ``unstamped`` had no
    stamp, and ``strange`` came from another source than the first of their stream.
    """

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    opened: int = 0
    unopened: int = 0
    unstamped: int = 0
    strange: int = 0

    def add(self, other: PacketCounts) -> None:
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def loss(self) -> float:
        """The lost share of the expected packets, 0 to 1."""
        expected = self.packets - self.duplicated + self.lost
        return self.lost / expected if expected else 0.0


_COUNTED: Final = tuple(attribute.name for attribute in attrs.fields(PacketCounts))


@define(eq=False)
class StreamMeter:
    """Counts one stream, by its SSRC.

    The first packet sets ``begun`` and ``first_at``, its arrival in seconds of the monotonic clock.
    """

    ssrc: int
    kind: MediaKind | None = None
    producer_id: str | None = None
    counts: PacketCounts = field(factory=PacketCounts)
    latency: Histogram = field(factory=Histogram)
    begun: trio.Event = field(factory=trio.Event)
    first_at: float | None = None
    source: int | None = None
    _first: int = 0
    _highest: int = -1
    _missing: dict[int, None] = field(factory=dict)
    _numbers: int | None = None

    def take(self, sequence: int, size: int) -> bool:
        """Count a packet.  Return whether it is newer than all packets before it."""
        counts = self.counts
        counts.packets += 1
        counts.bytes += size
        step = sequence - self._highest & 0xFFFF
        if step == 1 and self._highest >= 0:
            self._highest += 1
            return True
        return self._take_unexpected(sequence, step)

    def _take_unexpected(self, sequence: int, step: int) -> bool:
        if self._highest < 0:
            # Begin one cycle of 2**16 above the first packet's number.  So an earlier packet that comes late has no
            # negative number.
            self._first = self._highest = sequence + 0x10000
            return True
        if 0 < step < 0x8000:
            self._skip(step)
            return True
        self._take_late(self._highest - (-step & 0xFFFF))
        return False

    def _skip(self, step: int) -> None:
        newest = self._highest + step
        if step <= _MAX_GAP:
            self._missing.update(dict.fromkeys(range(self._highest + 1, newest)))
        self.counts.lost += step - 1
        self._highest = newest
        while self._missing and (oldest := next(iter(self._missing))) < newest - _MAX_GAP:
            del self._missing[oldest]

    def _take_late(self, number: int) -> None:
        counts = self.counts
        if number in self._missing:
            del self._missing[number]
            counts.lost -= 1
            counts.reordered += 1
        elif self._first - _MAX_GAP < number < self._first:
            self._missing.update(dict.fromkeys(range(number + 1, self._first)))
            counts.lost += self._first - number - 1
            counts.reordered += 1
            self._first = number
        else:
            counts.duplicated += 1

    def take_opened(self, packet: bytes | None, arrived_at: Callable[[], int]) -> None:
        """Check the newest packet, which is decrypted, or None if decryption failed.

        ``arrived_at`` returns nanoseconds of the monotonic clock.
        """
        counts = self.counts
        counts.opened += 1
        if packet is None:
            counts.unopened += 1
            return
        stamp = read_stamp_untrusted(packet)
        if stamp is None:
            counts.unstamped += 1
            return
        if self.source is None:
            self.source = stamp.source
        if stamp.source != self.source:
            counts.strange += 1
            return
        self._numbers = stamp.number - self._highest
        self.latency.record((arrived_at() - stamp.sent_at) / 1e9)

    @property
    def newest_number(self) -> int | None:
        """The sender's number of the newest packet, computed from the last decrypted one."""
        return None if self._numbers is None else self._highest + self._numbers

    def expect_until(self, sent: int) -> int:
        """Count the packets after the newest received one as lost, and return their number.

        ``sent`` is the number of packets that the sender has sent in all.
        """
        newest = self.newest_number
        if newest is None or newest + 1 >= sent:
            return 0
        missing = sent - newest - 1
        self.counts.lost += missing
        self._highest += missing
        return missing


@define(eq=False)
class PacketMeter:
    """Counts all streams of one endpoint.  Pass it to :func:`tools.light.open_light_client`.

    ``done`` and ``done_latency`` hold the counts and latencies of closed streams, by kind.  ``strays`` counts packets
    of closed streams and of unexpected ones.
    """

    open_every: int = OPEN_EVERY
    streams: dict[int, StreamMeter] = field(factory=dict)
    done: dict[MediaKind, PacketCounts] = field(factory=lambda: {"audio": PacketCounts(), "video": PacketCounts()})
    done_latency: dict[MediaKind, Histogram] = field(factory=lambda: {"audio": Histogram(), "video": Histogram()})
    strays: int = 0
    _closed: dict[int, None] = field(factory=dict)

    def expect(self, ssrc: int, kind: MediaKind, producer_id: str) -> StreamMeter:
        """Expect a producer's stream with this SSRC.  Some of its packets may have come already."""
        meter = self.streams.setdefault(ssrc, StreamMeter(ssrc))
        meter.kind, meter.producer_id = kind, producer_id
        return meter

    def close(self, ssrc: int) -> None:
        """Stop expecting a stream.  Its counts stay in ``done``."""
        meter = self.streams.pop(ssrc, None)
        if meter is None:
            return
        self._closed[ssrc] = None
        if len(self._closed) > _MAX_STREAMS:
            del self._closed[next(iter(self._closed))]
        if meter.kind is None:
            self.strays += meter.counts.packets
            return
        self.done[meter.kind].add(meter.counts)
        self.done_latency[meter.kind].add(meter.latency)

    def counts(self, kind: MediaKind) -> PacketCounts:
        """Return the counts of all streams of a kind, closed ones included."""
        total = PacketCounts()
        total.add(self.done[kind])
        for meter in self.streams.values():
            if meter.kind == kind:
                total.add(meter.counts)
        return total

    def take_latency(self, kind: MediaKind) -> Histogram:
        """Return the latencies since the last call."""
        taken = self.done_latency[kind].take()
        for meter in self.streams.values():
            if meter.kind == kind:
                taken.add(meter.latency.take())
        return taken

    def receive_untrusted(
        self, buffer: bytearray, size: int, opened: Callable[[], bytes | None], arrived_at: Callable[[], int]
    ) -> None:
        """Count the SRTP packet in the first ``size`` bytes of the buffer.  ``opened`` decrypts it."""
        if size < _HEADER.size:
            self.strays += 1
            return
        _, _, sequence, _, ssrc = _HEADER.unpack_from(buffer)
        meter = self.streams.get(ssrc) or self._unexpected(ssrc)
        if meter is None:
            self.strays += 1
            return
        newest = meter.take(sequence, size)
        if meter.first_at is None:
            meter.first_at = arrived_at() / 1e9
            meter.begun.set()
            meter.take_opened(opened(), arrived_at)
        elif newest and sequence % self.open_every == 0:
            meter.take_opened(opened(), arrived_at)

    def _unexpected(self, ssrc: int) -> StreamMeter | None:
        # The first packets may arrive before the answer to `consume`, which tells their SSRC.
        if ssrc in self._closed or len(self.streams) >= _MAX_STREAMS:
            return None
        meter = self.streams[ssrc] = StreamMeter(ssrc)
        return meter
