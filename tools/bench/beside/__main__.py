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
from collections.abc import Callable
from typing import Final

from tools.bench.beside import floor
from tools.bench.beside.contest import Contest
from tools.bench.beside.drain import open_drain
from tools.bench.beside.figures import NAMES, report
from tools.bench.beside.scenarios import SCENARIOS
from tools.bench.command import Bench, Progress, Report, available, run_within
from tools.bench.figures import machine, rounds, today
from tools.bench.janus import process as janus
from tools.bench.network import open_link

ROUNDS: Final = 3
SECONDS: Final = 4.0
QUICK: Final = ("video-10", "audio-10")
#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
MOST_SECONDS: Final = 3600.0
#: The version of Janus, and the program of the floor.
_FINDERS: Final[dict[str, Callable[[], str]]] = {"gateway": str, "janus": janus.version, "floor": floor.build}


def add_options(parser: argparse.ArgumentParser) -> None:
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--quick", action="store_true", help="one short round of two small scenarios, as a trial")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds of each scenario (default: {ROUNDS})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"forwarding time of a run (default: {SECONDS:g})")
    parser.add_argument("--scenario", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--only", nargs="+", choices=[*_FINDERS], metavar="WHO", help=f"of {', '.join(_FINDERS)}")
    parser.add_argument(
        "--gateway", default="", metavar="OPTIONS", help='further options of our gateway: --gateway="--drain-timeout 0"'
    )


def run(options: argparse.Namespace, progress: Progress) -> Report:
    names = options.scenario or (QUICK if options.quick else [scenario.name for scenario in SCENARIOS])
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in names]
    count, seconds = (1, 1.0) if options.quick else (ROUNDS, SECONDS)
    count, seconds = options.rounds or count, options.seconds or seconds
    if not options.only or "floor" in options.only:
        progress("building the floor")
    found = available(_FINDERS, options.only, progress)
    taking_part = [one for one in NAMES if one.partition("-")[0] in found]
    began = time.monotonic()
    with open_link() as link, open_drain() as drain:
        contest = Contest(link, drain, seconds, found.get("floor", ""), progress, shlex.split(options.gateway))
        outcome = run_within(MOST_SECONDS, contest.run, scenarios, taking_part, count)
    beside = f"Janus {found['janus']}" if "janus" in found else "no Janus"
    minutes = (time.monotonic() - began) / 60
    conditions = (
        f"{today()}, {machine()}; {beside} beside it; {rounds(count, seconds)}, the contestants by turns, "
        f"{minutes:.0f} minutes in all. Each figure is the median of the rounds, with the least and the most in "
        "brackets."
    )
    return report(outcome, scenarios, conditions)


main = Bench("beside", __doc__, add_options, run, failed=2).main

if __name__ == "__main__":
    sys.exit(main())
