"""The report of a contest: its tables and plots."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from tools.bench.beside.call import NOTICE_SECONDS, RunResult
from tools.bench.beside.contest import Contestant, ContestOutcome
from tools.bench.beside.floor import FloorResult
from tools.bench.beside.scenarios import CallScenario
from tools.bench.command import Report
from tools.bench.figures import NOT_MEASURED, Column, Summary, median, run_table, table
from tools.bench.plots import bar_plot, logarithmic

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

_CPU: Final = Column[RunResult | FloorResult]("CPU µs", lambda run: run.cpu_per_packet, factor=1e6)
_P99: Final = Column[RunResult]("p99, ms", lambda run: run.received.latency_p99, ",.2f", 1e3)
_MEMORY: Final = Column[RunResult]("memory a member, kB", lambda run: run.memory_per_member, ",.0f", 1e-3)
_SERVER_COLUMNS: Final[Sequence[Column[RunResult]]] = (
    Column("latency p50, ms", lambda run: run.received.latency_p50, ",.2f", 1e3),
    _P99,
    Column("lost", lambda run: run.loss, ".2%", only="median"),
    Column("join, ms", lambda run: statistics.median(run.joins), ",.0f", 1e3),
    Column("slowest, ms", lambda run: max(run.joins), ",.0f", 1e3),
    Column("close to notice, ms", lambda run: run.notice, factor=1e3, unknown=f"> {NOTICE_SECONDS * 1000:.0f}"),
    _MEMORY,
    Column("threads", lambda run: run.threads, ".0f", only="most"),
    Column("generator late p99, ms", lambda run: run.late_p99, factor=1e3),
    Column("its CPU", lambda run: run.busy + run.drain_busy, ".0%", only="median"),
)


def report(outcome: ContestOutcome, scenarios: Sequence[CallScenario], conditions: str) -> Report:
    """Return the whole report."""
    why = "the load generator itself was slow or full"
    remarks = [*_profiles(outcome), *outcome.remarks(_doubts(outcome, scenarios), why)]
    return Report(
        [conditions, _cpu_table(outcome, scenarios)],
        [*_plots(outcome, scenarios)],
        [_server_table(outcome, scenarios), *remarks],
        1 if outcome.failures else 0,
    )


def _server_runs(outcome: ContestOutcome, scenario: CallScenario, contestant: Contestant) -> list[RunResult]:
    return [run for run in outcome.runs.get((scenario.name, contestant), []) if isinstance(run, RunResult)]


def _cpu(outcome: ContestOutcome, scenario: CallScenario, contestant: Contestant) -> Summary | None:
    """Return the processor time for each packet of a server or of the floor, in µs. None if it was not measured."""
    return _CPU.summary(outcome.runs.get((scenario.name, contestant), []))


def _plots(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> Iterator[tuple[str, str, str]]:
    groups = [scenario.title for scenario in scenarios]
    cpu = {NAMES[one]: [_cpu(outcome, scenario, one) for scenario in scenarios] for one in NAMES}
    yield from bar_plot("bench-cpu.svg", "CPU µs for each packet that arrived", "µs", groups, cpu)
    latency, memory = (
        {
            NAMES[one]: [column.summary(_server_runs(outcome, scenario, one)) for scenario in scenarios]
            for one in SERVERS
        }
        for column in (_P99, _MEMORY)
    )
    title = "Forwarding latency, 99th percentile"
    yield from bar_plot("bench-latency.svg", title, "ms", groups, latency, logarithmic)
    yield from bar_plot("bench-memory.svg", "Memory for each member", "kB", groups, memory)


def _cpu_table(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> str:
    rows = []
    for scenario in scenarios:
        figures = {contestant: _cpu(outcome, scenario, contestant) for contestant in NAMES}
        floors = [summary for contestant in FLOORS if (summary := figures[contestant])]
        best = min(floors, key=lambda summary: summary.median, default=None)
        ours = figures["gateway"]
        cells = [_CPU.cell(outcome.runs.get((scenario.name, contestant), [])) for contestant in NAMES]
        rows.append([scenario.title, f"{scenario.rate:,}", *cells, _ratio(figures["janus"], ours), _ratio(ours, best)])
    head = ["", "packets a second", *NAMES.values(), "Janus / trio-sfu", "trio-sfu / best floor"]
    return f"**CPU µs of the process for each packet that arrived**\n\n{table(head, rows)}"


def _ratio(one: Summary | None, other: Summary | None) -> str:
    return f"{one.median / other.median:.1f}" if one and other else NOT_MEASURED


def _server_table(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> str:
    pairs = [(scenario, one) for scenario in scenarios for one in SERVERS]
    rows = [([scenario.title, NAMES[one]], _server_runs(outcome, scenario, one)) for scenario, one in pairs]
    return run_table(_SERVER_COLUMNS, rows)


def _profiles(outcome: ContestOutcome) -> Iterator[str]:
    runs = [run for runs in outcome.runs.values() for run in runs if isinstance(run, RunResult)]
    profiles = sorted(frozenset().union(*(run.profiles for run in runs)))
    if len(profiles) == 1:
        yield f"Every transport used {profiles[0]}."
    elif profiles:
        yield f"**Not alike**: transports used {', '.join(profiles)}."


def _doubts(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> Iterator[str]:
    for scenario in scenarios:
        for one in SERVERS:
            if runs := _server_runs(outcome, scenario, one):
                yield from (f"{scenario.title}, {NAMES[one]} ({why})" for why in _doubts_about(runs))
        for one in FLOORS:
            worst = max((run.loss for run in outcome.runs.get((scenario.name, one), [])), default=0.0)
            if worst > MOST_LOST:
                yield f"{scenario.title}, {NAMES[one]} ({worst:.1%} did not arrive)"


def _doubts_about(runs: Sequence[RunResult]) -> Iterator[str]:
    if (late := median(runs, lambda run: run.late_p99)) > MOST_LATE:
        yield f"sources were {late * 1000:.0f} ms late"
    busy = max(median(runs, lambda run: run.busy), median(runs, lambda run: run.drain_busy))
    if busy > MOST_BUSY:
        yield f"the generator was busy for {busy:.0%} of a core"
    dropped, unopened = sum(run.received.dropped for run in runs), sum(run.received.unopened for run in runs)
    if dropped or unopened:
        yield f"{dropped} packets did not fit into its sockets, {unopened} could not be decrypted"
