"""The sources: bursts at their times, staggered, sealed and sent by one task without another wait."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import trio
from attrs import define, field

from tools.bench.beside.legs import Leg
from tools.bench.source import Source, packet, report


@define(eq=False)
class Flow:
    """One stream on its way from one member, which reports as ``cname``, to ``receivers`` others."""

    source: Source
    leg: Leg
    ssrc: int
    cname: str
    receivers: int
    bursts: int = 0

    @property
    def packets(self) -> int:
        return self.bursts * self.source.burst

    def send_burst(self) -> None:
        source = self.source
        timestamp = source.timestamp(self.bursts)
        for index in range(source.burst):
            last = index == source.burst - 1
            sequence = self.packets + index
            self.leg.send_rtp(packet(source, self.ssrc, sequence, timestamp, last=last))
        self.bursts += 1
        if (due := report(source, self.ssrc, self.bursts, self.cname)) is not None:
            self.leg.send_rtcp(due)


@define
class Sent:
    """``expected`` packets should arrive; ``late`` is by how many seconds each burst was late."""

    expected: int = 0
    late: list[float] = field(factory=list)

    @property
    def late_p99(self) -> float:
        return sorted(self.late)[int(0.99 * len(self.late))] if self.late else 0.0


async def send(flows: Sequence[Flow], seconds: float) -> Sent:
    """Send all flows for so long, each at its own moment within its period, as people's clocks are."""
    sent, begun = Sent(), trio.current_time()
    before = sum(flow.packets * flow.receivers for flow in flows)
    due = [(begun + number / len(flows) / flow.source.rate, number) for number, flow in enumerate(flows)]
    heapq.heapify(due)
    while due[0][0] < begun + seconds:
        moment, number = due[0]
        await trio.sleep_until(moment)
        sent.late.append(trio.current_time() - moment)
        flows[number].send_burst()
        heapq.heapreplace(due, (moment + 1 / flows[number].source.rate, number))
    sent.expected = sum(flow.packets * flow.receivers for flow in flows) - before
    return sent
