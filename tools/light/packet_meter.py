"""What comes of the streams that a light client receives, counted to the packet and opened now and then.

RTP headers are in the clear under SRTP (RFC 3711 section 3.1): every packet is counted by its SSRC and sequence
number, and only a sample is decrypted, to see whether it is what it should be and how long it was on its way.
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

#: One of so many packets is opened, by its sequence number: a prime, so that each place in a burst gets its turn.
OPEN_EVERY: Final = 11
#: As RFC 3550 appendix A.1: what is further apart than this is not a gap with late packets to come.
_MAX_GAP: Final = 3000
_MAX_STREAMS: Final = 4096
_HEADER: Final = struct.Struct("!BBHII")


@define
class PacketCounts:
    """Totals of one stream or of many.

    ``bytes`` are whole SRTP packets.  ``reordered`` came after one with a higher number, ``duplicated`` again; ``lost``
    is what has not come, so it falls when something comes late.  Of those that were opened, ``unopened`` could not be,
    ``unstamped`` had no stamp, and ``strange`` were of another source than the first of their stream.
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
        """The share of what should have come that did not, 0 to 1."""
        expected = self.packets - self.duplicated + self.lost
        return self.lost / expected if expected else 0.0


_COUNTED: Final = tuple(attribute.name for attribute in attrs.fields(PacketCounts))


@define(eq=False)
class StreamMeter:
    """One stream, by its SSRC.  ``begun`` is set with its first packet, whose arrival is ``first_at`` (seconds of the
    monotonic clock)."""

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
        """Count a packet; whether it is newer than all before it."""
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
            # One cycle up: what was overtaken by the first packet has a number that is not negative, either.
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
        """Look into the newest packet, opened; ``arrived_at`` gives nanoseconds of the monotonic clock."""
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
        """The sender's number of the newest packet, as the last opened one tells it."""
        return None if self._numbers is None else self._highest + self._numbers

    def expect_until(self, sent: int) -> int:
        """Its source is done after ``sent`` packets: those behind the newest that came are lost; how many."""
        newest = self.newest_number
        if newest is None or newest + 1 >= sent:
            return 0
        missing = sent - newest - 1
        self.counts.lost += missing
        self._highest += missing
        return missing


@define(eq=False)
class PacketMeter:
    """All streams of one endpoint.  Give it to :func:`tools.light.open_light_client`, which tells it what to expect.

    ``done`` are the counts, and ``done_latency`` the latencies, of streams that were closed, by kind; ``strays`` are
    packets of closed streams, and of those that nobody expected.
    """

    open_every: int = OPEN_EVERY
    streams: dict[int, StreamMeter] = field(factory=dict)
    done: dict[MediaKind, PacketCounts] = field(factory=lambda: {"audio": PacketCounts(), "video": PacketCounts()})
    done_latency: dict[MediaKind, Histogram] = field(factory=lambda: {"audio": Histogram(), "video": Histogram()})
    strays: int = 0
    _closed: dict[int, None] = field(factory=dict)

    def expect(self, ssrc: int, kind: MediaKind, producer_id: str) -> StreamMeter:
        """Packets with this SSRC, some of which may have come, are a stream of this producer."""
        meter = self.streams.setdefault(ssrc, StreamMeter(ssrc))
        meter.kind, meter.producer_id = kind, producer_id
        return meter

    def close(self, ssrc: int) -> None:
        """No more is expected; what came stays counted in ``done``."""
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
        """Of all streams of a kind, closed or not."""
        total = PacketCounts()
        total.add(self.done[kind])
        for meter in self.streams.values():
            if meter.kind == kind:
                total.add(meter.counts)
        return total

    def take_latency(self, kind: MediaKind) -> Histogram:
        """What was measured since the last call."""
        taken = self.done_latency[kind].take()
        for meter in self.streams.values():
            if meter.kind == kind:
                taken.add(meter.latency.take())
        return taken

    def receive_untrusted(
        self, buffer: bytearray, size: int, opened: Callable[[], bytes | None], arrived_at: Callable[[], int]
    ) -> None:
        """Count the SRTP packet in the first ``size`` bytes of the buffer; ``opened`` decrypts it."""
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
        # The first packets may overtake the answer that tells their SSRC.
        if ssrc in self._closed or len(self.streams) >= _MAX_STREAMS:
            return None
        meter = self.streams[ssrc] = StreamMeter(ssrc)
        return meter
