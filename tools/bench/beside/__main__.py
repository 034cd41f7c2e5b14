"""Our gateway beside Janus and beside the floor, on this machine, in one run.

    python -m tools.bench.beside [--quick] [--rounds 3] [--scenario video-60 …] [--only gateway janus floor]
                                 [--write docs/performance.md]

Makes two network namespaces with a veth pair between them, so it needs root on Linux.  Starts each server anew for each
scenario and round, in turn, and drives both with the same light clients.  Prints its tables; with ``--write`` they go
between the two marker comments of a page, and the plots beside it into ``images/``.  Machines are noisy: compare
figures of one run, not of two.

Exit status: 0 where everything that was asked for was measured, 1 where something failed, 2 where nothing could be.
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
from tools.bench.beside.contest import Contest, Contestant, Outcome, first
from tools.bench.beside.draining import DrainEnded, open_drainer
from tools.bench.beside.report import write
from tools.bench.beside.scenarios import SCENARIOS, Scenario
from tools.bench.beside.tables import Conditions, text
from tools.bench.janus import process as janus
from tools.bench.network import NoNetwork, open_link
from tools.bench.progress import Progress
from tools.page import NoPlace, Place

PLACE: Final = Place("bench-beside")
ROUNDS: Final = 3
SECONDS: Final = 4.0
QUICK: Final = ("video-10", "audio-10")
QUICK_SECONDS: Final = 1.0
#: Well above what it takes: something hangs.
MOST_SECONDS: Final = 3600.0
INTERRUPTED: Final = 130


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.beside", description=(__doc__ or "").partition("\n")[0]
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--quick", action="store_true", help="one short round of two small scenarios, to see it work")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"of each scenario (default: {ROUNDS})")
    parser.add_argument("--seconds", type=float, metavar="S", help=f"of forwarding in each (default: {SECONDS:g})")
    parser.add_argument("--scenario", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--only", nargs="+", choices=["gateway", "janus", "floor"], metavar="WHO", help="of gateway, janus, floor"
    )
    parser.add_argument(
        "--gateway",
        default="",
        metavar="OPTIONS",
        help='further ones for our gateway, such as --gateway="--drain-timeout 0"',
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between this page's markers")
    return parser.parse_args(arguments)


def contestants(only: Sequence[str] | None, progress: Progress) -> tuple[list[Contestant], Path | None, str]:
    """Who takes part, the floor's program, Janus' version.  Who cannot is left out, with a word."""
    wanted: list[Contestant] = [
        one for one in get_args(Contestant) if not only or one in only or ("floor" in only and one.startswith("floor"))
    ]
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
    scenarios = chosen(options)
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    who, program, version = contestants(options.only, progress)
    began = time.monotonic()
    with open_link() as link, open_drainer() as drainer:
        contest = Contest(link, drainer, seconds, program, progress, shlex.split(options.gateway))
        trio.run(_bounded, contest, scenarios, who, rounds, strict_exception_groups=True)
    progress.end()
    lasted = time.monotonic() - began
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    conditions = Conditions(machine.describe(), version, rounds, seconds, lasted, date)
    print(text(contest.outcome, scenarios, conditions, []))
    if options.write is not None:
        write(options.write, PLACE, contest.outcome, scenarios, conditions)
    return 1 if contest.outcome.failures else 0


def chosen(options: argparse.Namespace) -> list[Scenario]:
    names = options.scenario or (QUICK if options.quick else [scenario.name for scenario in SCENARIOS])
    return [scenario for scenario in SCENARIOS if scenario.name in names]


async def _bounded(contest: Contest, scenarios: Sequence[Scenario], who: Sequence[Contestant], rounds: int) -> Outcome:
    with trio.fail_after(MOST_SECONDS):
        return await contest.run(scenarios, who, rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    options, progress, status = parse(arguments), Progress(), 2
    try:
        status = run(options, progress)
    except* KeyboardInterrupt:
        status = INTERRUPTED
    except* (DrainEnded, NoNetwork, NoPlace) as errors:
        progress.say(f"error: {first(errors)}")
    except* trio.TooSlowError:
        progress.say(f"error: not done after {MOST_SECONDS:g} s")
    finally:
        progress.end()
    return status


if __name__ == "__main__":
    sys.exit(main())
