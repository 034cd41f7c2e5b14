"""Bar charts and lines over time as SVG. Each has its own background, so that it suits light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from attrs import frozen

from tools.bench.figures import Summary
from tools.loadtest import plots
from tools.loadtest.plots import Plot, nice_ticks

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
class Axis:
    """A vertical axis from the first tick at the bottom to the last one at the top."""

    ticks: Sequence[float]
    transform: Callable[[float], float] = float

    def y(self, value: float) -> float:
        low, high, at = (self.transform(one) for one in (self.ticks[0], self.ticks[-1], max(value, self.ticks[0])))
        return _HEIGHT - _BOTTOM - (at - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def linear(values: Sequence[float]) -> Axis:
    """Return an axis from zero, with room for a number above the highest bar."""
    return Axis(nice_ticks(1.08 * max(values)))


def logarithmic(values: Sequence[float]) -> Axis:
    """Return an axis of whole powers of ten for values above zero."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    ticks = [factor * 10.0**decade for decade in range(low, high) for factor in (1, 2, 5)]
    return Axis([*ticks, 10.0**high], math.log)


def bar_plot(
    file: str,
    title: str,
    unit: str,
    groups: Sequence[str],
    series: Mapping[str, Sequence[Summary | None]],
    scale: Callable[[Sequence[float]], Axis] = linear,
) -> Iterator[tuple[str, str, str]]:
    """Yield the plot's file name, title and SVG. Yield nothing if no height of any series is above zero.

    The bars of each group stand side by side, one of each series. A bar shows the median, and a line on it the range of
    all rounds.
    """
    least = float("-inf") if scale is linear else 0  # a logarithmic axis cannot show zero or a negative value
    shown = {name: [height if height and height.least > least else None for height in series[name]] for name in series}
    drawn = {name: heights for name, heights in shown.items() if any(heights)}
    if any(height.most > 0 for heights in drawn.values() for height in heights if height):
        yield file, title, _svg(title, unit, groups, drawn, scale)


def line_plot(plot: Plot) -> str:
    """Return lines over time as an SVG of its own, with a title and a legend."""
    height, label = plots.HEIGHT + _TOP, escape(plot.title, {'"': "&quot;"})
    x, legend = float(_LEFT), []
    for line, colour in zip(plot.lines, plots.COLOURS, strict=False):
        legend.append(f'<rect x="{x:.0f}" y="40" width="11" height="11" rx="2" fill="{colour}"/>')
        legend.append(_text(x + 16, 50, line.name))
        x += 40 + 6.6 * len(line.name)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {plots.WIDTH} {height}" width="{plots.WIDTH}" '
        f'height="{height}" role="img" aria-label="{label}">',
        f"<style>{_STYLE} .lines {{ color: #57606a; }} .grid {{ stroke: #d0d7de; }}</style>",
        f'<rect class="page" width="{plots.WIDTH}" height="{height}" rx="6"/>',
        _text(_LEFT, 26, plot.title, "text title"),
        _text(plots.WIDTH - _RIGHT, 50, plot.unit, "quiet", "end"),
        *legend,
        f'<svg class="lines" y="{_TOP}" width="{plots.WIDTH}" height="{plots.HEIGHT}">{plots.draw(plot)}</svg>',
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _svg(
    title: str,
    unit: str,
    groups: Sequence[str],
    series: Mapping[str, Sequence[Summary | None]],
    scale: Callable[[Sequence[float]], Axis],
) -> str:
    heights = [height for heights in series.values() for height in heights if height]
    axis = scale([value for height in heights for value in (height.least, height.median, height.most)])
    label = escape(title, {'"': "&quot;"})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_HEIGHT}" width="{WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{_HEIGHT}" rx="6"/>',
        _text(_LEFT, 26, title, "text title"),
        *_legend(series),
        *_axis(axis, unit),
    ]
    step = (WIDTH - _LEFT - _RIGHT) / len(groups)
    width = step * 0.82 / len(series)
    for number, group in enumerate(groups):
        middle = _LEFT + (number + 0.5) * step
        parts.append(_text(middle, _HEIGHT - _BOTTOM + 20, group, anchor="middle"))
        for index, (name, each) in enumerate(series.items()):
            if (height := each[number]) is not None:
                parts += _bar(height, name, index, middle + (index - len(series) / 2) * width, width, axis)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, said: str, style: str = "text", anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def _bar(height: Summary, name: str, index: int, x: float, width: float, axis: Axis) -> list[str]:
    top, least, most = axis.y(height.median), axis.y(height.least), axis.y(height.most)
    said = f"{name}: {height.median:.3g} ({height.least:.3g} to {height.most:.3g})"
    centre, size = x + width / 2, _HEIGHT - _BOTTOM - top
    return [
        f'<rect class="s{index}" x="{x + 1:.1f}" y="{top:.1f}" width="{width - 2:.1f}" height="{size:.1f}">'
        f"<title>{escape(said)}</title></rect>",
        f'<path class="spread" d="M{centre:.1f} {least:.1f}V{most:.1f}"/>',
        _text(centre, most - 4, _short(height.median), "text small", "middle"),
    ]


def _legend(names: Iterable[str]) -> Iterator[str]:
    x = float(_LEFT)
    for index, name in enumerate(names):
        yield f'<rect class="s{index}" x="{x:.0f}" y="40" width="11" height="11" rx="2"/>'
        yield _text(x + 16, 50, name)
        x += 40 + 6.6 * len(name)


def _axis(axis: Axis, unit: str) -> Iterator[str]:
    scale = ", logarithmic" if axis.transform is math.log else ""
    yield _text(WIDTH - _RIGHT, 26, unit + scale, "quiet", "end")
    for value in axis.ticks:
        y = axis.y(value)
        yield f'<path class="line" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
        yield _text(_LEFT - 8, y + 4, f"{value:g}", "quiet", "end")


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
