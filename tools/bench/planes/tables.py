"""The report of the bench of planes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from tools.bench.markdown import median, table
from tools.bench.planes.channels import CHANNELS
from tools.bench.planes.measure import PlanesResult
from tools.light.media_loop import MediaLoop

#: A plane's thread that had less of a core may have waited for packets.
BUSY: Final = 0.95
#: Where more of a core than this was idle, nothing lacked a core.
SPARE: Final = 0.1
#: With fewer cores, two planes cannot forward clearly more than one.
ENOUGH: Final = 1.7
#: The counts of interface and gateway are read one after the other, and may differ by this share.
APART: Final = 0.02

Results = Mapping[int, Sequence[PlanesResult]]
#: A column: its head, the figure, and the figure's format.
_COLUMNS: Final[Sequence[tuple[str, Callable[[PlanesResult], float], str]]] = (
    ("packets a second", lambda run: run.packets, ",.0f"),
    ("by the interface's count", lambda run: run.sunk, ",.0f"),
    ("planes' threads", lambda run: sum(run.planes), ".2f"),
    ("rest of the gateway", lambda run: run.interpreter, ".2f"),
    ("load generator", lambda run: run.generator, ".2f"),
    ("idle", lambda run: run.idle, ".2f"),
    ("packets for each second of a plane's thread", lambda run: run.per_cpu_second, ",.0f"),
    ("did not fit into its sockets", lambda run: run.dropped, ",.0f"),
)


@frozen
class PlanesConditions:
    """How the bench was run; each sender sends ``loop``."""

    machine: str
    loop: MediaLoop
    receivers: int
    rounds: int
    seconds: float
    date: str

    @property
    def offered(self) -> int:
        """Packets a second that would leave if the gateway could forward all."""
        return round(CHANNELS * self.receivers * self.loop.packets_per_second)


def text(results: Results, conditions: PlanesConditions) -> str:
    """Return the whole report as Markdown; ``results`` holds one result of each round, by the number of planes."""
    rows = [
        [str(planes), *(format(median(runs, value), style) for _, value, style in _COLUMNS)]
        for planes, runs in sorted(results.items())
    ]
    figures = table(["planes", *(head for head, _, _ in _COLUMNS)], rows)
    return "\n\n".join([_head(conditions), figures, _verdict(results), *_doubts(results)])


def cores(runs: Sequence[PlanesResult]) -> float:
    """Return the cores that all threads of planes used together."""
    return median(runs, lambda run: sum(run.planes))


def _head(conditions: PlanesConditions) -> str:
    loop = conditions.loop
    return (
        f"{conditions.date}, {conditions.machine}; {CHANNELS} channels with {conditions.receivers} receivers each; "
        f"each source sends {loop.rate:,} bursts a second of {len(loop.frames[0].chunks)} packets with "
        f"{loop.payload_size:,} bytes, {conditions.offered:,} packets a second if all could leave; "
        f"{conditions.rounds} round{'' if conditions.rounds == 1 else 's'} of {conditions.seconds:g} s, by turns. "
        "Medians; processor time in cores."
    )


def _verdict(results: Results) -> str:
    one = median(results[1], lambda run: run.packets)
    of_each = [run.packets / one for run in results[2]]
    return (
        f"Two planes forwarded **{median(results[2], lambda run: run.packets) / one:.2f} times** the packets of one "
        f"({min(of_each):.2f}–{max(of_each):.2f}), with {cores(results[2]) / cores(results[1]):.2f} times the "
        "processor time."
    )


def _doubts(results: Results) -> Iterator[str]:
    why = []
    for planes, runs in sorted(results.items()):
        if cores(runs) < BUSY * planes and median(runs, lambda run: run.idle) > SPARE:
            why.append(f"{planes} had time to spare: more would have to be offered")
        if any(abs(run.sunk - run.packets) > APART * run.packets for run in runs):
            why.append(f"with {planes} the interface counted other packets than the gateway")
    if cores(results[1]) < BUSY:
        why.append(f"one plane had only {cores(results[1]):.2f} of a core: something else ran")
    if cores(results[2]) < ENOUGH:
        why.append(f"two planes had only {cores(results[2]):.2f} cores: too few to show what two can do")
    if why:
        yield f"**To be doubted**: {'; '.join(why)}."
