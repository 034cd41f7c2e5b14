"""Plots as SVG, readable on light and dark pages: each brings its own background, and both follow the reader's choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from attrs import frozen

WIDTH: Final = 860
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 74, 46
_HEIGHT: Final = 380
_STYLE: Final = """
  .page { fill: #ffffff; } .text { fill: #24292f; } .quiet { fill: #57606a; } .line { stroke: #d0d7de; }
  .s0 { fill: #1f77b4; } .s1 { fill: #d9730d; } .s2 { fill: #8c959f; } .s3 { fill: #57ab5a; }
  text { font: 12px system-ui, sans-serif; } .title { font-size: 15px; font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #161b22; } .text { fill: #e6edf3; } .quiet { fill: #9198a1; } .line { stroke: #30363d; }
    .s0 { fill: #58a6ff; } .s1 { fill: #f0883e; } .s2 { fill: #8b949e; } .s3 { fill: #3fb950; }
  }
"""


@frozen
class Bar:
    """A value, and the least and the most it was."""

    value: float
    least: float
    most: float


@frozen
class Series:
    """One colour: its name and a bar for each group, None where there is none."""

    name: str
    bars: Sequence[Bar | None]


def grouped_bars(title: str, unit: str, groups: Sequence[str], series: Sequence[Series]) -> str:
    """Bars side by side for each group, on a logarithmic axis from the power of ten below the least value up.

    Values must be above zero.  On a linear axis whatever is small beside Janus would be a line.
    """
    values = [value for one in series for bar in one.bars if bar for value in (bar.least, bar.most)]
    low, high = _decades(values)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_HEIGHT}" width="{WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{_HEIGHT}" rx="6"/>',
        f'<text class="text title" x="{_LEFT}" y="26">{escape(title)}</text>',
        *_legend(series),
        *_axis(low, high, unit),
    ]
    step = (WIDTH - _LEFT - _RIGHT) / len(groups)
    for number, group in enumerate(groups):
        middle = _LEFT + (number + 0.5) * step
        parts.append(
            f'<text class="text" x="{middle:.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{escape(group)}</text>'
        )
        parts += _group(number, middle, step * 0.82 / len(series), low, high, series)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _group(number: int, middle: float, width: float, low: int, high: int, series: Sequence[Series]) -> list[str]:
    parts = []
    for index, one in enumerate(series):
        bar = one.bars[number]
        if bar is None:
            continue
        x = middle + (index - len(series) / 2) * width
        top, bottom = _y(bar.value, low, high), _HEIGHT - _BOTTOM
        said = f"{one.name}: {bar.value:.3g} ({bar.least:.3g} to {bar.most:.3g})"
        centre = x + width / 2
        parts += [
            f'<rect class="s{index}" x="{x + 1:.1f}" y="{top:.1f}" width="{width - 2:.1f}" height="{bottom - top:.1f}">'
            f"<title>{escape(said)}</title></rect>",
            f'<path class="line" style="stroke: currentColor" d="M{centre:.1f} {_y(bar.least, low, high):.1f}'
            f'V{_y(bar.most, low, high):.1f}" opacity="0.5"/>',
            f'<text class="text" x="{centre:.1f}" y="{min(top, _y(bar.most, low, high)) - 4:.1f}" text-anchor="middle" '
            f'style="font-size: 10px">{_short(bar.value)}</text>',
        ]
    return parts


def _legend(series: Sequence[Series]) -> list[str]:
    parts, x = [], float(_LEFT)
    for index, one in enumerate(series):
        parts += [
            f'<rect class="s{index}" x="{x:.0f}" y="40" width="11" height="11" rx="2"/>',
            f'<text class="text" x="{x + 16:.0f}" y="50">{escape(one.name)}</text>',
        ]
        x += 40 + 6.6 * len(one.name)
    return parts


def _axis(low: int, high: int, unit: str) -> list[str]:
    parts = [f'<text class="quiet" x="{_LEFT - 8}" y="{_TOP - 8}" text-anchor="end">{escape(unit)}</text>']
    for decade in range(low, high + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0**decade
            if value > 10.0**high:
                break
            y = _y(value, low, high)
            parts += [
                f'<path class="line" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>',
                f'<text class="quiet" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>',
            ]
    return parts


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _y(value: float, low: int, high: int) -> float:
    share = (math.log10(value) - low) / (high - low)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
