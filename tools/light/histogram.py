"""A histogram of durations whose buckets grow by a fixed ratio, so that any two histograms can be added."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from attrs import define, field

#: Logarithm of the ratio of a bucket's upper end to that of the bucket before.  A quantile is at most 1 % off.
_LOG_RATIO: Final = math.log(1.02)
#: Upper end of the first bucket, in seconds.
SHORTEST: Final = 1e-6


@define
class Histogram:
    """Counts durations in seconds.  ``total`` is their sum, ``largest`` the exact maximum."""

    counts: dict[int, int] = field(factory=dict)
    count: int = 0
    total: float = 0.0
    largest: float = 0.0

    def record(self, seconds: float) -> None:
        bucket = 0 if seconds <= SHORTEST else round(math.log(seconds / SHORTEST) / _LOG_RATIO)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.count += 1
        self.total += seconds
        self.largest = max(self.largest, seconds)

    def add(self, other: Histogram) -> None:
        """Add another histogram to this one."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total
        self.largest = max(self.largest, other.largest)

    def take(self) -> Histogram:
        """Return all durations so far and empty this histogram."""
        taken = Histogram(self.counts, self.count, self.total, self.largest)
        self.counts, self.count, self.total, self.largest = {}, 0, 0.0, 0.0
        return taken

    def quantile(self, share: float) -> float | None:
        """Return the duration that a ``share`` (0 to 1) of all durations does not exceed.

        Returns None if there are no durations.
        """
        if not self.count:
            return None
        wanted, seen = share * self.count, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(SHORTEST * math.exp(bucket * _LOG_RATIO), self.largest)
        return self.largest

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    @classmethod
    def of(cls, durations: Iterable[float]) -> Histogram:
        histogram = cls()
        for duration in durations:
            histogram.record(duration)
        return histogram
