"""The report: tables of all rows and contestants, the aims, plots, and doubts about the measurement itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from tools.bench.calls.browsers import Browser
from tools.bench.calls.server import FRAMES_A_SECOND, Contestant
from tools.bench.command import Report
from tools.bench.figures import Column, median, run_table
from tools.bench.plots import bar_plot
from tools.bench.quality.contest import QualityOutcome, QualityRun
from tools.bench.quality.rows import Aims, NetworkRow

#: Above or below these limits the bench may have measured the machine.
MOST_LATE: Final = 0.005
LEAST_ENCODED: Final = 0.95 * FRAMES_A_SECOND

_FRAMES: Final = Column[QualityRun]("frames/s", lambda run: run.figures.frames)
_FROZEN: Final = Column[QualityRun]("frozen, s", lambda run: run.figures.frozen, ",.2f")
_CONCEALED: Final = Column[QualityRun]("sound concealed, %", lambda run: run.figures.concealed, ",.2f", 100)
_FROZEN_SHARE: Final = Column[QualityRun]("frozen", lambda run: run.figures.frozen / run.figures.seconds, factor=100)
_SEEN: Final[Sequence[Column[QualityRun]]] = (
    _FRAMES,
    _FROZEN,
    Column("longest gap, s", lambda run: run.figures.longest_gap, ",.2f"),
    _CONCEALED,
    Column("of it silence, %", lambda run: run.figures.silent, ",.2f", 100),
    Column("video delay, ms", lambda run: run.figures.video_delay, ",.0f", 1e3),
    Column("sound delay, ms", lambda run: run.figures.audio_delay, ",.0f", 1e3),
    Column("video, kbit/s", lambda run: run.figures.video_rate, ",.0f", 1e-3),
    Column("sound, kbit/s", lambda run: run.figures.audio_rate, ",.0f", 1e-3),
)
_REPAIRED: Final[Sequence[Column[QualityRun]]] = (
    Column("video lost", lambda run: run.figures.video_lost, ",.0f"),
    Column("sound lost", lambda run: run.figures.audio_lost, ",.0f"),
    Column("NACKs sent", lambda run: run.figures.nacks, ",.0f"),
    Column("packets repaired", lambda run: run.figures.repaired, ",.0f"),
    Column("PLIs sent", lambda run: run.figures.plis, ",.0f"),
    Column("key frames", lambda run: run.figures.key_frames, ",.0f"),
    Column("NACKs to the sender", lambda run: run.figures.sent_nacks, ",.0f"),
    Column("packets resent by it", lambda run: run.figures.resent, ",.0f"),
    Column("PLIs to it", lambda run: run.figures.sent_plis, ",.0f"),
    Column("frames/s encoded", lambda run: run.figures.sent_frames),
)


@frozen
class QualityTables:
    """What was measured, and the rows and contestants in the order of the tables."""

    outcome: QualityOutcome
    rows: Sequence[NetworkRow]
    contestants: Sequence[Contestant]

    def report(self, conditions: str) -> Report:
        """Return the whole report."""
        repaired, firefox = self._table("chromium", _REPAIRED), self._table("firefox", _SEEN)
        remarks = self.outcome.remarks(self._doubts(), "the machine was too slow or too busy")
        return Report(
            [conditions, self._table("chromium", _SEEN)],
            [*self._plots()],
            [
                self._aims(),
                repaired and f"**Repairs**, in packets or messages of a run\n\n{repaired}",
                firefox and f"**Firefox** at both ends\n\n{firefox}",
                *remarks,
            ],
            1 if self.outcome.failures else 0,
        )

    def _plots(self) -> Iterator[tuple[str, str, str]]:
        groups = [row.label for row in self.rows]
        for name, title, unit, column in (
            ("frames", f"Frames a second, of {FRAMES_A_SECOND}", "frames/s", _FRAMES),
            ("frozen", "Frozen picture", "% of the time", _FROZEN_SHARE),
            ("concealed", "Concealed sound", "%", _CONCEALED),
        ):
            bars = {one.title: [column.summary(self._runs(row, one)) for row in self.rows] for one in self.contestants}
            yield from bar_plot(f"quality-{name}.svg", title, unit, groups, bars)

    def _runs(self, row: NetworkRow, contestant: Contestant, browser: Browser = "chromium") -> Sequence[QualityRun]:
        return self.outcome.runs.get((row.name, contestant.name, browser), [])

    def _table(self, browser: Browser, columns: Sequence[Column[QualityRun]]) -> str:
        pairs = [(row, one) for row in self.rows for one in self.contestants]
        return run_table(columns, [([row.title, one.title], self._runs(row, one, browser)) for row, one in pairs])

    def _aims(self) -> str:
        """Compare the medians of our gateway with its aims."""
        ours = next((one for one in self.contestants if one.name == "gateway"), None)
        aimed = [(row, row.aims, self._runs(row, ours)) for row in self.rows if ours and row.aims]
        found = [(row, missed) for row, aims, runs in aimed if runs and (missed := [*_missed(aims, runs)])]
        if not any(runs for _, _, runs in aimed):
            return ""
        if not found:
            return "trio-sfu reaches its aims in every row that has some."
        return (
            "**trio-sfu misses its aims**: " + "; ".join(f"{row.title} ({', '.join(why)})" for row, why in found) + "."
        )

    def _doubts(self) -> Iterator[str]:
        titles = {one.name: one.title for one in self.contestants}
        rows = {row.name: row.title for row in self.rows}
        for (row, contestant, browser), runs in self.outcome.runs.items():
            who = f"{rows[row]}, {titles[contestant]}, {browser}"
            if (late := max(run.switch_late for run in runs)) > MOST_LATE:
                yield f"{who} (frames left the switch {late * 1e3:g} ms late)"
            if (least := min(run.figures.sent_frames for run in runs)) < LEAST_ENCODED:
                yield f"{who} (the sender encoded {least:.1f} frames/s)"


def _missed(aims: Aims, runs: Sequence[QualityRun]) -> Iterator[str]:
    frames = median(runs, lambda run: run.figures.frames)
    frozen = median(runs, lambda run: run.figures.frozen)
    concealed = median(runs, lambda run: run.figures.concealed)
    if frames < aims.frames:
        yield f"{frames:.1f} frames/s, not {aims.frames:g}"
    if aims.frozen is not None and frozen > aims.frozen:
        yield f"{frozen:.2f} s frozen, not {aims.frozen:g}"
    if aims.concealed is not None and concealed > aims.concealed:
        yield f"{concealed:.2%} of the sound concealed, not {aims.concealed:.1%}"
