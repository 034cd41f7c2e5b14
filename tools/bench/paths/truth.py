"""Measure how soon others learn that somebody is gone: our gateway, Janus and LiveKit with real browsers.

    python -m tools.bench.paths.truth [--rows closed kill …] [--only gateway janus livekit] [--runs 3]
                                      [--write README.md]

It needs root, as ``tools.bench.paths`` does.  In Janus' room both people are publishers, because the room tells nobody
of people who only receive.

Exit status: 0 if everything was measured, 1 if something failed, 2 if the bench could not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from tools.bench.calls.server import Contestant
from tools.bench.calls.taking_part import browsers, contestants
from tools.bench.calls.wire import Namespace, open_ends, open_wire
from tools.bench.command import Bench, Progress, Report, run_within
from tools.bench.figures import machine, table, today
from tools.bench.paths.call import PathFigures
from tools.bench.paths.contest import PathsContest, PathsOutcome
from tools.bench.paths.rows import LEAVES, MOST_UNTIL_GONE, PathRow
from tools.bench.paths.tables import GONE, finite_summary
from tools.bench.plots import bar_plot

RUNS: Final = 3
SEED: Final = 1
#: Seconds after which the whole bench is ended because something hangs.  The default needs about half an hour.
MOST_SECONDS: Final = 2 * 3600.0
PLOT_TITLE: Final = "Seconds until the others see that somebody is gone"
_CONTESTANTS: Final = ("gateway", "janus", "livekit")


def add_options(parser: argparse.ArgumentParser) -> None:
    names = [row.name for row in LEAVES]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--only", nargs="+", choices=_CONTESTANTS, metavar="WHO", help=f"of {', '.join(_CONTESTANTS)}")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="of each row (default: %(default)s)")


async def play(
    ends: list[Namespace],
    devices: Sequence[int],
    rows: Sequence[PathRow],
    taking_part: Sequence[Contestant],
    runs: int,
    progress: Progress,
) -> PathsOutcome:
    async with open_wire(ends, devices, SEED) as wire:
        return await PathsContest(wire, progress).run(rows, taking_part, runs)


def run(options: argparse.Namespace, progress: Progress) -> Report:
    rows = [row for row in LEAVES if not options.rows or row.name in options.rows]
    chromium = browsers(["chromium"], progress)["chromium"]
    taking_part = contestants(options.only, progress, _CONTESTANTS)
    began = time.monotonic()
    with open_ends() as (ends, devices):
        outcome = run_within(MOST_SECONDS, play, ends, devices, rows, taking_part, options.runs, progress)
    listed = ", ".join([chromium, *(f"{one.title} {one.version}" for one in taking_part)])
    return TruthTable(outcome, rows, taking_part).report(conditions(listed, options.runs, time.monotonic() - began))


def conditions(taking_part: str, runs: int, lasted: float) -> str:
    """Return the last paragraph of the report.  ``lasted`` is in seconds."""
    return (
        f"Seconds until the page of the other person says that somebody is gone: the median of {runs} "
        f"run{'' if runs == 1 else 's'}, with the least and the most in brackets. *Never* means not within "
        f"{MOST_UNTIL_GONE:g} s. {today()}, {machine()}; {taking_part}; {lasted / 60:.0f} minutes."
    )


@frozen
class TruthTable:
    """What was measured: a line for each way to be gone, and a column for each contestant."""

    outcome: PathsOutcome
    rows: Sequence[PathRow]
    contestants: Sequence[Contestant]

    def report(self, conditions: str) -> Report:
        """Return the whole report."""
        head = ["", *(one.title for one in self.contestants)]
        lines = [[row.title, *(GONE.cell(self._runs(row, one)) for one in self.contestants)] for row in self.rows]
        said = [conditions, self._missed(), *self.outcome.remarks((), "")]
        return Report([table(head, lines)], [*self._plots()], said, 1 if self.outcome.failures else 0)

    def _runs(self, row: PathRow, contestant: Contestant) -> Sequence[PathFigures]:
        return self.outcome.runs.get((row.name, contestant.name, "chromium"), [])

    def _plots(self) -> Iterator[tuple[str, str, str]]:
        """Make the plot.  There is no bar if somebody was never seen gone in some run."""
        bars = {
            one.title: [finite_summary(GONE, self._runs(row, one)) for row in self.rows] for one in self.contestants
        }
        yield from bar_plot("truth.svg", PLOT_TITLE, "s", [row.label for row in self.rows], bars)

    def _missed(self) -> str:
        """Name the rows in which our gateway misses its aim."""
        missed = []
        for row in self.rows:
            runs = self.outcome.runs.get((row.name, "gateway", "chromium"), [])
            summary = GONE.summary(runs)
            if summary is not None and row.aims.gone is not None and summary.median > row.aims.gone:
                missed.append(f"{row.title} (after {GONE.cell(runs)} s, not {row.aims.gone:g} s)")
        return f"**trio-sfu misses its aims**: {'; '.join(missed)}." if missed else ""


main = Bench("truth", __doc__, add_options, run, failed=2, package="tools.bench.paths").main

if __name__ == "__main__":
    sys.exit(main())
