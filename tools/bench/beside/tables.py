"""What the bench writes into its page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from tools.bench.beside.conference import TOLD_SECONDS
from tools.bench.beside.contest import Contestant, Outcome
from tools.bench.beside.scenarios import Scenario
from tools.bench.beside.summary import Figure, Row, cpu, row

NAMES: Final[dict[Contestant, str]] = {
    "gateway": "trio-sfu",
    "janus": "Janus",
    "floor": "floor, one by one",
    "floor-segmented": "floor, segmented",
}
SERVERS: Final[Sequence[Contestant]] = ("gateway", "janus")
FLOORS: Final[Sequence[Contestant]] = ("floor", "floor-segmented")
NOTHING: Final = "–"

#: Above these the load generator may be what was measured.
MOST_LATE: Final = 0.005
MOST_BUSY: Final = 0.8
MOST_LOST: Final = 0.001


@frozen
class Conditions:
    """How it was run."""

    machine: str
    janus: str
    rounds: int
    seconds: float
    lasted: float
    date: str


def text(outcome: Outcome, scenarios: Sequence[Scenario], conditions: Conditions, images: Sequence[str]) -> str:
    """All of it, as Markdown; ``images`` are already written as links."""
    parts = [_head(conditions), _cpu_table(outcome, scenarios), *images, _server_table(outcome, scenarios)]
    return "\n\n".join(part for part in [*parts, *_remarks(outcome, scenarios)] if part)


def _head(conditions: Conditions) -> str:
    beside = f"Janus {conditions.janus} beside it" if conditions.janus else "no Janus beside it"
    return (
        f"{conditions.date}, {conditions.machine}; {beside}; {_count(conditions.rounds, 'round')} of "
        f"{conditions.seconds:g} s, the contestants by turns, {conditions.lasted / 60:.0f} minutes in all. Medians, "
        "and in brackets the least and the most of the rounds."
    )


def _cpu_table(outcome: Outcome, scenarios: Sequence[Scenario]) -> str:
    lines = [
        "**CPU µs of the process for each packet that arrived**",
        "",
        f"| | packets a second | {' | '.join(NAMES.values())} | Janus / trio-sfu | trio-sfu / best floor |",
        f"|---|---|{'---|' * len(NAMES)}---|---|",
    ]
    for scenario in scenarios:
        figures = {contestant: cpu(outcome, scenario.name, contestant) for contestant in NAMES}
        floors = [figure.median for figure in (figures["floor"], figures["floor-segmented"]) if figure]
        ours = figures["gateway"]
        lines.append(
            f"| {scenario.title} | {scenario.rate:,} | {' | '.join(_scaled(one, 1e6) for one in figures.values())} "
            f"| {_ratio(figures['janus'], ours)} | {_ratio(ours, Figure.of([min(floors)]) if floors else None)} |"
        )
    return "\n".join(lines)


def _server_table(outcome: Outcome, scenarios: Sequence[Scenario]) -> str:
    lines = [
        "| | | latency p50, ms | p99, ms | lost | join, ms | slowest, ms | close to told, ms | memory a member, kB "
        "| threads | generator late p99, ms | its CPU |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scenario in scenarios:
        for contestant in SERVERS:
            if runs := outcome.runs.get((scenario.name, contestant)):
                lines.append(_server_line(scenario, contestant, row(runs)))
    return "\n".join(lines) if len(lines) > 2 else ""


def _server_line(scenario: Scenario, contestant: Contestant, of: Row) -> str:
    told = _scaled(of.told, 1000) if of.told else f"> {TOLD_SECONDS * 1000:.0f}"
    cells = [
        scenario.title,
        NAMES[contestant],
        _scaled(of.latency_p50, 1000, 2),
        _scaled(of.latency_p99, 1000, 2),
        f"{of.loss.median:.2%}",
        _scaled(of.join, 1000, 0),
        _scaled(of.join_slowest, 1000, 0),
        told,
        _scaled(of.memory, 1e-3, 0),
        str(of.threads),
        _scaled(of.late, 1000),
        f"{of.busy.median + of.drain_busy.median:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def _remarks(outcome: Outcome, scenarios: Sequence[Scenario]) -> Iterator[str]:
    doubts = list(_doubts(outcome, scenarios))
    if doubts:
        yield "**To be doubted**, since the load generator itself was slow or full: " + "; ".join(doubts) + "."
    profiles = frozenset().union(*(run.profiles for runs in outcome.runs.values() for run in runs))
    if len(profiles) == 1:
        yield f"Every transport used {next(iter(profiles))}."
    elif profiles:
        yield f"**Not alike**: transports used {', '.join(sorted(profiles))}."
    for failure in outcome.failures:
        yield f"**Failed**: {failure.partition(chr(10))[0]}"


def _doubts(outcome: Outcome, scenarios: Sequence[Scenario]) -> Iterator[str]:
    for scenario in scenarios:
        for contestant in SERVERS:
            if not (runs := outcome.runs.get((scenario.name, contestant))):
                continue
            of, where = row(runs), f"{scenario.title}, {NAMES[contestant]}"
            if of.late.median > MOST_LATE:
                yield f"{where} (sources were {of.late.median * 1000:.0f} ms late)"
            if of.busy.median > MOST_BUSY or of.drain_busy.median > MOST_BUSY:
                yield f"{where} (the generator was busy for {max(of.busy.median, of.drain_busy.median):.0%} of a core)"
            if of.dropped or of.unopened:
                yield f"{where} ({of.dropped} packets did not fit into its sockets, {of.unopened} could not be opened)"
        for floor in FLOORS:
            runs_of_floor = outcome.floors.get((scenario.name, floor), [])
            if (worst := max((run.loss for run in runs_of_floor), default=0.0)) > MOST_LOST:
                yield f"{scenario.title}, {NAMES[floor]} ({worst:.1%} did not arrive)"


def _scaled(figure: Figure | None, factor: float, digits: int = 1) -> str:
    if figure is None:
        return NOTHING
    median, least, most = (f"{value * factor:,.{digits}f}" for value in (figure.median, figure.least, figure.most))
    return median if least == most else f"{median} ({least}–{most})"


def _ratio(one: Figure | None, other: Figure | None) -> str:
    return f"{one.median / other.median:.1f}" if one and other else NOTHING


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
