"""Members leave, in turns at a gateway that keeps its journal on disk and at one that keeps it in memory."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from typing import Final

from tools.bench.command import Progress
from tools.bench.figures import met, ms, percentile, table
from tools.bench.watch.leaves import WatchedChannel, WatchedLeave, open_watched_channel, p50_of_turns
from tools.servers import ARGUMENTS, running_gateway

MEMBERS: Final = 100
#: Greatest change of a median, as a part of it.
CHANGE_AIM: Final = 0.05
MEMORY: Final = "in memory"
DISK: Final = "on disk"

#: The leaves of each turn, by where the journal is.
Turns = Mapping[str, Sequence[Sequence[WatchedLeave]]]


async def measure(members: int, leaves: int, turns: int, progress: Progress) -> Turns:
    """Measure ``leaves`` in each of ``turns`` turns of both gateways, which run at the same time."""
    done: dict[str, list[list[WatchedLeave]]] = {MEMORY: [], DISK: []}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running_gateway() as one,
            running_gateway(("gateway", *ARGUMENTS, "--state-dir", folder)) as other,
            open_watched_channel(one, members, 0, progress) as in_memory,
            open_watched_channel(other, members, 0, progress) as on_disk,
        ):
            kinds: list[tuple[str, WatchedChannel]] = [(MEMORY, in_memory), (DISK, on_disk)]
            for kind, channel in progress.by_turns(kinds, turns):
                done[kind].append(await channel.turn(leaves, progress, watched=False))
    progress.round = ""
    return done


def report(members: int, turns: Turns) -> list[str]:
    """Return the part of the report about the journal on disk."""
    leaves = {kind: [leave for turn in done for leave in turn] for kind, done in turns.items()}
    times = {kind: statistics.median(leave.members for leave in done) for kind, done in leaves.items()}
    cpu = {kind: statistics.median(leave.cpu for leave in done) for kind, done in leaves.items()}
    changes = [figures[DISK] / figures[MEMORY] - 1 for figures in (times, cpu)]
    rows = [
        [
            kind,
            len(done),
            ms(times[kind]),
            ms(percentile((leave.members for leave in done), 0.99)),
            p50_of_turns(turns[kind]),
            ms(cpu[kind], 2),
        ]
        for kind, done in leaves.items()
    ]
    head = ["the journal is", "leaves", "last member, p50", "p99", "p50 of the turns", "processor time, median"]
    return [
        f"### One of {members} leaves, with the journal on disk",
        "Two gateways run at the same time, and members leave them in turns. The one on disk has a `state_dir`. The "
        "columns are those of the first table of this bench.",
        table(head, rows),
        f"On disk, the median time changes by {changes[0]:+.1%}, and the median processor time by {changes[1]:+.1%}. "
        f"Aim: at most {CHANGE_AIM:.0%} more: {met(changes[0], CHANGE_AIM)}, {met(changes[1], CHANGE_AIM)}.",
    ]
