"""Thresholds of a run's figures, which make it a check."""

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
    """Reads and shows values of one unit."""

    parse: Callable[[str], float]
    show: Callable[[float | None], str]


SHARE: Final = Unit(parse_share, show_share)
SECONDS: Final = Unit(parse_seconds, show_seconds)
COUNT: Final = Unit(_parse_count, _show_count)
SIZE: Final = Unit(parse_size, show_size)


@frozen
class Figure:
    """A figure of the results, with its key in the report.  The option ``--max-<key>`` limits it."""

    key: str
    meaning: str
    unit: Unit

    @property
    def option(self) -> str:
        return f"--max-{self.key.replace('_', '-')}"


FIGURES: Final[Mapping[str, Figure]] = {
    figure.key: figure
    for figure in (
        Figure("loss", "share of expected packets that never came", SHARE),
        Figure("audio_loss", "share of expected audio packets that never came", SHARE),
        Figure("video_loss", "share of expected video packets that never came", SHARE),
        Figure("duplicated", "share of packets that arrived twice", SHARE),
        Figure("reordered", "share of packets that a later one overtook", SHARE),
        Figure("unrepaired", "share of requested packets that never came", SHARE),
        Figure("repair_p50", "from the notice of a gap to the missing packet, median", SECONDS),
        Figure("repair_p99", "from the notice of a gap to the missing packet, 99th percentile", SECONDS),
        Figure("latency_p50", "median of the forwarding latency", SECONDS),
        Figure("latency_p99", "99th percentile of the forwarding latency", SECONDS),
        Figure("join_p50", "from connecting to joined, median", SECONDS),
        Figure("join_p99", "from connecting to joined, 99th percentile", SECONDS),
        Figure("first_media_p99", "from joined to the first packet, 99th percentile", SECONDS),
        Figure("leave_p50", "from a leave until another client learned of it, median", SECONDS),
        Figure("leave_p99", "from a leave until another client learned of it, 99th percentile", SECONDS),
        Figure("move_p50", "from a change of the network until media flows again, median", SECONDS),
        Figure("move_p99", "from a change of the network until media flows again, 99th percentile", SECONDS),
        Figure("moves_without_media", "changes of the network after which no media came", COUNT),
        Figure("lost_sessions", "sessions that were lost by a change of the network", COUNT),
        Figure("roster_errors", "errors in the lists of clients", COUNT),
        Figure("failures", "failures of clients", COUNT),
        Figure("silent_streams", "streams without any packet", COUNT),
        Figure("strange_packets", "packets of a wrong stream, or that could not be decrypted", COUNT),
        Figure("full_undecoded", "streams of which a full client decoded no frame", COUNT),
        Figure("cpu_per_packet", "the gateway's CPU time for each packet that it sent", SECONDS),
        Figure("memory_per_member", "the gateway's memory for each client, above that of the empty gateway", SIZE),
        Figure("count_difference", "difference between the gateway's counts of datagrams and the tool's", COUNT),
    )
}


@frozen
class Threshold:
    """A limit that a figure must not exceed, in the figure's unit: a share, seconds, bytes or a count."""

    figure: Figure
    limit: float


@frozen
class Verdict:
    """Whether a figure kept its threshold.  A ``value`` of None was not measured, and breaks the threshold."""

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
    """Read limits by the keys of their figures.  None is no limit.

    Raises ``ValueError``, whose text names the option.
    """
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
