"""The report of the bench of planes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from tools.bench.figures import Column, median, rounds, table
from tools.bench.planes.measure import CHANNELS, PlanesResult
from tools.light.media_loop import MediaLoop

#: A plane's thread that used a smaller share of a core may have waited for packets.
BUSY: Final = 0.95
#: If a greater share of a core was idle, no thread lacked a core.
SPARE: Final = 0.1
#: With fewer cores, two planes cannot forward clearly more than one.
ENOUGH: Final = 1.7
#: The counts of interface and gateway are read one after the other, and may differ by this share.
APART: Final = 0.02

Results = Mapping[int, Sequence[PlanesResult]]
_COLUMNS: Final[Sequence[Column[PlanesResult]]] = (
    Column("packets a second", lambda run: run.packets, ",.0f"),
    Column("by the interface's count", lambda run: run.sunk, ",.0f"),
    Column("planes' threads", lambda run: sum(run.planes), ".2f"),
    Column("rest of the gateway", lambda run: run.interpreter, ".2f"),
    Column("load generator", lambda run: run.generator, ".2f"),
    Column("idle", lambda run: run.idle, ".2f"),
    Column("packets for each second of a plane's thread", lambda run: run.per_cpu_second, ",.0f"),
    Column("did not fit into its sockets", lambda run: run.dropped, ",.0f"),
)


@frozen
class PlanesConditions:
    """The conditions of a run. Each sender sends ``loop``."""

    machine: str
    loop: MediaLoop
    receivers: int
    rounds: int
    seconds: float
    date: str

    def __str__(self) -> str:
        loop, offered = self.loop, CHANNELS * self.receivers * self.loop.packets_per_second
        return (
            f"{self.date}, {self.machine}; {CHANNELS} channels with {self.receivers} receivers each; each source sends "
            f"{loop.rate:,} bursts a second of {len(loop.frames[0].chunks)} packets with {loop.payload_size:,} bytes, "
            f"{round(offered):,} packets a second if all could leave; {rounds(self.rounds, self.seconds)}, by turns. "
            "Medians; processor time in cores."
        )


def text(results: Results, conditions: PlanesConditions) -> str:
    """Return the whole report as Markdown. ``results`` has one result of each round, by the number of planes."""
    rows = [(planes, *(column.median(runs) for column in _COLUMNS)) for planes, runs in sorted(results.items())]
    figures = table(["planes", *(column.head for column in _COLUMNS)], rows)
    parts = [str(conditions), figures, _verdict(results)]
    if doubts := "; ".join(_doubts(results)):
        parts.append(f"**To be doubted**: {doubts}.")
    return "\n\n".join(parts)


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
            yield f"{planes} had time to spare: more would have to be offered"
        if any(abs(run.sunk - run.packets) > APART * run.packets for run in runs):
            yield f"with {planes} the interface counted other packets than the gateway"
    if cores(results[1]) < BUSY:
        yield f"one plane had only {cores(results[1]):.2f} of a core: something else ran"
    if cores(results[2]) < ENOUGH:
        yield f"two planes had only {cores(results[2]):.2f} cores: too few to show what two can do"
