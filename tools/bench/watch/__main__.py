"""Measure how soon watchers of a channel learn of a leave, and what they cost.

    python -m tools.bench.watch [--write docs/guarantees.md] [--members 500] [--watchers 1000]

Starts gateways on loopback. Members of a channel leave and come back, in turns with watchers and without. Then clients
watch many channels in which nothing happens. At last, members leave two gateways in turns, one of which keeps its
journal on disk. The bench checks that every client has the right list, and prints tables. With ``--write`` the tables
also replace those between two marker comments of a page. Compare figures of one run, not of two.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine
from tools.bench.watch import idle, leaves, on_disk

#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
BENCH_SECONDS: Final = 1800.0
SIZES: Final = (
    ("members", 500, "members of the channel"),
    ("watchers", 1000, "clients that watch it"),
    ("turns", 5, "turns of each kind"),
    ("leaves", 20, "leaves in each turn"),
    ("channels", 10_000, "watched channels in which nobody is"),
    ("open", idle.MOST_OPEN, "watched channels with one member each"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    for name, default, about in SIZES:
        text = f"{about} (default: %(default)s)"
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=text)


async def measure(options: argparse.Namespace, progress: Progress) -> Report:
    begun = time.monotonic()
    sizes = options.members, options.watchers
    turns = await leaves.measure(*sizes, options.leaves, options.turns, progress)
    costs = await idle.measure(options.channels, options.open, progress)
    disk_members = min(options.members, on_disk.MEMBERS)
    stored = await on_disk.measure(disk_members, options.leaves, options.turns, progress)
    conditions = (
        f"On {machine()}. The clients run on the same cores, all in one process. "
        f"The whole bench took {time.monotonic() - begun:.0f} s."
    )
    return Report(
        [conditions, *leaves.report(*sizes, turns), *idle.report(costs), *on_disk.report(disk_members, stored)]
    )


def run(options: argparse.Namespace, progress: Progress) -> Report:
    return run_within(BENCH_SECONDS, measure, options, progress)


main = Bench("watch", __doc__, add_options, run).main

if __name__ == "__main__":
    sys.exit(main())
