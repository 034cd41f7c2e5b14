"""Attack a gateway while people talk, and report what they notice.

    python -m tools.soak [--write docs/security.md] [--minutes 10] [--attacks pings rejoins]

Starts a gateway on one core. On another one are the people of a call that uses 70 % of the gateway's core, and an
attacker. Times with and without an attack take turns. With ``--write`` the table also replaces the one between two
marker comments of a page. The exit status is 1 if somebody noticed an attack, and 3 if the load test was too slow.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from tools.bench.command import Bench, Progress, Report, run_within
from tools.soak.attacks import KINDS
from tools.soak.report import report, status
from tools.soak.run import soak

MEMBERS: Final = 100
#: A run that takes so many times longer than asked for hangs.
PATIENCE: Final = 4.0
SPARE_SECONDS: Final = 300.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes", type=float, default=10, metavar="N", help="of the whole run (default: %(default)s)"
    )
    parser.add_argument("--members", type=int, default=MEMBERS, metavar="N", help="of the call (default: %(default)s)")
    parser.add_argument("--speakers", type=int, metavar="N", help="who talk (default: as many as use 70%% of a core)")
    parser.add_argument(
        "--attacks", nargs="+", choices=list(KINDS), default=list(KINDS), help="which ones (default: all)"
    )


def run(options: argparse.Namespace, progress: Progress) -> Report:
    seconds = 60 * options.minutes
    limit = PATIENCE * seconds + SPARE_SECONDS
    found = run_within(limit, soak, seconds, options.members, options.attacks, options.speakers, progress)
    return Report(report(found), status=status(found))


main = Bench("soak", __doc__, add_options, run, package="tools").main

if __name__ == "__main__":
    sys.exit(main())
