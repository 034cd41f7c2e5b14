"""Our gateway beside Janus and beside the least that is possible, on this machine, in one run.

    python -m tools.bench.beside [--quick] [--rounds 3] [--scenario video-60 …] [--only gateway janus floor]
                                 [--write docs/performance.md]

It makes two network namespaces with a veth pair between them, for which it needs root.  It starts each server anew for
each scenario and round, and drives all servers with the same light clients.  With ``--write`` the tables replace those
between two marker comments of a page, and the plots go into ``images/`` beside it.  Compare figures of one run, not of
two.

Exit status: 0 where everything was measured, 1 where something failed, 2 where the bench could not run.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

import trio

from tools.bench import machine
from tools.bench.beside import floor
from tools.bench.beside.contest import Contest, Contestant, ContestOutcome
from tools.bench.beside.drain_process import open_drain
from tools.bench.beside.figures import ContestConditions, text
from tools.bench.beside.report import write
from tools.bench.beside.scenarios import SCENARIOS, CallScenario
from tools.bench.command import run_bench
from tools.bench.janus import process as janus
from tools.bench.network import open_link
from tools.bench.progress import Progress
from tools.page import Place

PLACE: Final = Place("bench-beside")
ROUNDS: Final = 3
SECONDS: Final = 4.0
QUICK: Final = ("video-10", "audio-10")
QUICK_SECONDS: Final = 1.0
#: Far more than the bench needs: after that, something hangs.
MOST_SECONDS: Final = 3600.0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.beside", description=(__doc__ or "").partition("\n")[0]
    )
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
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the markers of this page")
    return parser.parse_args(arguments)


def contestants(only: Sequence[str] | None, progress: Progress) -> tuple[list[Contestant], Path | None, str]:
    """Return the contestants, the floor's program and Janus' version.  Say which cannot take part, and why."""
    wanted: list[Contestant] = [one for one in get_args(Contestant) if not only or one.partition("-")[0] in only]
    program, version = None, ""
    if "janus" in wanted:
        try:
            version = janus.find().version()
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


def run(options: argparse.Namespace, progress: Progress) -> int:
    if options.write is not None:
        PLACE.check(options.write)
    names = options.scenario or (QUICK if options.quick else [scenario.name for scenario in SCENARIOS])
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in names]
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    taking_part, program, version = contestants(options.only, progress)
    began = time.monotonic()
    with open_link() as link, open_drain() as drain:
        contest = Contest(link, drain, seconds, program, progress, shlex.split(options.gateway))
        trio.run(_bounded, contest, scenarios, taking_part, rounds, strict_exception_groups=True)
    progress.end()
    lasted = time.monotonic() - began
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    conditions = ContestConditions(machine.describe(), version, rounds, seconds, lasted, date)
    print(text(contest.outcome, scenarios, conditions, []))
    if options.write is not None:
        write(options.write, PLACE, contest.outcome, scenarios, conditions)
    return 1 if contest.outcome.failures else 0


async def _bounded(
    contest: Contest, scenarios: Sequence[CallScenario], taking_part: Sequence[Contestant], rounds: int
) -> ContestOutcome:
    with trio.fail_after(MOST_SECONDS):
        return await contest.run(scenarios, taking_part, rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    return run_bench(lambda progress: run(options, progress), failed=2)


if __name__ == "__main__":
    sys.exit(main())
