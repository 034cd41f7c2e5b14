"""What a run measured, and the columns of its figures with their aims."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from attrs import field, frozen

from tools.bench.calls.browsers import Browser
from tools.bench.command import Outcome
from tools.bench.figures import NOT_MEASURED, Column

_NEVER: Final = "never"

Figures = Mapping[str, float]


@frozen
class ShadowPoint:
    """One look at an estimate: the time since the first change and since the last one, the rate of the link.

    ``estimate`` is None while the gateway has none.  ``received`` is the rate of the video.  Rates are in bit/s.
    """

    at: float
    since_change: float
    rate: float
    estimate: float | None
    received: float


@frozen
class BandwidthRun:
    """The figures of one run by name, of those that :data:`FIGURES` lists, and what may have spoiled the run.

    ``switch_late`` is how late the 99th percentile of frames left the switch, in seconds.  ``shadow`` has the gateway's
    estimate over time, if the row looks at it.
    """

    figures: Figures
    switch_late: float
    shadow: Sequence[ShadowPoint] = ()


#: All runs, by row, contestant and browser.
BandwidthOutcome = Outcome[tuple[str, str, Browser], BandwidthRun]


@frozen
class Figure(Column[BandwidthRun]):
    """A figure with this ``name``.  Infinite times are shown as *never*.  ``bound`` says which side an aim limits."""

    name: str = field(default="", kw_only=True)
    bound: Literal["at least", "at most"] = field(default="at most", kw_only=True)

    def cell(self, runs: Iterable[BandwidthRun]) -> str:
        summary = self.summary(runs)
        if summary is None:
            return NOT_MEASURED
        middle, least, most = map(self.shown, (summary.median, summary.least, summary.most))
        return middle if least == most else f"{middle} ({least}–{most})"

    def shown(self, value: float) -> str:
        return _NEVER if math.isinf(value) else format(value, self.style)

    def aim(self, value: float) -> str:
        """An aim as the table shows it."""
        return f"{'≥' if self.bound == 'at least' else '≤'} {self.shown(value * self.factor)}"

    def misses(self, runs: Sequence[BandwidthRun], value: float) -> str | None:
        """The median in words if it misses this aim.  An aim is missed, too, if nothing was measured."""
        summary = self.summary(runs)
        if summary is None:
            return f"{self.head}: not measured"
        aim = value * self.factor
        met = summary.median >= aim if self.bound == "at least" else summary.median <= aim
        return None if met else f"{self.head}: {self.shown(summary.median)}, not {self.shown(aim)}"


def _figure(name: str, head: str, style: str = ",.1f", factor: float = 1, *, at_least: bool = False) -> Figure:
    bound: Literal["at least", "at most"] = "at least" if at_least else "at most"
    return Figure(head, lambda run: run.figures.get(name), style, factor, name=name, bound=bound)


#: The figures while the rate is limited, then those after it, then those of single rows.
FIGURES: Final[Sequence[Figure]] = (
    _figure("frames", "frames/s", at_least=True),
    _figure("smooth", "15 frames/s after, s"),
    _figure("width", "width of the picture", ",.0f"),
    _figure("frozen", "frozen, s", ",.2f"),
    _figure("concealed", "sound concealed, %", ",.2f", 100),
    _figure("received", "video received, kbit/s", ",.0f", 1e-3),
    _figure("sent", "video sent, kbit/s", ",.0f", 1e-3),
    _figure("queue", "longest queueing from 3 s on, ms", ",.0f", 1e3),
    _figure("queue95", "p95 of it, ms", ",.0f", 1e3),
    _figure("large", "large picture after, s"),
    _figure("started", "80 % of the rate after, s"),
    _figure("heard", "people heard", ",.0f", at_least=True),
    _figure("sound_lost", "sound lost, %", ",.2f", 100),
    _figure("other_frames", "others' frames/s", at_least=True),
    _figure("other_frozen", "others' frozen, s", ",.2f"),
    _figure("other_narrow", "others' picture smaller, s"),
    _figure("light_rate", "light clients' video, % of before", ",.0f", 100, at_least=True),
    _figure("light_lost", "light clients' lost packets", ",.0f"),
    _figure("grid_large", "large pictures, kbit/s", ",.0f", 1e-3),
    _figure("grid_share", "small ones, % of it", factor=100),
    _figure("estimate", "mean estimate, % of the link", ",.0f", 100, at_least=True),
    _figure("over", "time above the link, %", ",.0f", 100),
    _figure("worst", "most, % of the link", ",.0f", 100),
)
