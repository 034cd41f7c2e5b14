"""The streams that a bench sends: frames at their times, encrypted and sent by one task."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import trio
from attrs import define, field

from tools.light.loop_sender import LoopSender


@define(eq=False)
class Flow:
    """One stream to ``receivers`` members."""

    sender: LoopSender
    receivers: int

    @property
    def expected(self) -> int:
        """Packets that should have arrived so far."""
        return self.sender.packets * self.receivers


@define
class SendResult:
    """``expected`` packets should arrive; ``late`` holds each frame's delay in seconds."""

    expected: int = 0
    late: list[float] = field(factory=list)

    @property
    def late_p99(self) -> float:
        return sorted(self.late)[int(0.99 * len(self.late))] if self.late else 0.0


async def send(flows: Sequence[Flow], seconds: float) -> SendResult:
    """Send all flows for so long, each at moments of its own within its period, as independent cameras do."""
    sent, begun = SendResult(), trio.current_time()
    before = sum(flow.expected for flow in flows)
    periods = [1 / flow.sender.loop.rate for flow in flows]
    due = [(begun + number / len(flows) * period, number) for number, period in enumerate(periods)]
    heapq.heapify(due)
    while due[0][0] < begun + seconds:
        moment, number = due[0]
        await trio.sleep_until(moment)
        sent.late.append(trio.current_time() - moment)
        flows[number].sender.send_frame()
        heapq.heapreplace(due, (moment + periods[number], number))
    sent.expected = sum(flow.expected for flow in flows) - before
    return sent
