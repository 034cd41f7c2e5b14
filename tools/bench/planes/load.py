"""Cheap senders: each frame is one segmented send, from a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event
from typing import Final

from attrs import define

from tools.light.loop_sender import LoopSender

_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_HEADER, _TAG = 12, 16
#: The thread wakes up so seldom, and then sends all frames that are due.
TICK_SECONDS: Final = 0.001
#: A frame that is later than this is left out.
LATE_SECONDS: Final = 0.02


@define
class SegmentedStream:
    """Sends each frame of a loop in one segmented send; ``refused`` counts those that the system did not take."""

    sender: LoopSender
    refused: int = 0

    def begin(self) -> None:
        """Raises ``OSError`` where the system has no segmentation."""
        size = _HEADER + self.sender.loop.payload_size + _TAG
        self.sender.endpoint.socket.setsockopt(_SOL_UDP, _UDP_SEGMENT, size)

    def send_frame(self) -> None:
        endpoint = self.sender.endpoint
        frame = b"".join(map(endpoint.transport.seal_rtp, self.sender.next_frame()))
        try:
            endpoint.socket.send(frame)
        except (BlockingIOError, ConnectionRefusedError):
            self.refused += 1


def send_until(over: Event, streams: Sequence[SegmentedStream]) -> None:
    """Send all streams at their rates until ``over`` is set, leaving out what is late."""
    for stream in streams:
        stream.begin()
    rates = [stream.sender.loop.rate for stream in streams]
    begun, seen = time.monotonic(), 0.0
    while not over.is_set():
        now = time.monotonic() - begun
        for stream, rate in zip(streams, rates, strict=True):
            most = max(1, int(rate * LATE_SECONDS))
            for _ in range(min(int(now * rate) - int(seen * rate), most)):
                stream.send_frame()
        seen = now
        time.sleep(TICK_SECONDS)
