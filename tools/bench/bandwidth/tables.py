"""The report: one table for each row with the aims beside the figures, and plots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from attrs import frozen

from tools.bench.bandwidth.figures import FIGURES, BandwidthOutcome, BandwidthRun
from tools.bench.bandwidth.rows import BandwidthRow
from tools.bench.calls.server import FRAMES_A_SECOND, Contestant
from tools.bench.command import Report
from tools.bench.figures import Summary, table
from tools.bench.plots import bar_plot, line_plot
from tools.loadtest.plots import Line, Plot

#: Above or below these limits the bench may have measured the machine.
MOST_LATE = 0.005
LEAST_ENCODED = 0.9 * FRAMES_A_SECOND
_SHADOW_TITLE = "The gateway's estimate of a receiver's bandwidth, and the rate of its link"
_BARS = (
    ("frames", "Frames a second while the link is limited", "frames/s"),
    ("large", "Seconds until the large picture is back", "s"),
)


@frozen
class BandwidthTables:
    """What was measured, and the rows and contestants in the order of the tables."""

    outcome: BandwidthOutcome
    rows: Sequence[BandwidthRow]
    contestants: Sequence[Contestant]

    def report(self, conditions: str) -> Report:
        """Return the whole report."""
        tables = [self._table(row) for row in self.rows]
        remarks = self.outcome.remarks(self._doubts(), "the machine was too slow or too busy")
        return Report(
            [conditions, *tables, self._aims()],
            [*self._plots()],
            [*remarks],
            1 if self.outcome.failures else 0,
        )

    def _runs(self, row: BandwidthRow, contestant: Contestant) -> Sequence[BandwidthRun]:
        return self.outcome.runs.get((row.name, contestant.name, "chromium"), [])

    def _table(self, row: BandwidthRow) -> str:
        found = [(one.title, runs) for one in self.contestants if (runs := self._runs(row, one))]
        columns = [each for each in FIGURES if any(each.summary(runs) for _, runs in found)]
        if not found:
            return ""
        aims = [each.aim(row.aims[each.name]) if each.name in row.aims else "" for each in columns]
        lines = [["aim", *aims], *([name, *(each.cell(runs) for each in columns)] for name, runs in found)]
        return f"**{row.title[0].upper()}{row.title[1:]}**\n\n{table(['', *(each.head for each in columns)], lines)}"

    def _plots(self) -> Iterator[tuple[str, str, str]]:
        """Bars of the rows that have the figure, and the curve of the last run that has one."""
        figures = {each.name: each for each in FIGURES}
        for name, title, unit in _BARS:
            rows = [row for row in self.rows if name in row.aims]
            bars: dict[str, Sequence[Summary | None]] = {
                one.title: [_finite(figures[name].summary(self._runs(row, one))) for row in rows]
                for one in self.contestants
            }
            yield from bar_plot(f"bandwidth-{name}.svg", title, unit, [row.label for row in rows], bars)
        curves = [run.shadow for runs in self.outcome.runs.values() for run in runs if run.shadow]
        for points in curves[-1:]:
            lines = [
                Line("the link", [one.rate for one in points]),
                Line("the estimate", [one.estimate for one in points]),
                Line("video received", [one.received for one in points]),
            ]
            plot = Plot(_SHADOW_TITLE, "bit/s", [one.at for one in points], lines)
            yield "bandwidth-shadow.svg", _SHADOW_TITLE, line_plot(plot)

    def _aims(self) -> str:
        """Compare the medians of our gateway with its aims."""
        ours = next((one for one in self.contestants if one.name == "gateway"), None)
        aimed = [(row, runs) for row in self.rows if ours and row.aims and (runs := self._runs(row, ours))]
        if not aimed:
            return ""
        found = [(row, missed) for row, runs in aimed if (missed := [*_missed(row, runs)])]
        if not found:
            return "trio-sfu reaches its aims in every row."
        return "**trio-sfu misses its aims**: " + "; ".join(f"{row.title} ({', '.join(why)})" for row, why in found)

    def _doubts(self) -> Iterator[str]:
        titles = {one.name: one.title for one in self.contestants}
        rows = {row.name: row.title for row in self.rows}
        for (row, contestant, _), runs in self.outcome.runs.items():
            who = f"{rows[row]}, {titles[contestant]}"
            if (late := max(run.switch_late for run in runs)) > MOST_LATE:
                yield f"{who} (frames left the switch {late * 1e3:g} ms late)"
            encoded = [run.figures["encoded"] for run in runs if "encoded" in run.figures]
            if encoded and min(encoded) < LEAST_ENCODED:
                yield f"{who} (the sender encoded {min(encoded):.1f} frames/s)"


def _finite(summary: Summary | None) -> Summary | None:
    """A bar cannot show what never came."""
    return summary if summary is not None and math.isfinite(summary.most) else None


def _missed(row: BandwidthRow, runs: Sequence[BandwidthRun]) -> Iterator[str]:
    for each in FIGURES:
        if each.name in row.aims and (why := each.misses(runs, row.aims[each.name])):
            yield why
