"""How much more two planes forward than one, when the load generator leaves them the cores.

    python -m tools.bench.planes [--rounds 3] [--seconds 3] [--receivers 60] [--rate 2400] [--write docs/performance.md]

Makes two network namespaces with a veth pair between them, so it needs root on Linux.  Starts a gateway with one plane
and one with two, by turns, fills two channels, lets what is forwarded go nowhere (:mod:`tools.bench.planes.sink`), and
offers more than can be forwarded.  Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trio

from sfu.wire.certificate import generate_certificate
from tools.bench import machine
from tools.bench.beside.contest import first
from tools.bench.beside.legs import NotConnected
from tools.bench.leaving import BenchError
from tools.bench.network import Link, NoNetwork, open_link
from tools.bench.planes.measure import Result, measure
from tools.bench.planes.tables import Conditions, text
from tools.bench.process import ServerEnded
from tools.bench.progress import Progress
from tools.bench.source import Source
from tools.bench.websocket import Refused
from tools.light import Identity
from tools.page import NoPlace, Place

PLACE: Final = Place("bench-planes")
PLANES: Final = (1, 2)
#: Well above what it takes: something hangs.
MOST_SECONDS: Final = 900.0
INTERRUPTED: Final = 130


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.planes", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of both (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="of forwarding in each (default: 3)")
    parser.add_argument("--receivers", type=int, default=60, metavar="N", help="in each channel (default: %(default)s)")
    parser.add_argument(
        "--rate", type=int, default=2400, metavar="N", help="bursts a second from each source (default: %(default)s)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between this page's markers")
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace, link: Link, source: Source, progress: Progress) -> dict[int, list[Result]]:
    results: dict[int, list[Result]] = defaultdict(list)
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    with trio.fail_after(MOST_SECONDS):
        for number in range(options.rounds):
            progress.round = f"round {number + 1} of {options.rounds}"
            # Back and forth, so that a machine that gets slower or faster is both's.
            for planes in PLANES if number % 2 == 0 else reversed(PLANES):
                result = await measure(planes, link, identity, source, options.receivers, options.seconds, progress)
                results[planes].append(result)
    return results


def bench(options: argparse.Namespace, progress: Progress) -> None:
    if options.write is not None:
        PLACE.check(options.write)
    source = Source("video", "video", rate=options.rate, burst=5, size=1100)
    with open_link() as link:
        results = trio.run(run, options, link, source, progress, strict_exception_groups=True)
    progress.end()
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    conditions = Conditions(machine.describe(), source, options.receivers, options.rounds, options.seconds, date)
    written = text(results, conditions)
    print(written)
    if options.write is not None:
        PLACE.replace(options.write, written)


def main(arguments: Sequence[str] | None = None) -> int:
    options, progress, status = parse(arguments), Progress(), 1
    try:
        bench(options, progress)
        status = 0
    except* KeyboardInterrupt:
        status = INTERRUPTED
    except* (NoNetwork, NoPlace, BenchError, NotConnected, Refused, ServerEnded, OSError) as errors:
        progress.say(f"error: {first(errors)}")
    except* subprocess.CalledProcessError as errors:
        failed = first(errors)
        assert isinstance(failed, subprocess.CalledProcessError)
        progress.say(f"error: {' '.join(failed.cmd)}: {failed.stderr.strip()}")
    except* trio.TooSlowError:
        progress.say("error: the gateway, or the bench, was too slow to go on")
    finally:
        progress.end()
    return status


if __name__ == "__main__":
    sys.exit(main())
