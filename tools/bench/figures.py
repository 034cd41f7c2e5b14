"""Figures of several rounds, their Markdown tables, and a description of the machine."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

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

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Summary | None:
        """Summarize these values. Returns None if there are none, or if one of them is unknown."""
        known = [*values]
        found = [value for value in known if value is not None]
        return cls(statistics.median(found), min(found), max(found)) if known and found == known else None

    def scaled(self, factor: float) -> Summary:
        """Return the same figures in another unit."""
        return Summary(self.median * factor, self.least * factor, self.most * factor)

    def __format__(self, style: str) -> str:
        median, least, most = (format(value, style) for value in (self.median, self.least, self.most))
        return median if least == most else f"{median} ({least}–{most})"


def shown(summary: Summary | None, factor: float = 1, style: str = ",.1f") -> str:
    """Return all three numbers as text, or only one if all rounds agree."""
    return NOT_MEASURED if summary is None else format(summary.scaled(factor), style)


@frozen
class Column(Generic[T]):
    """A figure of each run. ``factor`` converts seconds or bytes into the unit that the head names."""

    head: str
    value: Callable[[T], float | None]
    style: str = ",.1f"
    factor: float = 1

    def summary(self, runs: Iterable[T]) -> Summary | None:
        return Summary.of(self.value(run) for run in runs)

    def cell(self, runs: Iterable[T]) -> str:
        return shown(self.summary(runs), self.factor, self.style)

    def median(self, runs: Iterable[T]) -> str:
        summary = self.summary(runs)
        return NOT_MEASURED if summary is None else format(summary.median * self.factor, self.style)


def median(runs: Iterable[T], value: Callable[[T], float]) -> float:
    return statistics.median(value(run) for run in runs)


def table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


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
