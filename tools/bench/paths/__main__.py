"""Measure how soon a call is back when a person's network changes: our gateway and LiveKit with real browsers.

    python -m tools.bench.paths [--rows no-udp blocked …] [--only gateway livekit firefox] [--runs 3]
                                [--keep FOLDER] [--write docs/paths.md]

It makes three network namespaces, for which it needs root: for the sender's browser, the receiver's browser and the
server.  A switch in user space connects them.  In each row something happens to the receiver's network.

Exit status: 0 if everything was measured, 1 if something failed, 2 if the bench could not run.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.bench.calls import gateway_server
from tools.bench.calls.server import Contestant
from tools.bench.calls.taking_part import FIREFOX, browsers, contestants
from tools.bench.calls.wire import Namespace, open_ends, open_wire
from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine, today
from tools.bench.paths.call import SETTLED_SECONDS
from tools.bench.paths.contest import PathsContest, PathsOutcome
from tools.bench.paths.rows import ROWS, PathRow
from tools.bench.paths.tables import PathsTables

RUNS: Final = 3
SEED: Final = 1
#: Seconds after which the whole contest is ended because something hangs.  The default needs about 40 minutes.
MOST_SECONDS: Final = 3 * 3600.0
_CONTESTANTS: Final = ("gateway", "livekit")


def add_options(parser: argparse.ArgumentParser) -> None:
    names, who = [row.name for row in ROWS], [*_CONTESTANTS, FIREFOX]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--only", nargs="+", choices=who, metavar="WHO", help=f"of {', '.join(who)}")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="of each row (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="put timelines, logs and frames of each run there")


async def play(
    options: argparse.Namespace,
    ends: list[Namespace],
    devices: Sequence[int],
    rows: Sequence[PathRow],
    taking_part: Sequence[Contestant],
    in_firefox: bool,
    progress: Progress,
) -> PathsOutcome:
    async with open_wire(ends, devices, SEED) as wire:
        contest = PathsContest(wire, progress, options.keep)
        await contest.run(rows, taking_part, options.runs)
        if in_firefox:
            chosen = [row for row in rows if row.in_firefox]
            await contest.run(chosen, [gateway_server.find()], options.runs, "firefox")
        return contest.outcome


def run(options: argparse.Namespace, progress: Progress) -> Report:
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    versions = browsers(options.only, progress)
    taking_part = contestants(options.only, progress, _CONTESTANTS)
    load, began = os.getloadavg()[0], time.monotonic()
    with open_ends() as (ends, devices):
        in_firefox = FIREFOX in versions
        outcome = run_within(MOST_SECONDS, play, options, ends, devices, rows, taking_part, in_firefox, progress)
    listed = ", ".join([*versions.values(), *(f"{one.title} {one.version}" for one in taking_part)])
    ours = [] if any(one.name == "gateway" for one in taking_part) else [gateway_server.find()]  # Firefox may need it
    said = conditions(listed, options.runs, time.monotonic() - began, load)
    return PathsTables(outcome, rows, [*ours, *taking_part]).report(said)


def conditions(taking_part: str, runs: int, lasted: float, load: float) -> str:
    """Return the first paragraph of the report.  ``lasted`` is in seconds, ``load`` that of the machine before."""
    return (
        f"{today()}, {machine()}; {taking_part}; {runs} run{'' if runs == 1 else 's'}, each after {SETTLED_SECONDS:g} "
        f"s of an undisturbed call; {lasted / 60:.0f} minutes. Each figure is the median of the runs, with the least "
        f"and the most in brackets. Before the bench began, the machine's load was {load:.1f}."
    )


main = Bench("paths", __doc__, add_options, run, failed=2).main

if __name__ == "__main__":
    sys.exit(main())
