"""One run of a scenario on a server: fill the call, forward, count, and let one member leave."""

from __future__ import annotations

import time
from collections.abc import Sequence

import trio
from attrs import frozen

from tools.bench import BenchError
from tools.bench.beside.call import open_call, send
from tools.bench.beside.drain import DrainProcess, DrainTotals
from tools.bench.beside.scenarios import CallScenario
from tools.bench.command import Progress
from tools.bench.conference import Conference

SETTLE_SECONDS = 0.5
#: Seconds without a packet after which no packet is on the way any more.
QUIET_SECONDS = 0.25
#: Longest wait for the last packets, in seconds. An overrun server may need longer. Later packets count as lost.
QUIET_AT_MOST = 3.0
FILL_SECONDS = 180.0


@frozen
class RunResult:
    """Figures of one run. Times are in seconds, memory in bytes.

    ``joins`` are the times from opening a WebSocket to the first packet, without the waits for other members.
    ``notice`` is the time from a broken connection to the first notice of it at another member, or None without one.

    ``busy`` and ``drain_busy`` are processor time of the load generator and of the drain, as shares of a core.
    ``profiles`` are the SRTP profiles that were negotiated.
    """

    cpu: float
    seconds: float
    expected: int
    received: DrainTotals
    joins: Sequence[float]
    notice: float | None
    memory_per_member: float
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
    def drain_busy(self) -> float:
        return self.received.cpu / self.seconds


async def measure(
    scenario: CallScenario, conference: Conference, drain: DrainProcess, seconds: float, progress: Progress
) -> RunResult:
    """Run one scenario on a server. Raises :exc:`BenchError` and ``trio.TooSlowError``."""
    process = conference.process
    await trio.sleep(SETTLE_SECONDS)
    memory = process.memory()
    async with open_call(scenario, conference, drain) as call:
        progress(f"{process.name}: {scenario.members} join")
        with trio.fail_after(FILL_SECONDS):
            await call.fill()
        joins = call.joins()
        await until_quiet(drain)
        drain.begin()
        progress(f"{process.name} forwards {scenario.rate} packets a second")
        cpu, own, began = process.cpu_seconds(), time.process_time(), time.monotonic()
        packets, late_p99 = await send(call.senders, seconds)
        await until_quiet(drain)
        spent, lasted = process.cpu_seconds() - cpu, time.monotonic() - began
        busy = (time.process_time() - own) / lasted
        received, memory, threads = drain.report(), process.memory() - memory, process.threads()
        if not received.packets:
            raise BenchError("nothing was forwarded")
        return RunResult(
            cpu=spent,
            seconds=lasted,
            expected=packets * (scenario.members - 1),
            received=received,
            joins=joins,
            notice=await call.let_one_leave(),
            memory_per_member=memory / scenario.members,
            threads=threads,
            late_p99=late_p99,
            busy=busy,
            profiles=call.profiles(),
        )


async def until_quiet(drain: DrainProcess) -> None:
    """Wait until no more packets come, but no longer than :data:`QUIET_AT_MOST`."""
    with trio.move_on_after(QUIET_AT_MOST):
        before = -1
        while (now := drain.count()) != before:
            before = now
            await trio.sleep(QUIET_SECONDS)
