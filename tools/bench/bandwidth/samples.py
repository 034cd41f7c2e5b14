"""What a page did over time, ten times a second: the frames, the width and the bytes of each video."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

Way = Literal["received", "sent"]


@frozen
class VideoSample:
    """Frames that one stream decoded or encoded, and its bytes.  ``width`` is that of the newest picture."""

    frames: int
    width: int
    bytes: int


@frozen
class Sample:
    """One moment, in seconds of the wall clock.  Received videos are named by their track, encodings by their RID."""

    at: float
    received: Mapping[str, VideoSample]
    sent: Mapping[str, VideoSample]

    def total_bytes(self, way: Way) -> int:
        return sum(one.bytes for one in getattr(self, way).values())


@frozen
class Samples:
    """All samples of a page, in order.  ``streams`` are the received videos that count, or None for all of them."""

    samples: Sequence[Sample]
    streams: frozenset[str] | None = None

    @classmethod
    def read(cls, found: Sequence[Mapping[str, Any]]) -> Samples:
        """The samples that ``__quality.samples()`` in the page returned."""

        def videos(entries: Mapping[str, Sequence[int]]) -> Mapping[str, VideoSample]:
            return {name: VideoSample(*values) for name, values in entries.items()}

        return cls([Sample(one["at"], videos(one["received"]), videos(one["sent"])) for one in found])

    def only(self, *streams: str) -> Samples:
        """The same samples of these received videos alone."""
        return Samples(self.samples, frozenset(streams))

    def between(self, begun: float, until: float) -> Samples:
        return Samples([one for one in self.samples if begun <= one.at <= until], self.streams)

    def rate(self, way: Way, begun: float, until: float) -> float:
        """Bits a second of all video in this time."""
        chosen = self.between(begun, until).samples
        if len(chosen) < 2:
            return 0.0
        first, last = chosen[0], chosen[-1]
        return 8 * (last.total_bytes(way) - first.total_bytes(way)) / (last.at - first.at)

    def frames(self, begun: float, until: float) -> float:
        """Frames a second of the received videos in this time: the mean of all."""
        chosen = self.between(begun, until).samples
        if len(chosen) < 2:
            return 0.0
        first, last = self._received(chosen[0]), self._received(chosen[-1])
        rates = [(one.frames - first[name].frames if name in first else one.frames) for name, one in last.items()]
        return sum(rates) / len(rates) / (chosen[-1].at - chosen[0].at) if rates else 0.0

    def encoded(self, begun: float, until: float) -> float:
        """Frames a second of the sent encoding that had the most in this time."""
        chosen = self.between(begun, until).samples
        if len(chosen) < 2:
            return 0.0
        first, last = chosen[0], chosen[-1]
        frames = [one.frames - first.sent[rid].frames for rid, one in last.sent.items() if rid in first.sent]
        return max(frames, default=0) / (last.at - first.at)

    def _received(self, sample: Sample) -> Mapping[str, VideoSample]:
        if self.streams is None:
            return sample.received
        return {name: one for name, one in sample.received.items() if name in self.streams}

    def width(self, begun: float, until: float) -> int:
        """The width of the picture that was there for most of this time, in pixels.  0 without any picture."""
        widths = [one.width for sample in self.between(begun, until).samples for one in self._received(sample).values()]
        return max(set(widths), key=widths.count, default=0)

    def narrower(self, width: int, begun: float, until: float) -> float:
        """Seconds of this time in which a picture was narrower than ``width``."""
        chosen = self.between(begun, until).samples
        narrow = [any(one.width < width for one in self._received(sample).values()) for sample in chosen]
        return (until - begun) * sum(narrow) / len(narrow) if narrow else 0.0

    def first_second(self, is_good: Callable[[Samples, float], bool], begun: float, until: float) -> float:
        """Seconds after ``begun`` at which the first good second ended.  Infinite if there was none.

        ``is_good`` gets these samples, and the end of a second after ``begun``.
        """
        ends = (one.at for one in self.between(begun + 1, until).samples)
        return next((at - begun for at in ends if is_good(self, at)), math.inf)

    def good_for_good(self, is_good: Callable[[Samples, float], bool], begun: float, until: float) -> float:
        """Seconds after ``begun`` at which the first second ended after which all were good.  Infinite if none was."""
        ends = [one.at for one in self.between(begun, until).samples]
        last_bad = max((at for at in ends if not is_good(self, at)), default=-math.inf)
        return next((max(0.0, at - begun) for at in ends if at > last_bad), math.inf)


def frames_of(least: float) -> Callable[[Samples, float], bool]:
    """Whether a second had at least this many frames."""
    return lambda samples, end: samples.frames(end - 1, end) >= least


def is_wide(width: int, least: float) -> Callable[[Samples, float], bool]:
    """Whether a second ended with a picture of at least this width, and had at least this many frames."""

    def is_good(samples: Samples, end: float) -> bool:
        return samples.width(end - 0.15, end) >= width and samples.frames(end - 1, end) >= least

    return is_good


def sends(rate: float) -> Callable[[Samples, float], bool]:
    """Whether the page sent at least this rate in a second, in bit/s."""
    return lambda samples, end: samples.rate("sent", end - 1, end) >= rate
