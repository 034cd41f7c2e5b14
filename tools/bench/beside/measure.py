"""One scenario on one server, once: fill it, let it forward, count, let somebody go."""

from __future__ import annotations

import time
from collections.abc import Sequence

import trio
from attrs import frozen

from tools.bench.beside.conference import Conference
from tools.bench.beside.crowd import BadRun, open_crowd
from tools.bench.beside.draining import Drainer, Received
from tools.bench.beside.scenarios import Scenario
from tools.bench.beside.sending import send
from tools.bench.progress import Progress

SETTLE_SECONDS = 0.5
#: Nothing came for so long: what was under way has arrived.
QUIET_SECONDS = 0.25
#: A server that is overrun may take a while; what comes later counts as lost.
QUIET_AT_MOST = 3.0
FILL_SECONDS = 180.0


@frozen
class Result:
    """Of one run; times in seconds, memory in bytes.

    ``joins`` are each member's time from opening its WebSocket to its first packet, less what it waited for others.
    ``told`` is None where nobody was told in time.  ``busy`` is the load generator's own processor time as a share of
    one core, ``drain_busy`` of it the drain's; ``profiles`` are the SRTP profiles that were agreed on.
    """

    cpu: float
    seconds: float
    expected: int
    received: Received
    joins: Sequence[float]
    told: float | None
    memory_before: int
    memory_after: int
    members: int
    threads: int
    late_p99: float
    busy: float
    profiles: frozenset[str]

    @property
    def cpu_per_packet(self) -> float:
        return self.cpu / self.received.packets

    @property
    def loss(self) -> float:
        return max(0.0, 1 - self.received.packets / self.expected)

    @property
    def duplicates(self) -> int:
        return max(0, self.received.packets - self.expected)

    @property
    def memory_per_member(self) -> float:
        return (self.memory_after - self.memory_before) / self.members

    @property
    def drain_busy(self) -> float:
        return self.received.cpu / self.seconds


async def measure(
    scenario: Scenario, conference: Conference, drainer: Drainer, seconds: float, progress: Progress
) -> Result:
    """Raises :exc:`BadRun` and ``trio.TooSlowError``."""
    process = conference.process
    await trio.sleep(SETTLE_SECONDS)
    memory = process.memory()
    async with open_crowd(scenario, conference, drainer) as crowd:
        progress(f"{process.name}: {scenario.members} join")
        with trio.fail_after(FILL_SECONDS):
            await crowd.fill()
        joins = crowd.joins()
        await until_quiet(drainer)
        drainer.begin()
        progress(f"{process.name} forwards {scenario.rate} packets a second")
        cpu, own, began = process.cpu_seconds(), time.process_time(), time.monotonic()
        sent = await send(crowd.flows, seconds)
        await until_quiet(drainer)
        spent, lasted = process.cpu_seconds() - cpu, time.monotonic() - began
        busy = (time.process_time() - own) / lasted
        received, after, threads = drainer.report(), process.memory(), process.threads()
        if not received.packets:
            raise BadRun("nothing was forwarded")
        told = await crowd.somebody_goes()
        return Result(
            cpu=spent,
            seconds=lasted,
            expected=sent.expected,
            received=received,
            joins=joins,
            told=told,
            memory_before=memory,
            memory_after=after,
            members=scenario.members,
            threads=threads,
            late_p99=sent.late_p99,
            busy=busy,
            profiles=crowd.profiles(),
        )


async def until_quiet(drainer: Drainer) -> None:
    """Return when nothing comes any more, or enough was waited."""
    with trio.move_on_after(QUIET_AT_MOST):
        before = -1
        while (now := drainer.count()) != before:
            before = now
            await trio.sleep(QUIET_SECONDS)
