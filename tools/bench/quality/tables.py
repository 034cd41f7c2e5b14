"""The report: tables of all rows and contestants, the aims, plots, and doubts about the measurement itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from tools.bench.calls.carry import RATE, Carried
from tools.bench.calls.server import FRAMES_A_SECOND, Contestant
from tools.bench.figures import Column, Summary, median, table
from tools.bench.plots import Bars, grouped_bars, linear
from tools.bench.quality.contest import WARM_SECONDS, Browser, QualityOutcome, QualityRun
from tools.bench.quality.rows import Aims, NetworkRow

IMAGES: Final = "images"
#: Above or below these limits the bench may have measured the machine.
MOST_LATE: Final = 0.005
LEAST_ENCODED: Final = 0.95 * FRAMES_A_SECOND

_FRAMES: Final = Column[QualityRun]("frames/s", lambda run: run.figures.frames)
_FROZEN: Final = Column[QualityRun]("frozen, s", lambda run: run.figures.frozen, ",.2f")
_CONCEALED: Final = Column[QualityRun]("sound concealed, %", lambda run: run.figures.concealed, ",.2f", 100)
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
class QualityConditions:
    """The conditions of a contest.  Times are in seconds."""

    machine: str
    browsers: str
    runs: int
    seconds: float
    lasted: float
    date: str
    carried: Carried

    def __str__(self) -> str:
        carried = self.carried
        return (
            f"{self.date}, {self.machine}; {self.browsers}; {self.runs} run{'' if self.runs == 1 else 's'} of "
            f"{self.seconds:g} s, after {WARM_SECONDS:g} s on a perfect network; {self.lasted / 60:.0f} minutes. "
            "Each figure is the median of the runs, with the least and the most in brackets. At "
            f"{RATE:,} packets a second the switch itself lost {carried.sent - carried.arrived} of {carried.sent:,} "
            f"packets, and took {carried.p50 * 1e3:.2f} ms (p99: {carried.p99 * 1e3:.2f} ms)."
        )


@frozen
class QualityReport:
    """What was measured, and the rows and contestants in the order of the tables."""

    outcome: QualityOutcome
    rows: Sequence[NetworkRow]
    contestants: Sequence[Contestant]
    conditions: QualityConditions

    def text(self, images: Sequence[str] = ()) -> str:
        """Return the whole report as Markdown.  ``images`` are Markdown links to the plots."""
        parts = [
            str(self.conditions),
            self._table("chromium", _SEEN),
            *images,
            self._aims(),
            self._titled("**Repairs**, in packets or messages of a run", self._table("chromium", _REPAIRED)),
            self._titled("**Firefox** at both ends", self._table("firefox", _SEEN)),
            *self._remarks(),
        ]
        return "\n\n".join(part for part in parts if part)

    def text_with_plots(self, page: Path) -> str:
        """Write the plots into a folder beside the page, and return the report with links to them."""
        folder, links = page.parent / IMAGES, []
        for name, title, drawn in self.plots():
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(drawn, encoding="utf-8")
            links.append(f"![{title}]({IMAGES}/{name})")
        return self.text(links)

    def plots(self) -> Iterator[tuple[str, str, str]]:
        """Yield the file name, title and SVG of each plot that has anything above zero."""
        for name, title, unit, column in (
            ("frames", f"Frames a second, of {FRAMES_A_SECOND}", "frames/s", _FRAMES),
            ("frozen", "Frozen picture", "% of the time", _FROZEN_SHARE),
            ("concealed", "Concealed sound", "%", _CONCEALED),
        ):
            bars = [Bars(one.title, [self._summary(row, one, column) for row in self.rows]) for one in self.contestants]
            if any(height and height.most > 0 for one in bars for height in one.heights):
                drawn = grouped_bars(title, unit, [row.label for row in self.rows], bars, linear)
                yield f"quality-{name}.svg", title, drawn

    def _runs(self, row: NetworkRow, contestant: Contestant, browser: Browser = "chromium") -> Sequence[QualityRun]:
        return self.outcome.runs.get((row.name, contestant.name, browser), [])

    def _summary(self, row: NetworkRow, contestant: Contestant, column: Column[QualityRun]) -> Summary | None:
        summary = column.summary(self._runs(row, contestant))
        return summary and summary.scaled(column.factor)

    def _table(self, browser: Browser, columns: Sequence[Column[QualityRun]]) -> str:
        cells = [
            [row.title, one.title, *(column.cell(runs) for column in columns)]
            for row in self.rows
            for one in self.contestants
            if (runs := self._runs(row, one, browser))
        ]
        return table(["", "", *(column.head for column in columns)], cells) if cells else ""

    @staticmethod
    def _titled(title: str, text: str) -> str:
        return f"{title}\n\n{text}" if text else ""

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

    def _remarks(self) -> Iterator[str]:
        if doubts := list(self._doubts()):
            yield f"**To be doubted**, since the machine was too slow or too busy: {'; '.join(doubts)}."
        for failure in self.outcome.failures:
            yield f"**Failed**: {failure.partition(chr(10))[0]}"

    def _doubts(self) -> Iterator[str]:
        titles: Mapping[str, str] = {one.name: one.title for one in self.contestants}
        rows = {row.name: row.title for row in self.rows}
        for (row, contestant, browser), runs in self.outcome.runs.items():
            who = f"{rows[row]}, {titles[contestant]}, {browser}"
            if (late := max(run.switch_late for run in runs)) > MOST_LATE:
                yield f"{who} (frames left the switch {late * 1e3:g} ms late)"
            if (least := min(run.figures.sent_frames for run in runs)) < LEAST_ENCODED:
                yield f"{who} (the sender encoded {least:.1f} frames/s)"


_FROZEN_SHARE: Final = Column[QualityRun]("frozen", lambda run: run.figures.frozen / run.figures.seconds, factor=100)


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
