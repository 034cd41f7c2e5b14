"""Figures of several rounds, their Markdown tables, and a description of the machine."""

from __future__ import annotations

import math
import os
import platform
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from attrs import frozen

T = TypeVar("T")
NOT_MEASURED: Final = "–"
_CPUINFO: Final = Path("/proc/cpuinfo")


@frozen
class Summary:
    """The median, the lowest and the highest value of several rounds."""

    median: float
    least: float
    most: float

    def __format__(self, style: str) -> str:
        median, least, most = (format(value, style) for value in (self.median, self.least, self.most))
        return median if least == most else f"{median} ({least}–{most})"


@frozen
class Column(Generic[T]):
    """A figure of each run. ``factor`` converts seconds or bytes into the unit that the head names.

    A cell shows all three numbers of a :class:`Summary`, or ``only`` one of them. It shows ``unknown`` if a run has no
    such figure.
    """

    head: str
    value: Callable[[T], float | None]
    style: str = ",.1f"
    factor: float = 1
    only: Literal["median", "most"] | None = None
    unknown: str = NOT_MEASURED

    def summary(self, runs: Iterable[T]) -> Summary | None:
        """Summarize this figure. Returns None if there are no runs, or if one of them has no such figure."""
        values = [self.value(run) for run in runs]
        found = [value * self.factor for value in values if value is not None]
        if not found or len(found) < len(values):
            return None
        return Summary(statistics.median(found), min(found), max(found))

    def cell(self, runs: Iterable[T]) -> str:
        summary = self.summary(runs)
        if summary is None:
            return self.unknown
        return format(getattr(summary, self.only) if self.only else summary, self.style)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(runs: Iterable[T], value: Callable[[T], float]) -> float:
    return statistics.median(value(run) for run in runs)


def table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def run_table(
    columns: Sequence[Column[T]],
    rows: Iterable[tuple[Sequence[object], Sequence[T]]],
    titles: Sequence[str] = ("", ""),
) -> str:
    """Return a table of runs: the titles of each row, then its figures. Rows without runs are left out."""
    lines = [[*named, *(column.cell(runs) for column in columns)] for named, runs in rows if runs]
    return table([*titles, *(column.head for column in columns)], lines) if lines else ""


def ms(seconds: float, digits: int = 1) -> str:
    return f"{seconds * 1000:.{digits}f}"


def met(measured: float, aim: float) -> str:
    return "met" if measured <= aim else "**missed**"


def rounds(count: int, seconds: float) -> str:
    return f"{count} round{'' if count == 1 else 's'} of {seconds:g} s"


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def machine() -> str:
    """Return the number of usable cores, the processor's model, the kernel and Python, in one line."""
    cores = len(os.sched_getaffinity(0))
    found = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(), re.MULTILINE) if _CPUINFO.exists() else None
    model = " ".join(found[1].split()) if found else platform.machine() or "unknown processor"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores} core{'' if cores == 1 else 's'}, {model}, {platform.system()} {platform.release()}, {python}"
