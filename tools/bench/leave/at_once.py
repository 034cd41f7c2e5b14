"""Half of a channel leaves at once."""

from __future__ import annotations

from typing import Final

import trio
from attrs import define, frozen

from tools.bench.gateway_process import GatewayProcess
from tools.bench.leave.channel import BenchChannel, BenchMember
from tools.bench.leave.endings import ENDINGS, now
from tools.bench.progress import Progress
from tools.loadtest.own_load import LagMeter

MEMBERS: Final = 500
LEAVERS: Final = 250
# Everybody consumes the streams of these members; half of them are among the leavers.
SPEAKERS: Final = 8
JOIN_AT_ONCE: Final = 100
TOLD_SECONDS: Final = 60.0
SAMPLE_SECONDS: Final = 0.01
LOOK_SECONDS: Final = 0.002


@frozen
class AtOnce:
    """Times in seconds since the first connection ended, memory in bytes.

    ``closing`` is how long the bench took to end all connections, ``cpu`` the gateway's processor time until all were
    told, ``lag`` the bench's own delay at most.  ``others`` counts the members that stayed; each was checked.
    """

    others: int
    closing: float
    first_told: float
    last_told: float
    cpu: float
    memory_before: int
    memory_peak: int
    lag: float


@define
class PeakMemory:
    """``peak`` is the most memory that the gateway had resident, in bytes."""

    gateway: GatewayProcess
    peak: int = 0

    async def run(self) -> None:
        while True:
            self.peak = max(self.peak, self.gateway.memory())
            await trio.sleep(SAMPLE_SECONDS)


async def fill(channel: BenchChannel, progress: Progress) -> None:
    """Fill the channel in parts.  Check the events of each part, or all of them would fill the bench's memory."""
    for first in range(0, MEMBERS, JOIN_AT_ONCE):
        progress(f"{first + JOIN_AT_ONCE} of {MEMBERS} members join")
        await channel.fill([f"m{first + number}" for number in range(JOIN_AT_ONCE)], with_media=True)
        await channel.settle()
        channel.check()
    progress(f"everybody consumes {SPEAKERS} streams")
    await channel.subscribe_all(list(channel.members.values())[:SPEAKERS])
    await channel.settle()
    channel.check()


async def leave_at_once(gateway: GatewayProcess, channel: BenchChannel) -> AtOnce:
    """End every second member's connection, in one loop without a pause."""
    leavers = list(channel.members.values())[:: MEMBERS // LEAVERS]
    names = [member.user_id for member in leavers]
    for member in leavers:
        del channel.members[member.user_id]
        member.signalling.ignore()
    watch = channel.listeners.expect(names, len(channel.members))
    memory, lag = PeakMemory(gateway), LagMeter(LOOK_SECONDS)
    memory_before, cpu = gateway.memory(), gateway.cpu_seconds()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.run)
        nursery.start_soon(lag.run)
        begun = now()
        _end_all(leavers)
        closed = now()
        await channel.listeners.wait_all_told(watch, TOLD_SECONDS)
        cpu = gateway.cpu_seconds() - cpu
        await channel.settle()
        nursery.cancel_scope.cancel()
    channel.check(names, {ending.reason for ending in ENDINGS})
    for member in leavers:
        member.close()
    times = [at - begun for told in watch.times.values() for at in told]
    return AtOnce(
        others=len(channel.members),
        closing=closed - begun,
        first_told=min(times),
        last_told=max(times),
        cpu=cpu,
        memory_before=memory_before,
        memory_peak=memory.peak,
        lag=lag.take(),
    )


def _end_all(leavers: list[BenchMember]) -> None:
    for number, member in enumerate(leavers):
        ENDINGS[number % len(ENDINGS)].end(member.signalling.socket)
