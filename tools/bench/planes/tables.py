"""What the bench of planes writes into its page."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from tools.bench.planes.channels import CHANNELS
from tools.bench.planes.measure import Result
from tools.bench.source import Source

#: A plane's thread that had less of a core may have waited for packets.
BUSY: Final = 0.95
#: Of a core; where more was idle, nobody lacked one.
SPARE: Final = 0.1
#: With less, two planes cannot be seen to forward well more than one.
ENOUGH: Final = 1.7
#: The interface's count and the gateway's are read one after the other, and may be so far apart.
APART: Final = 0.02

Results = Mapping[int, Sequence[Result]]


@frozen
class Conditions:
    """How it was run."""

    machine: str
    source: Source
    receivers: int
    rounds: int
    seconds: float
    date: str

    @property
    def offered(self) -> int:
        """Packets a second that would leave if all could."""
        return CHANNELS * self.receivers * self.source.rate * self.source.burst


def text(results: Results, conditions: Conditions) -> str:
    """All of it, as Markdown; ``results`` by the number of planes, one of each round."""
    return "\n\n".join([_head(conditions), _table(results), _verdict(results), *_doubts(results)])


def ratio(results: Results) -> float:
    """The packets of two planes for each of one."""
    return _median(results[2], lambda run: run.packets) / _median(results[1], lambda run: run.packets)


def cores(runs: Sequence[Result]) -> float:
    """What the planes' threads had, all together."""
    return _median(runs, lambda run: sum(run.planes))


def _head(conditions: Conditions) -> str:
    source = conditions.source
    return (
        f"{conditions.date}, {conditions.machine}; {CHANNELS} channels with {conditions.receivers} receivers each, "
        f"{source.rate:,} bursts a second of {source.burst} packets with {source.size:,} bytes from each source, "
        f"{conditions.offered:,} packets a second if all could leave; {conditions.rounds} rounds of "
        f"{conditions.seconds:g} s, by turns. Medians; processor time in cores."
    )


def _table(results: Results) -> str:
    lines = [
        "| planes | packets a second | by the interface's count | planes' threads | rest of the gateway "
        "| load generator | idle | packets for each second of a plane's thread | did not fit into its sockets |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for planes, runs in sorted(results.items()):
        counts = [_median(runs, lambda run: run.packets), _median(runs, lambda run: run.sunk)]
        shares = [
            cores(runs),
            _median(runs, lambda run: run.interpreter),
            _median(runs, lambda run: run.generator),
            _median(runs, lambda run: run.idle),
        ]
        last = [_median(runs, lambda run: run.per_cpu_second), _median(runs, lambda run: run.dropped)]
        cells = [
            *(f"{one:,.0f}" for one in counts),
            *(f"{one:.2f}" for one in shares),
            *(f"{one:,.0f}" for one in last),
        ]
        lines.append(f"| {planes} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(results: Results) -> str:
    of_each = [run.packets for run in results[2]]
    least, most = (pick(of_each) / _median(results[1], lambda run: run.packets) for pick in (min, max))
    return (
        f"Two planes forwarded **{ratio(results):.2f} times** the packets of one ({least:.2f}–{most:.2f}), with "
        f"{cores(results[2]) / cores(results[1]):.2f} times the processor time."
    )


def _doubts(results: Results) -> Iterator[str]:
    why = []
    for planes, runs in sorted(results.items()):
        if cores(runs) < BUSY * planes and _median(runs, lambda run: run.idle) > SPARE:
            why.append(f"{planes} had time to spare: more would have to be offered")
        if any(abs(run.sunk - run.packets) > APART * run.packets for run in runs):
            why.append(f"with {planes} the interface counted other packets than the gateway")
    if cores(results[1]) < BUSY:
        why.append(f"one plane had but {cores(results[1]):.2f} of a core: something else ran")
    if cores(results[2]) < ENOUGH:
        why.append(f"two planes had but {cores(results[2]):.2f} cores: this cannot show what they do with two")
    if why:
        yield f"**To be doubted**: {'; '.join(why)}."


def _median(runs: Sequence[Result], value: Callable[[Result], float]) -> float:
    return statistics.median(value(run) for run in runs)
