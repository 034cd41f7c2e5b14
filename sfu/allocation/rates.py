"""What each layer of a producer's encodings costs, from the data plane's totals."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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


class LayerTotals(Protocol):
    """The part of the data plane's statistics of an encoding that tells its rates."""

    @property
    def layer_bytes(self) -> list[int]: ...
    @property
    def layer_frames(self) -> list[int]: ...


@frozen
class LayerRates:
    """The rates of one encoding.  Each entry includes those of the temporal layers below it.

    ``rates`` are in bits a second, ``frame_rates`` in frames a second.  Before the first measurement there is one
    rate, a guess, and no frame rate.
    """

    rates: tuple[float, ...]
    frame_rates: tuple[float, ...] = ()


@frozen
class _Sample:
    """The totals of each layer with those below it, at ``at`` seconds."""

    at: float
    bytes: tuple[int, ...]
    frames: tuple[int, ...]


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
        sample = _Sample(now, tuple(accumulate(totals.layer_bytes)), tuple(accumulate(totals.layer_frames)))
        rises = _total(sample.bytes) > (_total(newest.bytes) if newest is not None else 0)
        if newest is not None and not (rises and self._flows and now - newest.at <= MOST_INTERVAL):
            self._samples.clear()
        self._flows = rises
        self._samples.append(sample)
        return True

    def rates(self) -> LayerRates:
        """For each layer the higher one of two means: over the newest second, and over the newest five.

        A budget that follows the newest second alone would be too high after each quiet moment.
        """
        if len(self._samples) < 2:
            usual = GUESSED_RATES[min(self.index, len(GUESSED_RATES) - 1)]
            announced = self.announced or usual
            return LayerRates((min(announced, usual) if self.index == 0 else announced,))
        oldest, before, newest = self._samples[0], self._samples[-2], self._samples[-1]
        means = [_rates_between(since, newest) for since in (oldest, before)]
        bits = tuple(8 * max(pair) for pair in zip(*(bytes_ for bytes_, _ in means), strict=True))
        frames = tuple(max(pair) for pair in zip(*(frames for _, frames in means), strict=True))
        return LayerRates(bits, frames)


def _total(cumulative: Sequence[int]) -> int:
    return cumulative[-1] if cumulative else 0


def _rates_between(since: _Sample, until: _Sample) -> tuple[list[float], list[float]]:
    """Bytes and frames a second of each layer with those below it."""
    seconds = until.at - since.at
    return _differences(since.bytes, until.bytes, seconds), _differences(since.frames, until.frames, seconds)


def _differences(since: tuple[int, ...], until: tuple[int, ...], seconds: float) -> list[float]:
    # A layer that began later had what is below it, and nothing of its own.
    pairs = zip_longest(since, until, fillvalue=_total(since))
    return [max(0, end - begin) / seconds for begin, end in pairs][: len(until)]
