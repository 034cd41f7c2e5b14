"""What a run must not exceed, so that it can be a check."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from attrs import field, frozen

from tools.loadtest.quantities import (
    parse_seconds,
    parse_share,
    parse_size,
    show_seconds,
    show_share,
    show_size,
)

Figures = Mapping[str, float | None]


def _parse_count(text: str) -> float:
    if not text.strip().isdecimal():
        raise ValueError(f"{text!r} is not a whole number")
    return float(text)


def _show_count(count: float | None) -> str:
    return "–" if count is None else f"{count:.0f}"


@frozen
class Unit:
    parse: Callable[[str], float]
    show: Callable[[float | None], str]


SHARE: Final = Unit(parse_share, show_share)
SECONDS: Final = Unit(parse_seconds, show_seconds)
COUNT: Final = Unit(_parse_count, _show_count)
SIZE: Final = Unit(parse_size, show_size)


@frozen
class Figure:
    """One that a run ends with, by its key in the report; ``--max-<name>`` bounds it."""

    key: str
    meaning: str
    unit: Unit

    @property
    def option(self) -> str:
        return f"--max-{self.key.replace('_', '-')}"


FIGURES: Final[Mapping[str, Figure]] = {
    figure.key: figure
    for figure in (
        Figure("loss", "packets lost, of all that should have come", SHARE),
        Figure("audio_loss", "the same of audio", SHARE),
        Figure("video_loss", "the same of video", SHARE),
        Figure("duplicated", "packets that came again, of all that came", SHARE),
        Figure("reordered", "packets that were overtaken, of all that came", SHARE),
        Figure("latency_p50", "half of all packets were forwarded within this", SECONDS),
        Figure("latency_p99", "99 % of all packets were forwarded within this", SECONDS),
        Figure("join_p50", "from asking for a connection to joined", SECONDS),
        Figure("join_p99", "from asking for a connection to joined", SECONDS),
        Figure("first_media_p99", "from joined to the first packet", SECONDS),
        Figure("leave_p50", "from beginning to leave until another was told", SECONDS),
        Figure("leave_p99", "from beginning to leave until another was told", SECONDS),
        Figure("roster_errors", "times that somebody was shown something untrue", COUNT),
        Figure("failures", "things that went wrong with clients", COUNT),
        Figure("silent_streams", "streams of which no packet came", COUNT),
        Figure("strange_packets", "opened packets of another stream, or that could not be opened", COUNT),
        Figure("full_undecoded", "streams of which a full client decoded nothing", COUNT),
        Figure("cpu_per_packet", "of the gateway, for each packet it sent", SECONDS),
        Figure("memory_per_member", "of the gateway, more than before anybody came", SIZE),
        Figure("count_difference", "datagrams by which the gateway's counts and ours differ", COUNT),
    )
}


@frozen
class Threshold:
    """``limit`` in the figure's own unit: shares, seconds, bytes or a count."""

    figure: Figure
    limit: float


@frozen
class Verdict:
    """``value`` is None where the figure was not measured, which keeps no threshold."""

    threshold: Threshold
    value: float | None
    kept: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        kept = self.value is not None and not math.isnan(self.value) and self.value <= self.threshold.limit
        object.__setattr__(self, "kept", kept)

    def __str__(self) -> str:
        figure = self.threshold.figure
        value = "not measured" if self.value is None else figure.unit.show(self.value)
        return f"{figure.key} is {value}, {figure.option} {figure.unit.show(self.threshold.limit)}"


def parse_thresholds(limits: Mapping[str, str | None]) -> tuple[Threshold, ...]:
    """From texts by the figures' keys; None stands for no limit.  Raises ``ValueError``, naming the option."""
    thresholds = []
    for key, text in limits.items():
        if text is None:
            continue
        figure = FIGURES[key]
        try:
            thresholds.append(Threshold(figure, figure.unit.parse(text)))
        except ValueError as error:
            raise ValueError(f"{figure.option}: {error}") from error
    return tuple(thresholds)


def judge(thresholds: tuple[Threshold, ...], figures: Figures) -> tuple[Verdict, ...]:
    return tuple(Verdict(threshold, figures.get(threshold.figure.key)) for threshold in thresholds)
