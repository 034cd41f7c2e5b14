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
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import Column, machine, median, rounds, run_table, today
from tools.bench.network import ServerLink, open_link
from tools.bench.planes.measure import CHANNELS, PlanesResult, measure
from tools.light.media_loop import MediaLoop, constant_loop

PLANES: Final = (1, 2)
#: Seconds after which the run is ended because something hangs. The bench needs far fewer.
MOST_SECONDS: Final = 900.0
#: A plane's thread that used a smaller share of a core may have waited for packets.
BUSY: Final = 0.95
#: If a greater share of a core was idle, no thread lacked a core.
SPARE: Final = 0.1
#: With fewer cores, two planes cannot forward clearly more than one.
ENOUGH: Final = 1.7
#: The counts of interface and gateway are read one after the other, and may differ by this share.
APART: Final = 0.02

Results = Mapping[int, Sequence[PlanesResult]]
_COLUMNS: Final[Sequence[Column[PlanesResult]]] = tuple(
    Column(head, value, style, only="median")
    for head, value, style in (
        ("packets a second", lambda run: run.packets, ",.0f"),
        ("by the interface's count", lambda run: run.sunk, ",.0f"),
        ("planes' threads", lambda run: sum(run.planes), ".2f"),
        ("rest of the gateway", lambda run: run.interpreter, ".2f"),
        ("load generator", lambda run: run.generator, ".2f"),
        ("idle", lambda run: run.idle, ".2f"),
        ("packets for each second of a plane's thread", lambda run: run.packets / sum(run.planes), ",.0f"),
        ("did not fit into its sockets", lambda run: run.dropped, ",.0f"),
    )
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of both (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="forwarding time of a run (default: 3)")
    parser.add_argument("--receivers", type=int, default=60, metavar="N", help="in each channel (default: %(default)s)")
    parser.add_argument(
        "--rate", type=int, default=3000, metavar="N", help="bursts a second from each source (default: %(default)s)"
    )


def run(options: argparse.Namespace, progress: Progress) -> Report:
    loop = constant_loop("video", options.rate, packets=5, payload_size=1100)
    results: dict[int, list[PlanesResult]] = defaultdict(list)

    async def measure_all(link: ServerLink) -> None:
        for planes in progress.by_turns(PLANES, options.rounds):
            result = await measure(planes, link, loop, options.receivers, options.seconds, progress)
            results[planes].append(result)

    with open_link() as link:
        run_within(MOST_SECONDS, measure_all, link)
    return report(results, loop, options)


def report(results: Results, loop: MediaLoop, options: argparse.Namespace) -> Report:
    """Return the whole report. ``results`` has one result of each round, by the number of planes."""
    offered = CHANNELS * options.receivers * loop.packets_per_second
    conditions = (
        f"{today()}, {machine()}; {CHANNELS} channels with {options.receivers} receivers each; each source sends "
        f"{loop.rate:,} bursts a second of {len(loop.frames[0].chunks)} packets with {loop.payload_size:,} bytes, "
        f"{round(offered):,} packets a second if all could leave; {rounds(options.rounds, options.seconds)}, by turns. "
        "Medians; processor time in cores."
    )
    figures = run_table(_COLUMNS, (([planes], runs) for planes, runs in sorted(results.items())), ["planes"])
    doubts = "; ".join(_doubts(results))
    return Report([conditions, figures, _verdict(results), doubts and f"**Doubtful**: {doubts}."])


def cores(runs: Sequence[PlanesResult]) -> float:
    """Return the cores that all threads of planes used together."""
    return median(runs, lambda run: sum(run.planes))


def _verdict(results: Results) -> str:
    one, two = (median(results[planes], lambda run: run.packets) for planes in (1, 2))
    of_each = [run.packets / one for run in results[2]]
    return (
        f"Two planes forwarded **{two / one:.2f} times** the packets of one ({min(of_each):.2f}–{max(of_each):.2f}), "
        f"with {cores(results[2]) / cores(results[1]):.2f} times the processor time."
    )


def _doubts(results: Results) -> Iterator[str]:
    for planes, runs in sorted(results.items()):
        if cores(runs) < BUSY * planes and median(runs, lambda run: run.idle) > SPARE:
            yield f"with {planes}, time was left: the bench sent too little"
        if any(abs(run.sunk - run.packets) > APART * run.packets for run in runs):
            yield f"with {planes} the interface counted other packets than the gateway"
    if cores(results[1]) < BUSY:
        yield f"one plane had only {cores(results[1]):.2f} of a core: something else ran"
    if cores(results[2]) < ENOUGH:
        yield f"two planes had only {cores(results[2]):.2f} cores: too few to show what two can do"


main = Bench("planes", __doc__, add_options, run).main

if __name__ == "__main__":
    sys.exit(main())
