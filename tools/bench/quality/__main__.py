"""Measure how a call looks and sounds on bad networks: our gateway, Janus and LiveKit with real browsers.

    python -m tools.bench.quality [--rows clean to-5 …] [--only gateway janus livekit firefox] [--runs 3]
                                  [--seconds 20] [--write docs/quality.md]

It makes three network namespaces, for which it needs root: for the sender's browser, the receiver's browser and the
server.  A switch in user space connects them.  It loses, delays and reorders packets as each row says.  Run nothing
else on the machine meanwhile.

Exit status: 0 if everything was measured, 1 if something failed, 2 if the bench could not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

import trio

from tools.bench.calls import gateway_server
from tools.bench.calls.carry import RATE, Carried, carry
from tools.bench.calls.server import Contestant
from tools.bench.calls.taking_part import FIREFOX, browsers, contestants
from tools.bench.calls.wire import Namespace, open_ends, open_wire
from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine, today
from tools.bench.quality.contest import WARM_SECONDS, QualityContest, QualityOutcome
from tools.bench.quality.rows import ROWS, NetworkRow
from tools.bench.quality.tables import QualityTables

RUNS: Final = 3
SECONDS: Final = 20.0
SEED: Final = 1
#: Seconds after which the whole contest is ended because something hangs.  The default needs less than an hour.
MOST_SECONDS: Final = 3 * 3600.0
_CONTESTANTS: Final = ("gateway", "janus", "livekit")


def add_options(parser: argparse.ArgumentParser) -> None:
    names, who = [row.name for row in ROWS], [*_CONTESTANTS, FIREFOX]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--only", nargs="+", choices=who, metavar="WHO", help=f"of {', '.join(who)}")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="of each row (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help="of a run (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="of the losses (default: %(default)s)")


async def play(
    options: argparse.Namespace,
    ends: list[Namespace],
    devices: Sequence[int],
    rows: Sequence[NetworkRow],
    taking_part: Sequence[Contestant],
    in_firefox: bool,
    progress: Progress,
) -> tuple[QualityOutcome, Carried]:
    """Measure the switch itself, then every row."""
    async with open_wire(ends, devices, options.seed) as wire:
        progress("the switch alone")
        carried = await trio.to_thread.run_sync(carry, ends)
        contest = QualityContest(wire, options.seconds, progress)
        await contest.run(rows, taking_part, options.runs)
        if in_firefox:
            played = [row for row in rows if row.in_firefox]
            await contest.run(played, [gateway_server.find()], options.runs, "firefox")
        return contest.outcome, carried


def run(options: argparse.Namespace, progress: Progress) -> Report:
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    versions = browsers(options.only, progress)
    taking_part = contestants(options.only, progress)
    began = time.monotonic()
    with open_ends() as (ends, devices):
        in_firefox = FIREFOX in versions
        outcome, carried = run_within(
            MOST_SECONDS, play, options, ends, devices, rows, taking_part, in_firefox, progress
        )
    listed = ", ".join([*versions.values(), *(f"{one.title} {one.version}" for one in taking_part)])
    ours = [] if any(one.name == "gateway" for one in taking_part) else [gateway_server.find()]  # Firefox may need it
    said = conditions(listed, options.runs, options.seconds, time.monotonic() - began, carried)
    return QualityTables(outcome, rows, [*ours, *taking_part]).report(said)


def conditions(taking_part: str, runs: int, seconds: float, lasted: float, carried: Carried) -> str:
    """Return the first paragraph of the report.  Times are in seconds."""
    return (
        f"{today()}, {machine()}; {taking_part}; {runs} run{'' if runs == 1 else 's'} of {seconds:g} s, after "
        f"{WARM_SECONDS:g} s on a perfect network; {lasted / 60:.0f} minutes. "
        "Each figure is the median of the runs, with the least and the most in brackets. At "
        f"{RATE:,} packets a second the switch itself lost {carried.sent - carried.arrived} of {carried.sent:,} "
        f"packets, and took {carried.p50 * 1e3:.2f} ms (p99: {carried.p99 * 1e3:.2f} ms)."
    )


main = Bench("quality", __doc__, add_options, run, failed=2).main

if __name__ == "__main__":
    sys.exit(main())
