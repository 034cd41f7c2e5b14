"""Measure how soon the others learn of a leave, and the cost of a join and of a leave.

    python -m tools.bench.leave [--write docs/guarantees.md] [--leaves 200]

Starts gateways on loopback, one after the other, and fills channels with clients that have real transports. Clients
leave in several ways. The bench checks that every member got the right notices, and prints tables. With ``--write`` the
tables also replace those between two marker comments of a page. Compare figures of one run, not of two.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine
from tools.bench.leave import cost
from tools.bench.leave.at_once import half_leaves, half_leaves_watched
from tools.bench.leave.full_channel import (
    Load,
    MeasuredLeave,
    Silence,
    fall_silent,
    leave_one_by_one,
    measure_load,
    open_full_channel,
)
from tools.bench.leave.results import LeaveResults
from tools.servers import running_gateway

#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
BENCH_SECONDS: Final = 900.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--leaves", type=int, default=200, metavar="N", help="single leaves (default: %(default)s)")


async def full_channel(leaves: int, progress: Progress) -> tuple[Load, list[MeasuredLeave], Silence]:
    async with running_gateway() as gateway, open_full_channel(gateway, progress) as channel:
        load = await measure_load(gateway)
        left = await leave_one_by_one(channel, leaves, progress)
        return load, left, await fall_silent(channel, progress)


async def measure(leaves: int, progress: Progress) -> LeaveResults:
    begun = time.monotonic()
    load, left, silent = await full_channel(leaves, progress)
    async with running_gateway() as gateway:
        costs = await cost.run(gateway, progress)
    together = await half_leaves(progress)
    again, watched = await half_leaves_watched(progress)
    seconds = time.monotonic() - begun
    return LeaveResults(machine(), seconds, load, left, silent, together, again.last_notice, watched, costs)


def run(options: argparse.Namespace, progress: Progress) -> Report:
    return Report(str(run_within(BENCH_SECONDS, measure, max(3, options.leaves), progress)))


main = Bench("leave", __doc__, add_options, run).main

if __name__ == "__main__":
    sys.exit(main())
