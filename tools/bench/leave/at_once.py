"""Half of a channel leaves at once."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final

import trio
from attrs import frozen

from tools.bench import BenchError
from tools.bench.channel import ENDINGS, BenchChannel, LeaveWatch, open_channel
from tools.bench.command import Progress
from tools.bench.figures import met, ms, table
from tools.bench.leave.watched_gateway import EVENT, Watched
from tools.loadtest.own_load import LagMeter
from tools.servers import ARGUMENTS, GatewayProcess, running_gateway

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
OUTBOXES_AIM: Final = 200e6
STEP_AIM: Final = 0.1


@frozen
class AtOnce:
    """A leave of many members.

    ``cpu`` is the gateway's processor time in seconds until all notices had arrived. ``memory`` has samples of its
    resident memory in bytes. ``lag`` is the bench's own longest delay in seconds. ``others`` counts the members that
    stayed, all of which were checked.
    """

    watch: LeaveWatch
    others: int
    cpu: float
    memory: Sequence[int]
    lag: float


async def measure(progress: Progress, options: Sequence[str] = ()) -> tuple[AtOnce, AtOnce, Watched]:
    """Do it twice, the second time with a gateway that watches itself.

    ``options`` are further ones of ``sfu-gateway serve``.
    """
    async with running_gateway(("gateway", *ARGUMENTS, *options)) as gateway, open_channel(gateway) as channel:
        await _fill(channel, progress)
        once = await _leave_at_once(gateway, channel)
    async with running_gateway((*WATCHED, *options)) as gateway, open_channel(gateway) as channel:
        await _fill(channel, progress)
        gateway.process.send_signal(signal.SIGRTMIN)
        return once, await _leave_at_once(gateway, channel), await end_watch(gateway)


async def _fill(channel: BenchChannel, progress: Progress) -> None:
    """Fill the channel in parts.

    Check and drop the events after each part, because all events together would fill the bench's memory.
    """
    while len(channel.members) < MEMBERS:
        progress(f"{len(channel.members) + JOIN_AT_ONCE} of {MEMBERS} members join")
        await channel.fill(JOIN_AT_ONCE, with_media=True)
        await channel.settle_and_check()
    progress(f"everybody consumes {SPEAKERS} streams")
    await channel.all_listen([*channel.members.values()][:SPEAKERS])
    await channel.settle_and_check()


async def _leave_at_once(gateway: GatewayProcess, channel: BenchChannel) -> AtOnce:
    """End every second member's connection, in one loop without a pause."""
    leavers = [*channel.members.values()][:: MEMBERS // LEAVERS]
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
    return AtOnce(watch, len(channel.members), cpu, memory, lag.take())


async def end_watch(gateway: GatewayProcess) -> Watched:
    """Let the gateway stop watching itself, and return its report. Raises :exc:`BenchError` if none comes."""
    gateway.process.send_signal(signal.SIGRTMIN)
    with trio.move_on_after(REPORT_SECONDS):
        while True:
            if (entry := next(gateway.events(EVENT), None)) is not None:
                return Watched(**entry["report"])
            await trio.sleep(SAMPLE_SECONDS)
    raise BenchError("the watched gateway gave no report")


def report(once: AtOnce, again: AtOnce, watched: Watched) -> list[str]:
    """Return the part of the report about this leave. ``again`` is the leave at the ``watched`` gateway."""
    watch = once.watch
    rows = [
        ["first notice of a leave after", f"{watch.first_notice:.2f} s", ""],
        ["last notice of the last leave after", f"{watch.last_notice:.2f} s", ""],
        ["processor time of the gateway until then", f"{once.cpu:.2f} s", ""],
        ["lists, revisions, one `user_left` each, checked at", f"{once.others} of {once.others}", "met"],
        ["readers that keep up and were closed", "0", "met"],
        ["resident memory before, at most", f"{_mb(once.memory[0])}, {_mb(max(once.memory))}", ""],
        [
            "all outboxes together, at most †",
            _mb(watched.outboxes),
            f"{_mb(OUTBOXES_AIM)}: {met(watched.outboxes, OUTBOXES_AIM)}",
        ],
        ["the largest outbox †", _mb(watched.largest_outbox), ""],
        [
            f"the longest step († in `{watched.task}`)",
            f"{ms(watched.longest_step)} ms",
            f"{ms(STEP_AIM, 0)} ms: {met(watched.longest_step, STEP_AIM)}",
        ],
        ["the longest step, without garbage collection †", f"{ms(watched.longest_own)} ms", ""],
        [
            "collections of the oldest generation, the longest †",
            f"{watched.collections}, {ms(watched.longest_collection)} ms",
            "",
        ],
        ["the longest time without a look at the network †", f"{ms(watched.longest_round)} ms", ""],
        ["the bench itself late by", f"{ms(once.lag)} ms at most", ""],
    ]
    return [
        f"### {LEAVERS} of {MEMBERS} leave at once",
        f"The bench closes their sockets in one loop, in {ms(watch.ended - watch.begun)} ms, by FIN, close frame and "
        f"reset in turn. Each member has two transports and a microphone and consumes {SPEAKERS} streams.",
        table(["what", "measured", "aim"], rows),
        "† From a second run, in which the gateway watched its own steps. In that run the last notice came after "
        f"{again.watch.last_notice:.2f} s. A message that waits in many outboxes is in memory once and counts in each.",
    ]


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
