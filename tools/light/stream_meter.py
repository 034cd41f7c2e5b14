"""Counts one received stream by the numbers of its packets, and notes the missing ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

import trio
from attrs import define, field

from protocol.vocabulary import MediaKind
from tools.light.histogram import Histogram
from tools.light.missing_packets import MissingPackets
from tools.light.packet_counts import PacketCounts
from tools.light.red import count_redundant_blocks_untrusted
from tools.light.retransmission import read_retransmission_untrusted
from tools.light.stamp import read_stamp_untrusted
from tools.light.vp8 import begins_key_frame_untrusted
from tools.light.wire.errors import BadPacket
from tools.light.wire.rtcp import ReportBlock
from tools.light.wire.rtp import parse_header_untrusted

#: Largest gap whose packets may still come late (RFC 3550 appendix A.1).
_MAX_GAP: Final = 3000


@define(eq=False)
class StreamMeter:
    """Counts one stream, by its SSRC.

    The first packet sets ``begun`` and ``first_at``, its arrival in seconds of the monotonic clock.  ``rtx_ssrc`` is
    the SSRC of the retransmissions, ``red`` the payload type of redundant audio.  ``missing`` has the packets to ask
    for, and is None until :meth:`request_missing`.  While there are such packets, the stream is in ``lacking``.  If its
    codec is ``vp8``, key frames end the search.  ``source`` is the sender's SSRC of the newest decrypted packet.  It
    may change if the producer is in ``simulcast``.
    """

    ssrc: int
    kind: MediaKind | None = None
    producer_id: str | None = None
    rtx_ssrc: int | None = None
    red: int | None = None
    vp8: bool = False
    simulcast: bool = False
    clock: Callable[[], float] = time.monotonic
    lacking: dict[int, StreamMeter] = field(factory=dict)
    counts: PacketCounts = field(factory=PacketCounts)
    latency: Histogram = field(factory=Histogram)
    begun: trio.Event = field(factory=trio.Event)
    first_at: float | None = None
    source: int | None = None
    missing: MissingPackets | None = None
    _first: int = 0
    _highest: int = -1
    #: The numbers that did not come, and whether a key frame has superseded each.
    _gaps: dict[int, bool] = field(factory=dict)
    _numbers: int | None = None
    #: Expected and lost packets at the last report.
    _reported: tuple[int, int] = (0, 0)

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
        skipped = range(self._highest + 1, newest)
        if step <= _MAX_GAP:
            self._gaps.update(dict.fromkeys(skipped, False))
        self._miss(skipped)
        self.counts.lost += step - 1
        self._highest = newest
        while self._gaps and (oldest := next(iter(self._gaps))) < newest - _MAX_GAP:
            del self._gaps[oldest]

    def _miss(self, numbers: range | list[int]) -> None:
        if numbers and self.missing is not None:
            self.missing.add(numbers, self.clock())
            self.lacking[self.ssrc] = self

    def _find(self, number: int) -> bool:
        """Take a packet off the missing ones.  Return False if it was not missing."""
        if number not in self._gaps:
            return False
        self.counts.superseded -= self._gaps.pop(number)
        self.counts.lost -= 1
        if self.missing is not None:
            self.missing.remove(number, self.clock())
            if self.missing.next_due == math.inf:
                self.lacking.pop(self.ssrc, None)
        return True

    def _take_late(self, number: int) -> None:
        counts = self.counts
        if self._find(number):
            counts.reordered += 1
        elif self._first - _MAX_GAP < number < self._first:
            between = range(number + 1, self._first)
            self._gaps.update(dict.fromkeys(between, False))
            self._miss(between)
            counts.lost += len(between)
            counts.reordered += 1
            self._first = number
        else:
            counts.duplicated += 1

    def request_missing(self) -> None:
        """Note missing packets from now on, to ask for them.  Begin with those that are missing already."""
        if self.missing is None:
            self.missing = MissingPackets(self.counts)
            self._miss(list(self._gaps))

    def _supersede(self, missing: MissingPackets) -> None:
        """Ask for none of the missing packets any more: a decoder needs nothing before the newest key frame."""
        numbers = missing.clear()
        self._gaps.update(dict.fromkeys(numbers, True))
        self.counts.superseded += len(numbers)
        self.lacking.pop(self.ssrc, None)

    def take_retransmission_untrusted(self, packet: bytes | None, size: int) -> None:
        """Count a packet of the stream's retransmissions, which is decrypted, or None if decryption failed."""
        counts = self.counts
        counts.bytes += size
        if packet is None:
            counts.opened += 1
            counts.unopened += 1
            return
        repeated = read_retransmission_untrusted(packet)
        if repeated is None:
            return
        counts.retransmissions += 1
        behind = self._highest - repeated.number & 0xFFFF
        if behind >= 0x8000 or not self._find(self._highest - behind):
            counts.unneeded += 1

    @property
    def may_recover(self) -> bool:
        """Whether a redundant packet may hold missing ones."""
        return bool(self._gaps)

    def take_redundant_untrusted(self, packet: bytes | None) -> None:
        """Find missing packets inside the newest one.  It is decrypted, or None if decryption failed."""
        if packet is not None:
            for age in range(1, count_redundant_blocks_untrusted(packet) + 1):
                self.counts.redundant += self._find(self._highest - age)

    def report(self) -> ReportBlock | None:
        """Return a report about the packets since the last report (RFC 3550 section 6.4.1), or None without any."""
        expected, lost = self._highest - self._first + 1, self.counts.lost_on_the_way
        (expected_before, lost_before), self._reported = self._reported, (expected, lost)
        if self._highest < 0 or expected <= expected_before:
            return None
        fraction = max(0, lost - lost_before) * 256 // (expected - expected_before)
        # The numbers begin one cycle too high.
        return ReportBlock(self.ssrc, min(fraction, 255), lost, self._highest - 0x10000 & 0xFFFFFFFF, jitter=0)

    def take_opened(self, packet: bytes | None, arrived_at: Callable[[], int]) -> None:
        """Check the newest packet, which is decrypted, or None if decryption failed.

        ``arrived_at`` returns nanoseconds of the monotonic clock.
        """
        counts = self.counts
        counts.opened += 1
        if packet is None:
            counts.unopened += 1
            return
        if self.vp8 and self.missing is not None and self.missing.packets and _begins_key_frame_untrusted(packet):
            self._supersede(self.missing)
        stamp = read_stamp_untrusted(packet)
        if stamp is None:
            counts.unstamped += 1
            return
        if self.source is None or self.simulcast:
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
        behind = sent - newest - 1
        self.counts.lost += behind
        self.counts.cut_off += behind
        self._highest += behind
        return behind


def _begins_key_frame_untrusted(packet: bytes) -> bool:
    try:
        header = parse_header_untrusted(packet)
    except BadPacket:
        return False
    return begins_key_frame_untrusted(packet[header.size :])
