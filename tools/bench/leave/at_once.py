"""Half of a channel leaves at once."""

from __future__ import annotations

import signal
from typing import Final

import trio
from attrs import frozen

from tools.bench import BenchError
from tools.bench.command import Progress
from tools.bench.leave.channel import BenchChannel, open_channel
from tools.bench.leave.listeners import ENDINGS
from tools.bench.leave.watched_gateway import EVENT, Watched
from tools.loadtest.own_load import LagMeter
from tools.servers import GatewayProcess, running_gateway

#: The module of a gateway that watches itself.
WATCHED: Final = ("tools.bench.leave.watched_gateway",)
MEMBERS: Final = 500
LEAVERS: Final = 250
# Number of members whose streams everybody consumes. Half of them are among the leavers.
SPEAKERS: Final = 8
JOIN_AT_ONCE: Final = 100
NOTICE_SECONDS: Final = 60.0
SAMPLE_SECONDS: Final = 0.01
LOOK_SECONDS: Final = 0.002
REPORT_SECONDS: Final = 30.0


@frozen
class AtOnce:
    """Times in seconds since the first connection ended, memory in bytes.

    ``closing`` is how long the bench took to end all connections, ``cpu`` is the gateway's processor time until all
    notices had arrived. ``lag`` is the bench's own longest delay. ``others`` counts the members that stayed, all of
    which were checked.
    """

    others: int
    closing: float
    first_notice: float
    last_notice: float
    cpu: float
    memory_before: int
    memory_peak: int
    lag: float


async def fill(channel: BenchChannel, progress: Progress) -> None:
    """Fill the channel in parts.

    Check and drop the events after each part, because all events together would fill the bench's memory.
    """
    for first in range(0, MEMBERS, JOIN_AT_ONCE):
        progress(f"{first + JOIN_AT_ONCE} of {MEMBERS} members join")
        await channel.fill([f"m{first + number}" for number in range(JOIN_AT_ONCE)], with_media=True)
        await channel.settle_and_check()
    progress(f"everybody consumes {SPEAKERS} streams")
    await channel.each_subscribes(channel.members.values(), list(channel.members.values())[:SPEAKERS])
    await channel.settle_and_check()


async def leave_at_once(gateway: GatewayProcess, channel: BenchChannel) -> AtOnce:
    """End every second member's connection, in one loop without a pause."""
    leavers = list(channel.members.values())[:: MEMBERS // LEAVERS]
    lag, memory, cpu = LagMeter(LOOK_SECONDS), [gateway.memory()], gateway.cpu_seconds()

    async def sample_memory() -> None:
        while True:
            memory.append(gateway.memory())
            await trio.sleep(SAMPLE_SECONDS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sample_memory)
        nursery.start_soon(lag.run)
        watch = await channel.leave(leavers, ENDINGS, NOTICE_SECONDS)
        cpu = gateway.cpu_seconds() - cpu
        await channel.settle()
        nursery.cancel_scope.cancel()
    await channel.conclude_leave(leavers, {ending.reason for ending in ENDINGS})
    notices = watch.first_notice, watch.last_notice
    return AtOnce(len(channel.members), watch.ended - watch.begun, *notices, cpu, memory[0], max(memory), lag.take())


async def half_leaves(progress: Progress) -> AtOnce:
    async with running_gateway() as gateway, open_channel(gateway, "bench") as channel:
        await fill(channel, progress)
        return await leave_at_once(gateway, channel)


async def half_leaves_watched(progress: Progress) -> tuple[AtOnce, Watched]:
    """Do the same with a gateway that watches itself."""
    async with running_gateway(WATCHED) as gateway, open_channel(gateway, "bench") as channel:
        await fill(channel, progress)
        gateway.process.send_signal(signal.SIGRTMIN)
        return await leave_at_once(gateway, channel), await end_watch(gateway)


async def end_watch(gateway: GatewayProcess) -> Watched:
    """Let the gateway stop watching itself, and return its report. Raises :exc:`BenchError` if none comes."""
    gateway.process.send_signal(signal.SIGRTMIN)
    with trio.move_on_after(REPORT_SECONDS):
        while True:
            if (entry := next(gateway.events(EVENT), None)) is not None:
                return Watched(**entry["report"])
            await trio.sleep(SAMPLE_SECONDS)
    raise BenchError("the watched gateway gave no report")
