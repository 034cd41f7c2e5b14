"""What each layer of a producer's encodings costs, from the data plane's totals."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate, zip_longest
from typing import Final, Protocol

from attrs import define, field, frozen

SAMPLES: Final = 6
"""Samples that are kept.  One a second makes means of one and of five seconds."""
LEAST_INTERVAL: Final = 0.5
"""Seconds between two samples.  Over a shorter time one key frame would decide the rate."""
MOST_INTERVAL: Final = 2.0
"""Seconds between two samples after which the earlier one no longer counts.  Nobody samples a paused video, and an
encoding that sent nothing for so long counts as one that begins (:data:`sfu.dataplane.core.ENCODING_IDLE`)."""
GUESSED_RATES: Final = (150_000.0, 500_000.0, 2_500_000.0)
"""Bits a second of the encodings of a camera that nobody has measured or announced yet."""


SPATIAL_STRIDE: Final = 8
"""The totals of a layer have the index 8 * spatial + temporal."""


class LayerTotals(Protocol):
    """The part of the data plane's statistics of an encoding that tells its rates."""

    @property
    def layer_bytes(self) -> list[int]: ...
    @property
    def layer_frames(self) -> list[int]: ...


@frozen
class LayerRates:
    """The rates of one encoding, or of a spatial layer inside it with all those below.

    Each entry includes those of the temporal layers below it.

    ``rates`` are in bits a second, ``frame_rates`` in frames a second.  Before the first measurement there is one
    rate, a guess, and no frame rate.
    """

    rates: tuple[float, ...]
    frame_rates: tuple[float, ...] = ()


_Row = tuple[int, ...]
"""An entry for each temporal layer, which includes those below it."""


@frozen
class _Sample:
    """The totals at ``at`` seconds: a row for each spatial layer.

    A receiver gets the bytes of the spatial layers below as well, and the frames of one layer are as many as pictures.
    """

    at: float
    bytes: tuple[_Row, ...]
    frames: tuple[_Row, ...]

    @classmethod
    def of(cls, totals: LayerTotals, now: float) -> _Sample:
        below: list[int] = []
        summed = []
        for row in _rows(totals.layer_bytes):
            below = [one + other for one, other in zip_longest(below, row, fillvalue=0)]
            summed.append(tuple(accumulate(below)))
        return cls(now, tuple(summed), tuple(tuple(accumulate(row)) for row in _rows(totals.layer_frames)))

    @property
    def total(self) -> int:
        """All bytes."""
        return _total(self.bytes[-1]) if self.bytes else 0


@define
class EncodingRates:
    """Measures the rates of one encoding.

    ``announced`` is its highest rate in bits a second, if its sender named one.  This is the rate until there is a
    measurement, and without it a usual rate for the ``index`` of the encoding.  The lowest encoding counts as cheap at
    first, because encoders begin low, and nobody gets a picture without it.
    """

    index: int
    announced: float | None = None
    _samples: deque[_Sample] = field(factory=lambda: deque(maxlen=SAMPLES))
    # Whether something had come at the newest sample.
    _flows: bool = False

    def sample(self, totals: LayerTotals, now: float) -> bool:
        """Take the totals at ``now`` in seconds.  Returns whether the rates may have changed.

        Totals that did not rise are those of an encoding that began anew, or that sends nothing.  Its earlier rates say
        nothing about what comes next.  Nor does the interval in which it begins: most of it may have been silence.
        """
        newest = self._samples[-1] if self._samples else None
        if newest is not None and now - newest.at < LEAST_INTERVAL:
            return False
        sample = _Sample.of(totals, now)
        rises = sample.total > (newest.total if newest is not None else 0)
        if newest is not None and not (rises and self._flows and now - newest.at <= MOST_INTERVAL):
            self._samples.clear()
        self._flows = rises
        self._samples.append(sample)
        return True

    def rates(self) -> LayerRates:
        """The rates of the whole encoding."""
        return self.spatial_rates()[-1]

    def spatial_rates(self) -> tuple[LayerRates, ...]:
        """The rates of each spatial layer that flows, in rising quality.

        For each layer it is the higher one of two means: over the newest second, and over the newest five.  A budget
        that follows the newest second alone would be too high after each quiet moment.
        """
        if len(self._samples) < 2:
            usual = GUESSED_RATES[min(self.index, len(GUESSED_RATES) - 1)]
            announced = self.announced or usual
            return (LayerRates((min(announced, usual) if self.index == 0 else announced,)),)
        oldest, before, newest = self._samples[0], self._samples[-2], self._samples[-1]
        flowing = [place for place in range(len(newest.bytes)) if _flows(place, before, newest)]
        return tuple(_rates_of(place, (oldest, before), newest) for place in flowing or [0])


def _rows(totals: Sequence[int]) -> list[Sequence[int]]:
    """Totals by spatial layer, each up to its highest temporal layer that came."""
    rows = (totals[start : start + SPATIAL_STRIDE] for start in range(0, len(totals), SPATIAL_STRIDE))
    return [row[: max((place + 1 for place, total in enumerate(row) if total), default=1)] for row in rows]


def _row(rows: Sequence[_Row], place: int) -> _Row:
    return rows[place] if place < len(rows) else ()


def _row_or_below(rows: Sequence[_Row], place: int) -> _Row:
    """The row of a spatial layer that began later is that of the layers below it."""
    return rows[min(place, len(rows) - 1)] if rows else ()


def _flows(place: int, since: _Sample, until: _Sample) -> bool:
    """Whether this spatial layer has bytes of its own."""

    def own(sample: _Sample) -> int:
        below = _total(_row(sample.bytes, place - 1)) if place else 0
        return max(_total(_row(sample.bytes, place)) - below, 0)

    return own(until) > own(since)


def _rates_of(place: int, begins: Iterable[_Sample], until: _Sample) -> LayerRates:
    bits: list[float] = []
    frames: list[float] = []
    for since in begins:
        seconds = until.at - since.at
        bytes_ = _differences(_row_or_below(since.bytes, place), _row_or_below(until.bytes, place), seconds)
        bits = [max(pair) for pair in zip_longest(bits, (8 * one for one in bytes_), fillvalue=0.0)]
        pictures = _differences(_row(since.frames, place), _row(until.frames, place), seconds)
        frames = [max(pair) for pair in zip_longest(frames, pictures, fillvalue=0.0)]
    return LayerRates(tuple(bits), tuple(frames))


def _total(cumulative: _Row) -> int:
    return cumulative[-1] if cumulative else 0


def _differences(since: _Row, until: _Row, seconds: float) -> list[float]:
    # A layer that began later had what is below it, and nothing of its own.
    pairs = zip_longest(since, until, fillvalue=_total(since))
    return [max(0, end - begin) / seconds for begin, end in pairs][: len(until)]
