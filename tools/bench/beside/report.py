"""Putting tables and plots into a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tools.bench.beside.contest import Contestant, Outcome
from tools.bench.beside.plots import Bar, Series, grouped_bars, linear, logarithmic, values_of
from tools.bench.beside.scenarios import Scenario
from tools.bench.beside.summary import Figure, cpu, row
from tools.bench.beside.tables import NAMES, SERVERS, Conditions, text
from tools.page import Place

IMAGES: Final = "images"


def write(page: Path, place: Place, outcome: Outcome, scenarios: Sequence[Scenario], conditions: Conditions) -> None:
    """The plots go beside the page.  Raises :exc:`tools.page.NoPlace`."""
    links = []
    for name, title, drawn in plots(outcome, scenarios):
        folder = page.parent / IMAGES
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(drawn, encoding="utf-8")
        links.append(f"![{title}]({IMAGES}/{name})")
    place.replace(page, text(outcome, scenarios, conditions, links))


def plots(outcome: Outcome, scenarios: Sequence[Scenario]) -> Iterator[tuple[str, str, str]]:
    """File names, titles and drawings, of what there is to draw."""

    def of_row(value: Callable[[Scenario, Contestant], Figure | None], factor: float) -> list[Series]:
        return [_series(who, scenarios, value, factor) for who in SERVERS]

    def latency(scenario: Scenario, who: Contestant) -> Figure | None:
        runs = outcome.runs.get((scenario.name, who))
        return row(runs).latency_p99 if runs else None

    def memory(scenario: Scenario, who: Contestant) -> Figure | None:
        runs = outcome.runs.get((scenario.name, who))
        return row(runs).memory if runs else None

    def cost(scenario: Scenario, who: Contestant) -> Figure | None:
        return cpu(outcome, scenario.name, who)

    drawings = (
        (
            "bench-cpu.svg",
            "CPU µs for each packet that arrived",
            "µs",
            [_series(who, scenarios, cost, 1e6) for who in NAMES],
            linear,
        ),
        ("bench-latency.svg", "Forwarding latency, 99th percentile", "ms", of_row(latency, 1000), logarithmic),
        ("bench-memory.svg", "Memory for each member", "kB", of_row(memory, 1e-3), linear),
    )
    groups = [scenario.title for scenario in scenarios]
    for name, title, unit, series, axis in drawings:
        seen = [one for one in series if any(one.bars)]
        if seen:
            yield name, title, grouped_bars(title, unit, groups, seen, axis(values_of(seen)))


def _series(
    who: Contestant,
    scenarios: Sequence[Scenario],
    value: Callable[[Scenario, Contestant], Figure | None],
    factor: float,
) -> Series:
    bars = []
    for scenario in scenarios:
        figure = value(scenario, who)
        # What did not grow has no place on a logarithmic axis.
        drawable = figure is not None and figure.least > 0
        bars.append(
            Bar(figure.median * factor, figure.least * factor, figure.most * factor) if figure and drawable else None
        )
    return Series(NAMES[who], bars)
