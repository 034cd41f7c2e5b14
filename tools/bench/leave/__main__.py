"""How soon the others know that somebody left, and what joining and leaving cost.

    python -m tools.bench.leave [--write docs/guarantees.md] [--leaves 200]

Starts gateways on loopback, one after the other, and fills channels with clients that have real transports.  Clients
leave in several ways; the bench checks that everybody was told the truth, and prints tables.  With ``--write`` the
tables also replace those between two marker comments of a page.  Compare figures of one run, not of two.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from tools.bench import machine
from tools.bench.command import run_bench
from tools.bench.gateway_process import running_gateway
from tools.bench.leave import at_once, cost
from tools.bench.leave.at_once import AtOnce
from tools.bench.leave.channel import open_channel
from tools.bench.leave.one_by_one import Load, MeasuredLeave, leave_one_by_one, measure_load, open_full_channel
from tools.bench.leave.results import LeaveResults
from tools.bench.leave.silence import Silence, fall_silent
from tools.bench.leave.watched import MODULE, Watched
from tools.bench.leave.watched_gateway import Report
from tools.bench.progress import Progress
from tools.page import Place

PLACE: Final = Place("bench-leave")
LEAVES: Final = 200
#: Far more than the bench needs: after that, something hangs.
BENCH_SECONDS: Final = 900.0


async def full_channel(leaves: int, progress: Progress) -> tuple[Load, list[MeasuredLeave], Silence]:
    async with running_gateway() as gateway, open_full_channel(gateway, progress) as channel:
        load = await measure_load(gateway)
        left = await leave_one_by_one(channel, leaves, progress)
        return load, left, await fall_silent(channel, progress)


async def half_at_once(progress: Progress) -> AtOnce:
    async with running_gateway() as gateway, open_channel(gateway, "bench") as channel:
        await at_once.fill(channel, progress)
        return await at_once.leave_at_once(gateway, channel)


async def half_at_once_watched(progress: Progress) -> tuple[AtOnce, Report]:
    async with running_gateway(MODULE, pipes=True) as gateway, open_channel(gateway, "bench") as channel:
        watched = Watched(gateway)
        await at_once.fill(channel, progress)
        await watched.begin()
        left = await at_once.leave_at_once(gateway, channel)
        return left, await watched.report()


async def measure(leaves: int, progress: Progress) -> LeaveResults:
    begun = time.monotonic()
    with trio.fail_after(BENCH_SECONDS):
        load, left, silent = await full_channel(leaves, progress)
        async with running_gateway() as gateway:
            costs = await cost.run(gateway, progress)
        together = await half_at_once(progress)
        watched, report = await half_at_once_watched(progress)
    seconds = time.monotonic() - begun
    return LeaveResults(machine.describe(), seconds, load, left, silent, together, watched, report, costs)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.leave", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--leaves", type=int, default=LEAVES, metavar="N", help="single leaves (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the markers of this page")
    options = parser.parse_args(arguments)

    def bench(progress: Progress) -> int:
        if options.write is not None:
            PLACE.check(options.write)
        results = trio.run(measure, max(3, options.leaves), progress, strict_exception_groups=True)
        progress.end()
        print(results)
        if options.write is not None:
            PLACE.replace(options.write, str(results))
        return 0

    return run_bench(bench, failed=1)


if __name__ == "__main__":
    sys.exit(main())
