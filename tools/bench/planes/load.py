"""Sources that cost little: frames in segmented sends, from a thread of their own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event
from typing import Final

from attrs import define

from tools.bench.beside.legs import Leg
from tools.bench.source import Source, packet

_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_HEADER, _TAG = 12, 16
#: So seldom it wakes up, and sends what has become due.
TICK_SECONDS: Final = 0.001
#: What should have left longer ago than this never does.
LATE_SECONDS: Final = 0.02


@define
class Stream:
    """One channel's source."""

    source: Source
    leg: Leg
    ssrc: int
    bursts: int = 0
    refused: int = 0

    def begin(self) -> None:
        """Raises ``OSError`` where the system has no segmentation."""
        self.leg.sock.setsockopt(_SOL_UDP, _UDP_SEGMENT, _HEADER + self.source.size + _TAG)

    def send_burst(self) -> None:
        source, first = self.source, self.bursts * self.source.burst
        timestamp, last = source.timestamp(self.bursts), source.burst - 1
        seal = self.leg.transport.seal_rtp
        packets = [
            seal(packet(source, self.ssrc, first + index, timestamp, last=index == last))
            for index in range(source.burst)
        ]
        self.bursts += 1
        try:
            self.leg.sock.send(b"".join(packets))
        except (BlockingIOError, ConnectionRefusedError):
            self.refused += 1


def send_until(over: Event, streams: Sequence[Stream]) -> None:
    """Send all streams at their rates until told that it is over; what falls behind is left out."""
    for stream in streams:
        stream.begin()
    most = [max(1, int(stream.source.rate * LATE_SECONDS)) for stream in streams]
    begun, seen = time.monotonic(), 0.0
    while not over.is_set():
        now = time.monotonic() - begun
        for stream, limit in zip(streams, most, strict=True):
            rate = stream.source.rate
            for _ in range(min(int(now * rate) - int(seen * rate), limit)):
                stream.send_burst()
        seen = now
        time.sleep(TICK_SECONDS)
