"""Measure how soon the others learn of a leave, and the cost of a join and of a leave.

    python -m tools.bench.leave [--write docs/guarantees.md] [--leaves 200] [--state-dir FOLDER]

Starts gateways on loopback, one after the other, and fills channels with clients that have real transports. Clients
leave in several ways. The bench checks that every member got the right notices, and prints tables. With ``--write`` the
tables also replace those between two marker comments of a page. With ``--state-dir`` the gateways keep their journal
in this folder. Compare figures of one run, not of two.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine
from tools.bench.leave import at_once, cost, full_channel

#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
BENCH_SECONDS: Final = 900.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--leaves", type=int, default=200, metavar="N", help="single leaves (default: %(default)s)")
    parser.add_argument("--state-dir", metavar="FOLDER", help="let the gateways keep their journal in this folder")


async def measure(leaves: int, state_dir: str | None, progress: Progress) -> Report:
    begun = time.monotonic()
    options = () if state_dir is None else ("--state-dir", state_dir)
    full = await full_channel.measure(leaves, progress, options)
    costs = await cost.measure(progress, options)
    together = await at_once.measure(progress, options)
    conditions = (
        f"On {machine()}. The clients run on the same cores, in a process of their own. "
        f"{'' if state_dir is None else 'The gateways keep their journal on disk. '}"
        f"The whole bench took {time.monotonic() - begun:.0f} s."
    )
    return Report([conditions, *full_channel.report(*full), *at_once.report(*together), *cost.report(costs)])


def run(options: argparse.Namespace, progress: Progress) -> Report:
    return run_within(BENCH_SECONDS, measure, max(3, options.leaves), options.state_dir, progress)


main = Bench("leave", __doc__, add_options, run).main

if __name__ == "__main__":
    sys.exit(main())
