"""Members of a large channel leave, in turns with watchers and without."""

from __future__ import annotations

import random
import statistics
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Final

import trio
from attrs import define, field, frozen

from tools.bench.channel import ENDINGS, BenchChannel, BenchMember, Ending, open_channel
from tools.bench.command import Progress
from tools.bench.cpu_meter import CpuMeter
from tools.bench.figures import NOT_MEASURED, met, ms, percentile, table
from tools.bench.watch.watchers import Watchers
from tools.loadtest.own_load import LagMeter
from tools.servers import GatewayProcess, running_gateway

#: Number of members whose streams everybody consumes. They stay.
SPEAKERS: Final = 8
JOIN_AT_ONCE: Final = 100
NOTICE_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.002
# Seconds without a message after which the gateway has finished its work.
QUIET_SECONDS: Final = 0.1
NOTICE_AIM: Final = 0.1


@frozen
class WatchedLeave:
    """One leave: seconds from the socket's closing to the last notice at a member, and at a watcher if any watch.

    ``cpu`` is the gateway's processor time, and ``lag`` the bench's own longest delay, both in seconds.
    """

    members: float
    watchers: float | None
    cpu: float
    lag: float


#: The leaves of each turn, by whether there were watchers.
Turns = Mapping[bool, Sequence[Sequence[WatchedLeave]]]


@define
class WatchedChannel:
    """A full channel and its watchers, with what measures a leave. :func:`open_watched_channel` makes it."""

    channel: BenchChannel
    watchers: Watchers
    meter: CpuMeter
    lag: LagMeter
    _rng: random.Random = field(factory=lambda: random.Random(4))

    async def leave(self, member: BenchMember, ending: Ending) -> WatchedLeave:
        """Let one member leave. Wait until everybody has the notice, and check it. Raises :exc:`BenchError`."""
        channel, watchers = self.channel, self.watchers
        notices = watchers.expect_leave(member.user_id)
        self.meter.take()
        self.lag.take()
        watch = await channel.leave([member], [ending], NOTICE_SECONDS)
        if notices is not None:
            notices.begun = watch.begun
            await watchers.wait_notices(notices, NOTICE_SECONDS)
        lag = self.lag.take()
        await channel.quiet(QUIET_SECONDS)
        cpu = self.meter.take()
        await channel.conclude_leave([member], [ending.reason])
        return WatchedLeave(watch.last_notice, None if notices is None else notices.last_notice, cpu, lag)

    async def come_back(self, user_id: str) -> None:
        """Let a member join again, and consume what it did before."""
        member = await self.channel.join(user_id)
        await member.speak()
        await member.listen([*self.channel.members.values()][:SPEAKERS])
        await self.channel.quiet(QUIET_SECONDS)

    async def turn(self, leaves: int, progress: Callable[[str], object], *, watched: bool) -> list[WatchedLeave]:
        """Let randomly chosen members leave and come back, by each ending in turn. Check all lists at the end."""
        await (self.watchers.watch() if watched else self.watchers.unwatch())
        await self.channel.quiet(QUIET_SECONDS)
        await self.meter.note_idle()
        done = []
        for number, ending in zip(range(leaves), cycle(ENDINGS), strict=False):
            progress(f"leave {number + 1} of {leaves}, {'with' if watched else 'without'} watchers")
            user_id = self._rng.choice([*self.channel.members][SPEAKERS:])
            done.append(await self.leave(self.channel.members[user_id], ending))
            await self.come_back(user_id)
        await self.channel.settle_and_check()
        self.watchers.check(self.channel.members)
        return done


