"""The report of a contest: its tables and plots."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from attrs import frozen

from tools.bench.beside.call import NOTICE_SECONDS
from tools.bench.beside.contest import Contestant, ContestOutcome
from tools.bench.beside.measure import RunResult
from tools.bench.beside.scenarios import CallScenario
from tools.bench.figures import NOT_MEASURED, Column, Summary, median, rounds, shown, table
from tools.bench.plots import Bars, grouped_bars, linear, logarithmic

NAMES: Final[dict[Contestant, str]] = {
    "gateway": "trio-sfu",
    "janus": "Janus",
    "floor": "floor, one by one",
    "floor-segmented": "floor, segmented",
}
SERVERS: Final[Sequence[Contestant]] = ("gateway", "janus")
FLOORS: Final[Sequence[Contestant]] = ("floor", "floor-segmented")
IMAGES: Final = "images"

#: Above these limits the bench may have measured its own load generator.
MOST_LATE: Final = 0.005
MOST_BUSY: Final = 0.8
MOST_LOST: Final = 0.001

Runs = Sequence[RunResult]
_P50: Final = Column[RunResult]("latency p50, ms", lambda run: run.received.latency_p50, ",.2f", 1e3)
_P99: Final = Column[RunResult]("p99, ms", lambda run: run.received.latency_p99, ",.2f", 1e3)
_JOIN: Final = Column[RunResult]("join, ms", lambda run: statistics.median(run.joins), ",.0f", 1e3)
_SLOWEST: Final = Column[RunResult]("slowest, ms", lambda run: max(run.joins), ",.0f", 1e3)
_NOTICE: Final = Column[RunResult]("close to notice, ms", lambda run: run.notice, factor=1e3)
_MEMORY: Final = Column[RunResult]("memory a member, kB", lambda run: run.memory_per_member, ",.0f", 1e-3)
_LATE: Final = Column[RunResult]("generator late p99, ms", lambda run: run.late_p99, factor=1e3)
_SERVER_COLUMNS: Final[Mapping[str, Callable[[Runs], str]]] = {
    _P50.head: _P50.cell,
    _P99.head: _P99.cell,
    "lost": lambda runs: f"{median(runs, lambda run: run.loss):.2%}",
    _JOIN.head: _JOIN.cell,
    _SLOWEST.head: _SLOWEST.cell,
    _NOTICE.head: lambda runs: _NOTICE.cell(runs) if _NOTICE.summary(runs) else f"> {NOTICE_SECONDS * 1000:.0f}",
    _MEMORY.head: _MEMORY.cell,
    "threads": lambda runs: str(max(run.threads for run in runs)),
    _LATE.head: _LATE.cell,
    "its CPU": lambda runs: f"{median(runs, lambda run: run.busy) + median(runs, lambda run: run.drain_busy):.0%}",
}


@frozen
class ContestConditions:
    """The conditions of a contest. ``janus`` is the version of Janus, or empty. Times are in seconds."""

    machine: str
    janus: str
    rounds: int
    seconds: float
    lasted: float
    date: str

    def __str__(self) -> str:
        beside = f"Janus {self.janus} beside it" if self.janus else "no Janus beside it"
        return (
            f"{self.date}, {self.machine}; {beside}; {rounds(self.rounds, self.seconds)}, the contestants by turns, "
            f"{self.lasted / 60:.0f} minutes in all. Each figure is the median of the rounds, with the least and the "
            "most in brackets."
        )


def cpu(outcome: ContestOutcome, scenario: str, contestant: Contestant) -> Summary | None:
    """Return the processor time for each packet of a server or of the floor, in seconds.

    None if it was not measured.
    """
    runs = outcome.runs.get((scenario, contestant)) or outcome.floors.get((scenario, contestant)) or []
    return Summary.of(run.cpu_per_packet for run in runs)


def text(
    outcome: ContestOutcome, scenarios: Sequence[CallScenario], conditions: ContestConditions, images: Sequence[str]
) -> str:
    """Return the whole report as Markdown. ``images`` are Markdown links to the plots."""
    parts = [str(conditions), _cpu_table(outcome, scenarios), *images, _server_table(outcome, scenarios)]
    return "\n\n".join(part for part in [*parts, *_remarks(outcome, scenarios)] if part)


def text_with_plots(
    outcome: ContestOutcome, scenarios: Sequence[CallScenario], conditions: ContestConditions, page: Path
) -> str:
    """Write the plots into a folder beside the page, and return the report with links to them."""
    folder, links = page.parent / IMAGES, []
    for name, title, drawn in plots(outcome, scenarios):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(drawn, encoding="utf-8")
        links.append(f"![{title}]({IMAGES}/{name})")
    return text(outcome, scenarios, conditions, links)


def plots(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> Iterator[tuple[str, str, str]]:
    """Yield the file name, title and SVG of each plot that has data."""

    def of_server(column: Column[RunResult], scenario: str, contestant: Contestant) -> Summary | None:
        return column.summary(outcome.runs.get((scenario, contestant), []))

    def height(summary: Summary | None, factor: float) -> Summary | None:
        # A logarithmic axis cannot show zero or a negative value.
        return summary.scaled(factor) if summary is not None and summary.least > 0 else None

    for name, title, unit, factor, contestants, value, axis in (
        ("cpu", "CPU µs for each packet that arrived", "µs", 1e6, tuple(NAMES), partial(cpu, outcome), linear),
        ("latency", "Forwarding latency, 99th percentile", "ms", 1e3, SERVERS, partial(of_server, _P99), logarithmic),
        ("memory", "Memory for each member", "kB", 1e-3, SERVERS, partial(of_server, _MEMORY), linear),
    ):
        bars = [Bars(NAMES[one], [height(value(each.name, one), factor) for each in scenarios]) for one in contestants]
        if drawable := [one for one in bars if any(one.heights)]:
            groups = [scenario.title for scenario in scenarios]
            yield f"bench-{name}.svg", title, grouped_bars(title, unit, groups, drawable, axis)


def _cpu_table(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> str:
    rows = []
    for scenario in scenarios:
        figures = {contestant: cpu(outcome, scenario.name, contestant) for contestant in NAMES}
        floors = [summary for contestant in FLOORS if (summary := figures[contestant])]
        best = min(floors, key=lambda summary: summary.median, default=None)
        ours = figures["gateway"]
        cells = [shown(summary, 1e6) for summary in figures.values()]
        rows.append([scenario.title, f"{scenario.rate:,}", *cells, _ratio(figures["janus"], ours), _ratio(ours, best)])
    head = ["", "packets a second", *NAMES.values(), "Janus / trio-sfu", "trio-sfu / best floor"]
    return f"**CPU µs of the process for each packet that arrived**\n\n{table(head, rows)}"


def _ratio(one: Summary | None, other: Summary | None) -> str:
    return f"{one.median / other.median:.1f}" if one and other else NOT_MEASURED


def _server_table(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> str:
    rows = [
        [scenario.title, NAMES[contestant], *(cell(runs) for cell in _SERVER_COLUMNS.values())]
        for scenario in scenarios
        for contestant in SERVERS
        if (runs := outcome.runs.get((scenario.name, contestant)))
    ]
    return table(["", "", *_SERVER_COLUMNS], rows) if rows else ""


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
            worst = max((run.loss for run in outcome.floors.get((scenario.name, floor), [])), default=0.0)
            if worst > MOST_LOST:
                yield f"{scenario.title}, {NAMES[floor]} ({worst:.1%} did not arrive)"


def _doubts_about(runs: Runs) -> Iterator[str]:
    if (late := median(runs, lambda run: run.late_p99)) > MOST_LATE:
        yield f"sources were {late * 1000:.0f} ms late"
    busy = max(median(runs, lambda run: run.busy), median(runs, lambda run: run.drain_busy))
    if busy > MOST_BUSY:
        yield f"the generator was busy for {busy:.0%} of a core"
    dropped, unopened = sum(run.received.dropped for run in runs), sum(run.received.unopened for run in runs)
    if dropped or unopened:
        yield f"{dropped} packets did not fit into its sockets, {unopened} could not be decrypted"
