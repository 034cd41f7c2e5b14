"""Measure how much more two planes forward than one, while the load generator leaves them the cores.

    python -m tools.bench.planes [--rounds 3] [--seconds 3] [--receivers 60] [--rate 3000] [--write docs/performance.md]

It makes two network namespaces with a veth pair between them, for which it needs root. It starts a gateway with one
plane and one with two, by turns, and fills two channels on each. It offers more packets than a gateway can forward, and
discards the forwarded packets (:mod:`tools.bench.planes.sink`). Run nothing else on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from typing import Final

from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import rounds
from tools.bench.network import ServerLink, open_link
from tools.bench.planes.measure import PlanesResult, measure
from tools.bench.planes.tables import report
from tools.light.media_loop import MediaLoop, constant_loop

PLANES: Final = (1, 2)
#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
MOST_SECONDS: Final = 900.0


def add_options(parser: argparse.ArgumentParser) -> None:
    for name, kind, default, of in (
        ("rounds", int, 3, "rounds of both"),
        ("seconds", float, 3.0, "forwarding time of a run"),
        ("receivers", int, 60, "in each channel"),
        ("rate", int, 3000, "bursts a second from each source"),
    ):
        metavar, said = name[0].upper(), f"{of} (default: %(default)g)"
        parser.add_argument(f"--{name}", type=kind, default=default, metavar=metavar, help=said)


async def measure_all(
    options: argparse.Namespace, link: ServerLink, loop: MediaLoop, progress: Progress
) -> dict[int, list[PlanesResult]]:
    results: dict[int, list[PlanesResult]] = defaultdict(list)
    for planes in progress.by_turns(PLANES, options.rounds):
        result = await measure(planes, link, loop, options.receivers, options.seconds, progress)
        results[planes].append(result)
    return results


def run(options: argparse.Namespace, progress: Progress) -> Report:
    loop = constant_loop("video", options.rate, packets=5, payload_size=1100)
    with open_link() as link:
        results = run_within(MOST_SECONDS, measure_all, options, link, loop, progress)
    return report(results, loop, options.receivers, rounds(options.rounds, options.seconds))


main = Bench("planes", __doc__, add_options, run).main

if __name__ == "__main__":
    sys.exit(main())
