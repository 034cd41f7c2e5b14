"""Compare our gateway with Janus and with the least possible cost of forwarding, on this machine, in one run.

    python -m tools.bench.beside [--quick] [--rounds 3] [--scenario video-60 …] [--only gateway janus floor]
                                 [--write docs/performance.md]

It makes two network namespaces with a veth pair between them, for which it needs root.  It starts each server anew for
each scenario and round, and drives all servers with the same light clients.  With ``--write`` the tables replace those
between two marker comments of a page, and the plots go into ``images/`` beside it.  Compare figures of one run, not of
two.

Exit status: 0 if everything was measured, 1 if something failed, 2 if the bench could not run.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.bench.beside import floor
from tools.bench.beside.contest import Contest, Contestant
from tools.bench.beside.drain import open_drain
from tools.bench.beside.figures import NAMES, report
from tools.bench.beside.scenarios import SCENARIOS
from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine, rounds, today
from tools.bench.janus import process as janus
from tools.bench.network import open_link

ROUNDS: Final = 3
SECONDS: Final = 4.0
QUICK: Final = ("video-10", "audio-10")
QUICK_SECONDS: Final = 1.0
#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
MOST_SECONDS: Final = 3600.0


def add_options(parser: argparse.ArgumentParser) -> None:
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--quick", action="store_true", help="one short round of two small scenarios, as a trial")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds of each scenario (default: {ROUNDS})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"forwarding time of a run (default: {SECONDS:g})")
    parser.add_argument("--scenario", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--only", nargs="+", choices=["gateway", "janus", "floor"], metavar="WHO", help="of gateway, janus, floor"
    )
    parser.add_argument(
        "--gateway", default="", metavar="OPTIONS", help='further options of our gateway: --gateway="--drain-timeout 0"'
    )


def contestants(only: Sequence[str] | None, progress: Progress) -> tuple[list[Contestant], Path | None, str]:
    """Return the contestants, the floor's program and Janus' version. Print which of them cannot take part, and why."""
    wanted = [one for one in NAMES if not only or one.partition("-")[0] in only]
    program, version = None, ""
    if "janus" in wanted:
        try:
            version = janus.version()
        except janus.NoJanus as error:
            progress.say(f"without Janus: {error}")
            wanted.remove("janus")
    if "floor" in wanted:
        try:
            progress("building the floor")
            program = floor.build()
        except floor.NoFloor as error:
            progress.say(f"without the floor: {error}")
            wanted = [one for one in wanted if not one.startswith("floor")]
    return wanted, program, version


def run(options: argparse.Namespace, progress: Progress) -> Report:
    names = options.scenario or (QUICK if options.quick else [scenario.name for scenario in SCENARIOS])
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in names]
    count = options.rounds or (1 if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    taking_part, program, version = contestants(options.only, progress)
    began = time.monotonic()
    with open_link() as link, open_drain() as drain:
        contest = Contest(link, drain, seconds, program, progress, shlex.split(options.gateway))
        outcome = run_within(MOST_SECONDS, contest.run, scenarios, taking_part, count)
    conditions = (
        f"{today()}, {machine()}; {f'Janus {version}' if version else 'no Janus'} beside it; {rounds(count, seconds)}, "
        f"the contestants by turns, {(time.monotonic() - began) / 60:.0f} minutes in all. Each figure is the median of "
        "the rounds, with the least and the most in brackets."
    )
    return report(outcome, scenarios, conditions)


main = Bench("beside", __doc__, add_options, run, failed=2).main

if __name__ == "__main__":
    sys.exit(main())
