"""Bar charts as SVG. Each has its own background, so that it suits light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from attrs import frozen

from tools.bench.figures import Summary
from tools.loadtest.plots import nice_ticks

WIDTH: Final = 860
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 74, 46
_HEIGHT: Final = 380
_STYLE: Final = """
  .page { fill: #ffffff; } .text { fill: #24292f; } .quiet { fill: #57606a; } .line { stroke: #d0d7de; }
  .spread { stroke: #24292f; opacity: 0.5; }
  .s0 { fill: #1f77b4; } .s1 { fill: #d9730d; } .s2 { fill: #8c959f; } .s3 { fill: #57ab5a; }
  text { font: 12px system-ui, sans-serif; } .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 10px; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #161b22; } .text { fill: #e6edf3; } .quiet { fill: #9198a1; } .line { stroke: #30363d; }
    .spread { stroke: #e6edf3; }
    .s0 { fill: #58a6ff; } .s1 { fill: #f0883e; } .s2 { fill: #8b949e; } .s3 { fill: #3fb950; }
  }
"""


@frozen
class Bars:
    """Bars of one colour: their name, and a height for each group. None means no bar."""

    name: str
    heights: Sequence[Summary | None]


@frozen
class Axis:
    """A vertical axis from ``low`` at the bottom to ``high`` at the top, with marks at ``ticks``."""

    low: float
    high: float
    ticks: Sequence[float]
    logarithmic: bool

    def y(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def linear(values: Sequence[float]) -> Axis:
    """Return an axis from zero, with room for a number above the highest bar."""
    ticks = nice_ticks(1.08 * max(values))
    return Axis(0, ticks[-1], ticks, logarithmic=False)


def logarithmic(values: Sequence[float]) -> Axis:
    """Return an axis of whole powers of ten for values above zero."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    ticks = [factor * 10.0**decade for decade in range(low, high) for factor in (1, 2, 5)]
    return Axis(10.0**low, 10.0**high, [*ticks, 10.0**high], logarithmic=True)


def grouped_bars(
    title: str, unit: str, groups: Sequence[str], series: Sequence[Bars], scale: Callable[[Sequence[float]], Axis]
) -> str:
    """Draw the bars of each group side by side. A bar shows the median, and a line on it the range of all rounds."""
    heights = [height for one in series for height in one.heights if height]
    axis = scale([value for height in heights for value in (height.least, height.median, height.most)])
    label = escape(title, {'"': "&quot;"})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_HEIGHT}" width="{WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{_HEIGHT}" rx="6"/>',
        f'<text class="text title" x="{_LEFT}" y="26">{escape(title)}</text>',
        *_legend(series),
        *_axis(axis, unit),
    ]
    step = (WIDTH - _LEFT - _RIGHT) / len(groups)
    for number, group in enumerate(groups):
        middle = _LEFT + (number + 0.5) * step
        y = _HEIGHT - _BOTTOM + 20
        parts.append(f'<text class="text" x="{middle:.1f}" y="{y}" text-anchor="middle">{escape(group)}</text>')
        width = step * 0.82 / len(series)
        for index, one in enumerate(series):
            if (height := one.heights[number]) is not None:
                parts += _bar(height, one.name, index, middle + (index - len(series) / 2) * width, width, axis)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(height: Summary, name: str, index: int, x: float, width: float, axis: Axis) -> list[str]:
    top, least, most = axis.y(height.median), axis.y(height.least), axis.y(height.most)
    said = f"{name}: {height.median:.3g} ({height.least:.3g} to {height.most:.3g})"
    centre, size, value = x + width / 2, _HEIGHT - _BOTTOM - top, _short(height.median)
    return [
        f'<rect class="s{index}" x="{x + 1:.1f}" y="{top:.1f}" width="{width - 2:.1f}" height="{size:.1f}">'
        f"<title>{escape(said)}</title></rect>",
        f'<path class="spread" d="M{centre:.1f} {least:.1f}V{most:.1f}"/>',
        f'<text class="text small" x="{centre:.1f}" y="{most - 4:.1f}" text-anchor="middle">{value}</text>',
    ]


def _legend(series: Sequence[Bars]) -> list[str]:
    parts, x = [], float(_LEFT)
    for index, one in enumerate(series):
        parts += [
            f'<rect class="s{index}" x="{x:.0f}" y="40" width="11" height="11" rx="2"/>',
            f'<text class="text" x="{x + 16:.0f}" y="50">{escape(one.name)}</text>',
        ]
        x += 40 + 6.6 * len(one.name)
    return parts


def _axis(axis: Axis, unit: str) -> list[str]:
    scale = ", logarithmic" if axis.logarithmic else ""
    parts = [f'<text class="quiet" x="{WIDTH - _RIGHT}" y="26" text-anchor="end">{escape(unit)}{scale}</text>']
    for value in axis.ticks:
        y = axis.y(value)
        parts += [
            f'<path class="line" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>',
            f'<text class="quiet" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>',
        ]
    return parts


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
