"""How much more two planes forward than one, when the load generator leaves them the cores.

    python -m tools.bench.planes [--rounds 3] [--seconds 3] [--receivers 60] [--rate 2400] [--write docs/performance.md]

It makes two network namespaces with a veth pair between them, for which it needs root.  It starts a gateway with one
plane and one with two, by turns, and fills two channels on each.  It offers more than a gateway can forward, and
discards all that leaves (:mod:`tools.bench.planes.sink`).  Let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trio

from sfu.wire.certificate import generate_certificate
from tools.bench import machine
from tools.bench.command import run_bench
from tools.bench.network import ServerLink, open_link
from tools.bench.planes.measure import PlanesResult, measure
from tools.bench.planes.tables import PlanesConditions, text
from tools.bench.progress import Progress
from tools.light import Identity
from tools.light.media_loop import MediaLoop, constant_loop
from tools.page import Place

PLACE: Final = Place("bench-planes")
PLANES: Final = (1, 2)
#: Far more than the bench needs: after that, something hangs.
MOST_SECONDS: Final = 900.0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.planes", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of both (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="forwarding time of a run (default: 3)")
    parser.add_argument("--receivers", type=int, default=60, metavar="N", help="in each channel (default: %(default)s)")
    parser.add_argument(
        "--rate", type=int, default=2400, metavar="N", help="bursts a second from each source (default: %(default)s)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this page")
    return parser.parse_args(arguments)


async def run(
    options: argparse.Namespace, link: ServerLink, loop: MediaLoop, progress: Progress
) -> dict[int, list[PlanesResult]]:
    results: dict[int, list[PlanesResult]] = defaultdict(list)
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    with trio.fail_after(MOST_SECONDS):
        for number in range(options.rounds):
            progress.round = f"round {number + 1} of {options.rounds}"
            # Back and forth, so that a machine that gets slower or faster affects both.
            for planes in PLANES if number % 2 == 0 else reversed(PLANES):
                result = await measure(planes, link, identity, loop, options.receivers, options.seconds, progress)
                results[planes].append(result)
    return results


def bench(options: argparse.Namespace, progress: Progress) -> int:
    if options.write is not None:
        PLACE.check(options.write)
    loop = constant_loop("video", options.rate, packets=5, payload_size=1100)
    with open_link() as link:
        results = trio.run(run, options, link, loop, progress, strict_exception_groups=True)
    progress.end()
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    conditions = PlanesConditions(machine.describe(), loop, options.receivers, options.rounds, options.seconds, date)
    written = text(results, conditions)
    print(written)
    if options.write is not None:
        PLACE.replace(options.write, written)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    return run_bench(lambda progress: bench(options, progress), failed=1)


if __name__ == "__main__":
    sys.exit(main())
