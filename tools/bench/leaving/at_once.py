"""Half of a channel leaves at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from attrs import define, frozen

from tools.bench.gateway_process import GatewayProcess
from tools.bench.leaving.channel import Channel, Member
from tools.bench.leaving.lag import Lag
from tools.bench.leaving.ways import WAYS, now

MEMBERS: Final = 500
LEAVERS: Final = 250
# Everybody hears these; half of them are among the leavers.
SPEAKERS: Final = 8
JOIN_AT_ONCE: Final = 100
TOLD_SECONDS: Final = 60.0
SAMPLE_SECONDS: Final = 0.01


@frozen
class AtOnce:
    """Times in seconds from the first socket's closing, memory in bytes.

    ``closing`` is how long it took this side to close all sockets, ``cpu`` what the gateway used until all were told,
    and ``others`` are those who stayed, each of whom was checked.
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
class Memory:
    """The most that the gateway had resident."""

    gateway: GatewayProcess
    peak: int = 0

    async def run(self) -> None:
        while True:
            self.peak = max(self.peak, self.gateway.memory())
            await trio.sleep(SAMPLE_SECONDS)


async def fill(channel: Channel, progress: Callable[[str], None]) -> None:
    """In parts, and each part's events are checked before the next: together they would fill this side's memory."""
    for first in range(0, MEMBERS, JOIN_AT_ONCE):
        progress(f"{first + JOIN_AT_ONCE} of {MEMBERS} members join")
        await channel.fill([f"m{first + number}" for number in range(JOIN_AT_ONCE)], with_media=True)
        await channel.settle()
        channel.check()
    progress(f"everybody takes {SPEAKERS} streams")
    await channel.subscribe_all(list(channel.members.values())[:SPEAKERS])
    await channel.settle()
    channel.check()


async def leave_at_once(gateway: GatewayProcess, channel: Channel) -> AtOnce:
    """Every second member goes, in one loop without a pause."""
    members = list(channel.members.values())
    leavers = members[:: MEMBERS // LEAVERS]
    names = [member.user_id for member in leavers]
    for name in names:
        del channel.members[name]
    watch = channel.crowd.expect(names, len(channel.members))
    memory, lag = Memory(gateway), Lag()
    for member in leavers:
        channel.crowd.ignore(member.client)
    memory_before, cpu = gateway.memory(), gateway.cpu_seconds()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.run)
        nursery.start_soon(lag.run)
        begun = now()
        close_all(leavers)
        closed = now()
        await channel.crowd.told(watch, TOLD_SECONDS)
        cpu = gateway.cpu_seconds() - cpu
        await channel.settle()
        nursery.cancel_scope.cancel()
    channel.check(names, [way.reason for way in WAYS])
    times = [at for told in watch.times.values() for at in told]
    for member in leavers:
        member.go()
    first, last = min(times) - begun, max(times) - begun
    others = len(channel.members)
    return AtOnce(others, closed - begun, first, last, cpu, memory_before, memory.peak, lag.take())


def close_all(leavers: list[Member]) -> None:
    for number, member in enumerate(leavers):
        WAYS[number % len(WAYS)].go(member.client.socket)
