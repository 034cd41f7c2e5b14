"""The figures of a contest: one column of a table each, and the tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import frozen

from tools.bench.beside.conference import TOLD_SECONDS
from tools.bench.beside.contest import Contestant, ContestOutcome
from tools.bench.beside.measure import RunResult
from tools.bench.beside.scenarios import CallScenario
from tools.bench.markdown import NOT_MEASURED, Summary, shown, table

NAMES: Final[dict[Contestant, str]] = {
    "gateway": "trio-sfu",
    "janus": "Janus",
    "floor": "floor, one by one",
    "floor-segmented": "floor, segmented",
}
SERVERS: Final[Sequence[Contestant]] = ("gateway", "janus")
FLOORS: Final[Sequence[Contestant]] = ("floor", "floor-segmented")

#: Above these limits the bench may have measured its own load generator.
MOST_LATE: Final = 0.005
MOST_BUSY: Final = 0.8
MOST_LOST: Final = 0.001


@frozen
class ContestConditions:
    """How the contest was run; ``janus`` is its version or empty, times are in seconds."""

    machine: str
    janus: str
    rounds: int
    seconds: float
    lasted: float
    date: str


@frozen
class Column:
    """A figure of one server in one scenario; ``factor`` turns seconds and bytes into the unit of the head."""

    head: str
    value: Callable[[RunResult], float | None]
    factor: float = 1000
    digits: int = 1

    def summary(self, runs: Sequence[RunResult]) -> Summary | None:
        return Summary.of(self.value(run) for run in runs)

    def cell(self, runs: Sequence[RunResult]) -> str:
        return shown(self.summary(runs), self.factor, self.digits)


LATENCY_P99: Final = Column("p99, ms", lambda run: run.received.latency_p99, digits=2)
MEMORY: Final = Column("memory a member, kB", lambda run: run.memory_per_member, 1e-3, 0)
_LATE: Final = Column("generator late p99, ms", lambda run: run.late_p99)
_TOLD: Final = Column("close to told, ms", lambda run: run.told)
_JOINS: Final = (
    Column("join, ms", lambda run: statistics.median(run.joins), digits=0),
    Column("slowest, ms", lambda run: max(run.joins), digits=0),
)


def cpu(outcome: ContestOutcome, scenario: str, contestant: Contestant) -> Summary | None:
    """Return seconds for each packet, of a server or of the floor; None where that was not measured."""
    runs = outcome.runs.get((scenario, contestant)) or outcome.floors.get((scenario, contestant)) or []
    return Summary.of(run.cpu_per_packet for run in runs)


def text(
    outcome: ContestOutcome, scenarios: Sequence[CallScenario], conditions: ContestConditions, images: Sequence[str]
) -> str:
    """Return the whole report as Markdown; ``images`` are Markdown links."""
    parts = [_head(conditions), _cpu_table(outcome, scenarios), *images, _server_table(outcome, scenarios)]
    return "\n\n".join(part for part in [*parts, *_remarks(outcome, scenarios)] if part)


def _head(conditions: ContestConditions) -> str:
    beside = f"Janus {conditions.janus} beside it" if conditions.janus else "no Janus beside it"
    rounds = f"{conditions.rounds} round{'' if conditions.rounds == 1 else 's'} of {conditions.seconds:g} s"
    return (
        f"{conditions.date}, {conditions.machine}; {beside}; {rounds}, the contestants by turns, "
        f"{conditions.lasted / 60:.0f} minutes in all. Each figure is the median of the rounds, with the least and the "
        "most in brackets."
    )


def _cpu_table(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> str:
    rows = []
    for scenario in scenarios:
        figures = {contestant: cpu(outcome, scenario.name, contestant) for contestant in NAMES}
        floors = [summary for contestant in FLOORS if (summary := figures[contestant])]
        best = min(floors, key=lambda summary: summary.median, default=None)
        ours = figures["gateway"]
        cells = [shown(summary, 1e6) for summary in figures.values()]
        ratios = [_ratio(figures["janus"], ours), _ratio(ours, best)]
        rows.append([scenario.title, f"{scenario.rate:,}", *cells, *ratios])
    head = ["", "packets a second", *NAMES.values(), "Janus / trio-sfu", "trio-sfu / best floor"]
    return f"**CPU µs of the process for each packet that arrived**\n\n{table(head, rows)}"


def _server_table(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> str:
    rows = [
        [scenario.title, NAMES[contestant], *_server_cells(runs)]
        for scenario in scenarios
        for contestant in SERVERS
        if (runs := outcome.runs.get((scenario.name, contestant)))
    ]
    heads = [LATENCY_P99.head, "lost", *(one.head for one in _JOINS), _TOLD.head, MEMORY.head, "threads", _LATE.head]
    return table(["", "", "latency p50, ms", *heads, "its CPU"], rows) if rows else ""


def _server_cells(runs: Sequence[RunResult]) -> Iterator[str]:
    yield Column("", lambda run: run.received.latency_p50, digits=2).cell(runs)
    yield LATENCY_P99.cell(runs)
    yield f"{_median(runs, lambda run: run.loss):.2%}"
    yield from (column.cell(runs) for column in _JOINS)
    yield _TOLD.cell(runs) if _TOLD.summary(runs) else f"> {TOLD_SECONDS * 1000:.0f}"
    yield MEMORY.cell(runs)
    yield str(max(run.threads for run in runs))
    yield _LATE.cell(runs)
    yield f"{_median(runs, lambda run: run.busy) + _median(runs, lambda run: run.drain_busy):.0%}"


def _median(runs: Sequence[RunResult], value: Callable[[RunResult], float]) -> float:
    return statistics.median(value(run) for run in runs)


def _remarks(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> Iterator[str]:
    if doubts := list(_doubts(outcome, scenarios)):
        yield f"**To be doubted**, since the load generator itself was slow or full: {'; '.join(doubts)}."
    profiles = frozenset().union(*(run.profiles for runs in outcome.runs.values() for run in runs))
    if len(profiles) == 1:
        yield f"Every transport used {next(iter(profiles))}."
    elif profiles:
        yield f"**Not alike**: transports used {', '.join(sorted(profiles))}."
    for failure in outcome.failures:
        yield f"**Failed**: {failure.partition(chr(10))[0]}"


def _doubts(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> Iterator[str]:
    for scenario in scenarios:
        for contestant in SERVERS:
            if runs := outcome.runs.get((scenario.name, contestant)):
                yield from (f"{scenario.title}, {NAMES[contestant]} ({why})" for why in _doubts_about(runs))
        for floor in FLOORS:
            runs_of_floor = outcome.floors.get((scenario.name, floor), [])
            if (worst := max((run.loss for run in runs_of_floor), default=0.0)) > MOST_LOST:
                yield f"{scenario.title}, {NAMES[floor]} ({worst:.1%} did not arrive)"


def _doubts_about(runs: Sequence[RunResult]) -> Iterator[str]:
    if (late := _median(runs, lambda run: run.late_p99)) > MOST_LATE:
        yield f"sources were {late * 1000:.0f} ms late"
    busy = max(_median(runs, lambda run: run.busy), _median(runs, lambda run: run.drain_busy))
    if busy > MOST_BUSY:
        yield f"the generator was busy for {busy:.0%} of a core"
    dropped, unopened = sum(run.received.dropped for run in runs), sum(run.received.unopened for run in runs)
    if dropped or unopened:
        yield f"{dropped} packets did not fit into its sockets, {unopened} could not be decrypted"


def _ratio(one: Summary | None, other: Summary | None) -> str:
    return f"{one.median / other.median:.1f}" if one and other else NOT_MEASURED