@asynccontextmanager
async def open_watched_channel(
    gateway: GatewayProcess, members: int, watchers: int, progress: Callable[[str], object]
) -> AsyncIterator[WatchedChannel]:
    """Yield a channel with so many members, who have media, and connected clients that do not watch it yet."""
    lag, meter = LagMeter(LOOK_SECONDS), CpuMeter(gateway)
    async with open_channel(gateway, "watched") as channel, trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        while (more := min(JOIN_AT_ONCE, members - len(channel.members))) > 0:
            progress(f"{len(channel.members) + more} of {members} members join")
            await channel.fill(more, with_media=True)
            await channel.settle_and_check()
        await channel.all_listen([*channel.members.values()][:SPEAKERS])
        await channel.settle_and_check()
        watching = Watchers(channel)
        progress(f"{watchers} watchers connect")
        await watching.open(watchers)
        yield WatchedChannel(channel, watching, meter, lag)
        nursery.cancel_scope.cancel()


async def measure(members: int, watchers: int, leaves: int, turns: int, progress: Progress) -> Turns:
    """Measure ``leaves`` in each of ``turns`` turns with watchers, and in as many without."""
    done: dict[bool, list[list[WatchedLeave]]] = {False: [], True: []}
    async with running_gateway() as gateway, open_watched_channel(gateway, members, watchers, progress) as watched:
        for with_watchers in progress.by_turns((False, True), turns):
            done[with_watchers].append(await watched.turn(leaves, progress, watched=with_watchers))
    progress.round = ""
    return done


def report(members: int, watchers: int, turns: Turns) -> list[str]:
    """Return the part of the report about leaves."""
    rows = [
        _row("nobody", [leave for turn in turns[False] for leave in turn], turns[False]),
        _row(f"{watchers:,} watchers", [leave for turn in turns[True] for leave in turn], turns[True]),
    ]
    seen = [leave.watchers for turn in turns[True] for leave in turn if leave.watchers is not None]
    p99 = percentile(seen, 0.99)
    without, with_watchers = ([_median(turn) for turn in turns[kind]] for kind in (False, True))
    measured, limit = statistics.median(with_watchers), max(without)
    return [
        f"### One of {members} leaves, and {watchers:,} watch",
        f"Each member has two transports and a microphone, and consumes {SPEAKERS} streams. The same clients watch "
        "this channel in every other turn. In the turns between, they stay connected and watch an empty channel. The "
        "times are milliseconds from the socket's closing to the last notice. p99 is the nearest rank. In the column "
        "of the turns are the median of the turns' p50, the least and the greatest. The processor time is the "
        "gateway's for one leave, without what it needs while nobody leaves.",
        table(
            [
                "who watches",
                "leaves",
                "last member, p50",
                "p99",
                "p50 of the turns",
                "last watcher, p50",
                "p99",
                "longest",
                "processor time, median",
                "the bench itself late by",
            ],
            rows,
        ),
        f"Aim: p99 of the last watcher at most {ms(NOTICE_AIM, 0)} ms: {met(p99, NOTICE_AIM)}. Aim: the members' "
        f"median with watchers is within the range of the turns without, at most {ms(limit)} ms: "
        f"{met(measured, limit)}.",
    ]


def _median(turn: Sequence[WatchedLeave]) -> float:
    return statistics.median(leave.members for leave in turn)


def p50_of_turns(turns: Sequence[Sequence[WatchedLeave]]) -> str:
    """Return the median of the turns' medians in milliseconds, with the least and the greatest in brackets."""
    p50s = [_median(turn) for turn in turns]
    return f"{ms(statistics.median(p50s))} ({ms(min(p50s))}–{ms(max(p50s))})"


def _row(who: str, leaves: Sequence[WatchedLeave], turns: Sequence[Sequence[WatchedLeave]]) -> list[object]:
    members = [leave.members for leave in leaves]
    watchers = [leave.watchers for leave in leaves if leave.watchers is not None]
    return [
        who,
        len(leaves),
        ms(statistics.median(members)),
        ms(percentile(members, 0.99)),
        p50_of_turns(turns),
        *(
            map(ms, (statistics.median(watchers), percentile(watchers, 0.99), max(watchers)))
            if watchers
            else [NOT_MEASURED] * 3
        ),
        ms(statistics.median(leave.cpu for leave in leaves), 2),
        f"{ms(max(leave.lag for leave in leaves))} at most",
    ]
