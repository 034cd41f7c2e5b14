"""Line plots over time as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from attrs import frozen

WIDTH: Final = 720
HEIGHT: Final = 180
_NOTHING: Final = 1e-9
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 26
#: Colours that people with any colour vision can tell apart (Okabe and Ito).
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


@frozen
class Line:
    """A line with a gap at each None."""

    name: str
    values: Sequence[float | None]


@frozen
class Plot:
    """A plot over time.

    ``times`` are in seconds, and the same for all lines.  ``marks`` are named moments, drawn as vertical lines.
    """

    title: str
    unit: str
    times: Sequence[float]
    lines: Sequence[Line]
    marks: Sequence[tuple[float, str]] = ()


def draw(plot: Plot) -> str:
    """Return an ``svg`` element whose text has the page's colour."""
    end = max(plot.times, default=1.0) or 1.0
    highest = max((value for line in plot.lines for value in line.values if value is not None), default=0.0)
    ticks = nice_ticks(highest)
    top = ticks[-1]

    def across(time: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * time / end

    def up(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="currentColor">'
    ]
    for tick in ticks:
        y = up(tick)
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{show_tick(tick)}</text>')
    for time in nice_ticks(end):
        if time <= end:
            parts.append(
                f'<text x="{across(time):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{show_tick(time)} s</text>'
            )
    for time, name in plot.marks:
        x = across(time)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" class="mark"/>')
        parts.append(f'<text x="{x + 4:.1f}" y="{_TOP + 9}" class="mark-name">{escape(name)}</text>')
    for number, line in enumerate(plot.lines):
        points = [
            None if value is None else (across(time), up(value))
            for time, value in zip(plot.times, line.values, strict=True)
        ]
        parts.append(_path(points, COLOURS[number % len(COLOURS)], line.name))
    return "\n".join([*parts, "</svg>"])


def _path(points: Sequence[tuple[float, float] | None], colour: str, name: str) -> str:
    commands, pen_down = [], False
    for point in points:
        if point is not None:
            commands.append(f"{'L' if pen_down else 'M'}{point[0]:.1f} {point[1]:.1f}")
        pen_down = point is not None
    shape = " ".join(commands)
    return (
        f'<path d="{shape}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round" '
        f'stroke-linecap="round"><title>{escape(name)}</title></path>'
    )


def nice_ticks(highest: float) -> list[float]:
    """Return three to six ticks at round distances, from 0 to at least ``highest``."""
    if highest < _NOTHING or not math.isfinite(highest):
        return [0.0, 1.0]
    magnitude = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if highest / (factor * magnitude) <= 5)
    return [index * step for index in range(math.ceil(highest / step - 1e-9) + 1)]


def show_tick(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
