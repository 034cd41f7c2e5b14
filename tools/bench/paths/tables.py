"""The report: tables of all rows and contestants, the aims, and a plot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from tools.bench.calls.browsers import Browser
from tools.bench.calls.server import Contestant
from tools.bench.figures import NOT_MEASURED, Summary, table
from tools.bench.paths.call import SETTLED_SECONDS, PathFigures
from tools.bench.paths.contest import PathsOutcome
from tools.bench.paths.rows import PathRow
from tools.bench.plots import Bars, grouped_bars, linear

IMAGES: Final = "images"
PLOT: Final = "paths.svg"
PLOT_TITLE: Final = "Seconds until the picture is there, or until the others see that somebody is gone"
_HEAD: Final = ("", "", "picture after, s", "over UDP again after, s", "seen gone after, s", "seen leaving by mistake")
_NEVER: Final = "never"
Value = Callable[[PathFigures], float | None]


@frozen
class PathConditions:
    """The conditions of a contest.  ``lasted`` is in seconds, ``load`` the load of the machine before it began."""

    machine: str
    browsers: str
    runs: int
    lasted: float
    load: float
    date: str

    def __str__(self) -> str:
        return (
            f"{self.date}, {self.machine}; {self.browsers}; {self.runs} run{'' if self.runs == 1 else 's'}, each after "
            f"{SETTLED_SECONDS:g} s of an undisturbed call; {self.lasted / 60:.0f} minutes. Each figure is the median "
            "of the runs, with the least and the most in brackets. Before the bench began, the machine's load was "
            f"{self.load:.1f}."
        )


def _picture(run: PathFigures) -> float | None:
    return run.picture


def _udp(run: PathFigures) -> float | None:
    return run.udp


def _gone(run: PathFigures) -> float | None:
    return run.gone


@frozen
class PathsReport:
    """What was measured, and the rows and contestants in the order of the tables."""

    outcome: PathsOutcome
    rows: Sequence[PathRow]
    contestants: Sequence[Contestant]
    conditions: PathConditions

    def text(self, images: Sequence[str] = ()) -> str:
        """Return the whole report as Markdown.  ``images`` are Markdown links to the plot."""
        firefox = self._table("firefox")
        parts = [
            str(self.conditions),
            self._table("chromium"),
            *images,
            self._aims(),
            firefox and f"**With Firefox as the receiver**\n\n{firefox}",
            *(f"**Failed**: {failure.partition(chr(10))[0]}" for failure in self.outcome.failures),
        ]
        return "\n\n".join(part for part in parts if part)

    def text_with_plot(self, page: Path) -> str:
        """Write the plot into a folder beside the page, and return the report with a link to it."""
        folder = page.parent / IMAGES
        folder.mkdir(exist_ok=True)
        (folder / PLOT).write_text(self.plot(), encoding="utf-8")
        return self.text([f"![{PLOT_TITLE}]({IMAGES}/{PLOT})"])

    def plot(self) -> str:
        """The plot as SVG.  A figure that some run never reached has no bar."""
        rows = [row for row in self.rows if any(self._runs(row, one) for one in self.contestants)]
        bars = [Bars(one.title, [self._height(row, one) for row in rows]) for one in self.contestants]
        return grouped_bars(PLOT_TITLE, "s", [row.label for row in rows], bars, linear)

    def _height(self, row: PathRow, contestant: Contestant) -> Summary | None:
        runs = self._runs(row, contestant)
        summary = Summary.of(run.gone if row.aims.gone is not None else run.picture for run in runs)
        return summary if summary and math.isfinite(summary.most) else None

    def _runs(self, row: PathRow, contestant: Contestant, browser: Browser = "chromium") -> Sequence[PathFigures]:
        return self.outcome.runs.get((row.name, contestant.name, browser), [])

    def _table(self, browser: Browser) -> str:
        cells = [
            [row.title, one.title, *(_cell(runs, value) for value in (_picture, _udp, _gone)), _leaving(runs)]
            for row in self.rows
            for one in self.contestants
            if (runs := self._runs(row, one, browser))
        ]
        return table(_HEAD, cells) if cells else ""

    def _aims(self) -> str:
        """Compare the medians of our gateway with its aims."""
        ours = next((one for one in self.contestants if one.name == "gateway"), None)
        played = [
            (f"{row.title}{', Firefox' if browser == 'firefox' else ''}", row, runs)
            for browser in ("chromium", "firefox")
            for row in self.rows
            if ours and (runs := self._runs(row, ours, browser))
        ]
        if not played:
            return ""
        missed = [f"{title} ({', '.join(why)})" for title, row, runs in played if (why := [*_missed(row, runs)])]
        if not missed:
            return "trio-sfu reaches its aims in every row."
        return f"**trio-sfu misses its aims**: {'; '.join(missed)}."


def _cell(runs: Sequence[PathFigures], value: Value) -> str:
    summary = Summary.of(value(run) for run in runs)
    if summary is None:
        return NOT_MEASURED
    middle, least, most = map(_seconds, (summary.median, summary.least, summary.most))
    return middle if least == most else f"{middle} ({least}–{most})"


def _seconds(value: float) -> str:
    return _NEVER if math.isinf(value) else f"{value:.1f}"


def _leaving(runs: Sequence[PathFigures]) -> str:
    if all(run.seen_leaving is None for run in runs):
        return NOT_MEASURED
    seen = sum(bool(run.seen_leaving) for run in runs)
    return f"in {seen} of {len(runs)}" if seen else "no"


def _missed(row: PathRow, runs: Sequence[PathFigures]) -> Iterator[str]:
    aims = row.aims
    for aim, value, what in (
        (aims.picture, _picture, "picture"),
        (aims.udp, _udp, "UDP"),
        (aims.gone, _gone, "seen gone"),
    ):
        found = [known for run in runs if (known := value(run)) is not None]
        if aim is not None and found and (middle := statistics.median(found)) > aim:
            yield f"{what} after {_seconds(middle)} s, not {aim:g} s" if math.isfinite(middle) else f"{what} never"
    if any(run.seen_leaving for run in runs):
        yield "seen leaving"
