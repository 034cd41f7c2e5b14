"""Measure how much more two planes forward than one, while the load generator leaves them the cores.

    python -m tools.bench.planes [--rounds 3] [--seconds 3] [--receivers 60] [--rate 2400] [--write docs/performance.md]

It makes two network namespaces with a veth pair between them, for which it needs root. It starts a gateway with one
plane and one with two, by turns, and fills two channels on each. It offers more packets than a gateway can forward, and
discards the forwarded packets (:mod:`tools.bench.planes.sink`). Run nothing else on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from datetime import UTC, datetime
from typing import Final

from sfu.wire.certificate import generate_certificate
from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine, today
from tools.bench.network import ServerLink, open_link
from tools.bench.planes.measure import PlanesResult, measure
from tools.bench.planes.tables import PlanesConditions, text
from tools.light import Identity
from tools.light.media_loop import MediaLoop, constant_loop

PLANES: Final = (1, 2)
#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
MOST_SECONDS: Final = 900.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of both (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="forwarding time of a run (default: 3)")
    parser.add_argument("--receivers", type=int, default=60, metavar="N", help="in each channel (default: %(default)s)")
    parser.add_argument(
        "--rate", type=int, default=2400, metavar="N", help="bursts a second from each source (default: %(default)s)"
    )


async def measure_all(
    options: argparse.Namespace, link: ServerLink, loop: MediaLoop, progress: Progress
) -> dict[int, list[PlanesResult]]:
    results: dict[int, list[PlanesResult]] = defaultdict(list)
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    for planes in progress.by_turns(PLANES, options.rounds):
        result = await measure(planes, link, identity, loop, options.receivers, options.seconds, progress)
        results[planes].append(result)
    return results


def run(options: argparse.Namespace, progress: Progress) -> Report:
    loop = constant_loop("video", options.rate, packets=5, payload_size=1100)
    with open_link() as link:
        results = run_within(MOST_SECONDS, measure_all, options, link, loop, progress)
    conditions = PlanesConditions(machine(), loop, options.receivers, options.rounds, options.seconds, today())
    return Report(text(results, conditions))


main = Bench("planes", __doc__, add_options, run).main

if __name__ == "__main__":
    sys.exit(main())
