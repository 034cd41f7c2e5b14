"""Figures of several rounds, and Markdown tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from attrs import frozen

T = TypeVar("T")
NOT_MEASURED: Final = "–"


@frozen
class Summary:
    """The median of several rounds, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Summary | None:
        """None without values, and where one of them is unknown."""
        known = [*values]
        if not known or None in known:
            return None
        found = [value for value in known if value is not None]
        return cls(statistics.median(found), min(found), max(found))

    def shown(self, factor: float, digits: int) -> str:
        """All three in another unit; one number where all rounds agree."""
        median, least, most = (f"{value * factor:,.{digits}f}" for value in (self.median, self.least, self.most))
        return median if least == most else f"{median} ({least}–{most})"


def shown(summary: Summary | None, factor: float = 1, digits: int = 1) -> str:
    return NOT_MEASURED if summary is None else summary.shown(factor, digits)


def median(runs: Iterable[T], value: Callable[[T], float]) -> float:
    return statistics.median(value(run) for run in runs)


def table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
