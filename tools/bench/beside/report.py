"""Writes the tables and the plots of a contest into a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tools.bench.beside.contest import Contestant, ContestOutcome
from tools.bench.beside.figures import LATENCY_P99, MEMORY, NAMES, SERVERS, Column, ContestConditions, cpu, text
from tools.bench.beside.plots import Bars, grouped_bars, linear, logarithmic
from tools.bench.beside.scenarios import CallScenario
from tools.bench.markdown import Summary
from tools.page import Place

IMAGES: Final = "images"
Value = Callable[[str, Contestant], Summary | None]


def write(
    page: Path, place: Place, outcome: ContestOutcome, scenarios: Sequence[CallScenario], conditions: ContestConditions
) -> None:
    """Write the tables into the page and the plots beside it.  Raises :exc:`tools.page.NoPlace`."""
    links = []
    for name, title, drawn in plots(outcome, scenarios):
        folder = page.parent / IMAGES
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(drawn, encoding="utf-8")
        links.append(f"![{title}]({IMAGES}/{name})")
    place.replace(page, text(outcome, scenarios, conditions, links))


def plots(outcome: ContestOutcome, scenarios: Sequence[CallScenario]) -> Iterator[tuple[str, str, str]]:
    """Yield file name, title and drawing of each plot that has any data."""

    def of_server(column: Column, scenario: str, contestant: Contestant) -> Summary | None:
        return column.summary(outcome.runs.get((scenario, contestant), []))

    latency, memory = partial(of_server, LATENCY_P99), partial(of_server, MEMORY)
    groups = [scenario.title for scenario in scenarios]
    for name, title, unit, factor, contestants, value, axis in (
        ("cpu", "CPU µs for each packet that arrived", "µs", 1e6, tuple(NAMES), partial(cpu, outcome), linear),
        ("latency", "Forwarding latency, 99th percentile", "ms", 1e3, SERVERS, latency, logarithmic),
        ("memory", "Memory for each member", "kB", 1e-3, SERVERS, memory, linear),
    ):
        bars = [_bars(one, scenarios, value, factor) for one in contestants]
        if drawable := [one for one in bars if any(one.heights)]:
            yield f"bench-{name}.svg", title, grouped_bars(title, unit, groups, drawable, axis)


def _bars(contestant: Contestant, scenarios: Sequence[CallScenario], value: Value, factor: float) -> Bars:
    heights: list[Summary | None] = []
    for scenario in scenarios:
        summary = value(scenario.name, contestant)
        # A logarithmic axis has no place for zero and less.
        drawable = summary if summary is not None and summary.least > 0 else None
        heights.append(drawable and Summary(drawable.median * factor, drawable.least * factor, drawable.most * factor))
    return Bars(NAMES[contestant], heights)
