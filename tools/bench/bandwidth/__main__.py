"""Measure how calls use the bandwidth that there is: our gateway, Janus and LiveKit with real browsers.

    python -m tools.bench.bandwidth [--rows down up …] [--only gateway janus livekit] [--runs 3]
                                    [--write docs/quality.md]

It makes three network namespaces, for which it needs root: for the sender's browser, the receiver's browser and the
server.  A switch in user space connects them.  In each row it limits a link, or looks at the bytes of a call.

Exit status: 0 if everything was measured, 1 if something failed, 2 if the bench could not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

from tools.bench.bandwidth.call import SETTLED_SECONDS
from tools.bench.bandwidth.contest import BandwidthContest
from tools.bench.bandwidth.figures import BandwidthOutcome
from tools.bench.bandwidth.rows import ROWS, BandwidthRow
from tools.bench.bandwidth.tables import BandwidthTables
from tools.bench.calls.server import Contestant
from tools.bench.calls.taking_part import browsers, contestants
from tools.bench.calls.wire import Namespace, open_ends, open_wire
from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine, today

RUNS: Final = 3
SEED: Final = 1
#: Seconds after which the whole contest is ended because something hangs.  The default needs about an hour.
MOST_SECONDS: Final = 3 * 3600.0
_CONTESTANTS: Final = ("gateway", "janus", "livekit")


def add_options(parser: argparse.ArgumentParser) -> None:
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--only", nargs="+", choices=_CONTESTANTS, metavar="WHO", help=f"of {', '.join(_CONTESTANTS)}")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="of each row (default: %(default)s)")


async def play(
    options: argparse.Namespace,
    ends: list[Namespace],
    devices: Sequence[int],
    rows: Sequence[BandwidthRow],
    taking_part: Sequence[Contestant],
    progress: Progress,
) -> BandwidthOutcome:
    async with open_wire(ends, devices, SEED) as wire:
        return await BandwidthContest(wire, progress).run(rows, taking_part, options.runs)


def run(options: argparse.Namespace, progress: Progress) -> Report:
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    chromium = browsers(["chromium"], progress)["chromium"]
    taking_part = contestants(options.only, progress)
    began = time.monotonic()
    with open_ends() as (ends, devices):
        outcome = run_within(MOST_SECONDS, play, options, ends, devices, rows, taking_part, progress)
    listed = ", ".join([chromium, *(f"{one.title} {one.version}" for one in taking_part)])
    return BandwidthTables(outcome, rows, taking_part).report(
        conditions(listed, options.runs, time.monotonic() - began)
    )


def conditions(taking_part: str, runs: int, lasted: float) -> str:
    """Return the first paragraph of the report.  ``lasted`` is in seconds."""
    return (
        f"{today()}, {machine()}; {taking_part}; {runs} run{'' if runs == 1 else 's'}, each after {SETTLED_SECONDS:g} "
        f"s of an undisturbed call; {lasted / 60:.0f} minutes. Each figure is the median of the runs, with the least "
        "and the most in brackets."
    )


main = Bench("bandwidth", __doc__, add_options, run, failed=2).main

if __name__ == "__main__":
    sys.exit(main())
