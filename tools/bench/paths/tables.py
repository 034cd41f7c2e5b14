"""The report: tables of all rows and contestants, the aims, and a plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import frozen

from tools.bench.calls.browsers import Browser
from tools.bench.calls.server import Contestant
from tools.bench.command import Report
from tools.bench.figures import NOT_MEASURED, Column, Summary, run_table
from tools.bench.paths.call import PathFigures
from tools.bench.paths.contest import PathsOutcome
from tools.bench.paths.rows import PathAims, PathRow
from tools.bench.plots import bar_plot

PLOT_TITLE: Final = "Seconds until the picture is there, or until the others see that somebody is gone"
_NEVER: Final = "never"


class _Seconds(Column[PathFigures]):
    """A time.  An infinite one is shown in words."""

    def cell(self, runs: Iterable[PathFigures]) -> str:
        summary = self.summary(runs)
        if summary is None:
            return NOT_MEASURED
        middle, least, most = map(_shown, (summary.median, summary.least, summary.most))
        return middle if least == most else f"{middle} ({least}–{most})"


class _Mistakes(Column[PathFigures]):
    """How many runs have a figure other than zero."""

    def cell(self, runs: Iterable[PathFigures]) -> str:
        values = [self.value(run) for run in runs]
        if None in values:
            return NOT_MEASURED
        return f"in {sum(map(bool, values))} of {len(values)}" if any(values) else "no"


_PICTURE: Final = _Seconds("picture after, s", lambda run: run.picture)
_UDP: Final = _Seconds("over UDP again after, s", lambda run: run.udp)
GONE: Final = _Seconds("seen gone after, s", lambda run: run.gone)
_COLUMNS: Final = (_PICTURE, _UDP, GONE, _Mistakes("seen leaving by mistake", lambda run: run.seen_leaving))


@frozen
class PathsTables:
    """What was measured, and the rows and contestants in the order of the tables."""

    outcome: PathsOutcome
    rows: Sequence[PathRow]
    contestants: Sequence[Contestant]

    def report(self, conditions: str) -> Report:
        """Return the whole report."""
        firefox = self._table("firefox")
        return Report(
            [conditions, self._table("chromium")],
            [*self._plots()],
            [
                self._aims(),
                firefox and f"**With Firefox as the receiver**\n\n{firefox}",
                *self.outcome.remarks((), ""),
            ],
            1 if self.outcome.failures else 0,
        )

    def _plots(self) -> Iterator[tuple[str, str, str]]:
        """The plot.  A figure that some run never reached has no bar."""
        rows = [row for row in self.rows if any(self._runs(row, one) for one in self.contestants)]
        bars = {one.title: [self._height(row, one) for row in rows] for one in self.contestants}
        yield from bar_plot("paths.svg", PLOT_TITLE, "s", [row.label for row in rows], bars)

    def _height(self, row: PathRow, contestant: Contestant) -> Summary | None:
        return finite_summary(_PICTURE if row.aims.gone is None else GONE, self._runs(row, contestant))

    def _runs(self, row: PathRow, contestant: Contestant, browser: Browser = "chromium") -> Sequence[PathFigures]:
        return self.outcome.runs.get((row.name, contestant.name, browser), [])

    def _table(self, browser: Browser) -> str:
        pairs = [(row, one) for row in self.rows for one in self.contestants]
        return run_table(_COLUMNS, [([row.title, one.title], self._runs(row, one, browser)) for row, one in pairs])

    def _aims(self) -> str:
        """Compare the medians of our gateway with its aims."""
        titles = {row.name: (row.title, row.aims) for row in self.rows}
        missed, has_runs = [], False
        for (row, contestant, browser), runs in self.outcome.runs.items():
            title, aims = titles[row]
            has_runs |= contestant == "gateway"
            if contestant == "gateway" and (why := [*_missed(aims, runs)]):
                missed.append(f"{title}{', Firefox' if browser == 'firefox' else ''} ({', '.join(why)})")
        if missed:
            return f"**trio-sfu misses its aims**: {'; '.join(missed)}."
        return "trio-sfu reaches its aims in every row." if has_runs else ""


def finite_summary(column: Column[PathFigures], runs: Sequence[PathFigures]) -> Summary | None:
    """Return the summary of a time that every run reached."""
    summary = column.summary(runs)
    return summary if summary and math.isfinite(summary.most) else None


def _shown(value: float) -> str:
    if 0 < value < 0.05:
        return "< 0.1"
    return _NEVER if math.isinf(value) else f"{value:.1f}"


def _missed(aims: PathAims, runs: Sequence[PathFigures]) -> Iterator[str]:
    for aim, column, what in ((aims.picture, _PICTURE, "picture"), (aims.udp, _UDP, "UDP"), (aims.gone, GONE, "gone")):
        summary = column.summary(runs)
        if aim is not None and summary and summary.median > aim:
            never = math.isinf(summary.median)
            yield f"{what} never" if never else f"{what} after {summary.median:.1f} s, not {aim:g} s"
    if any(run.seen_leaving for run in runs):
        yield "seen leaving"
