"""The quality of a connection in four steps: how loss, delay and silence decide it."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sfu
from gateway.channel.connection_quality import (
    FEWEST_PACKETS,
    RISES_AFTER,
    ROUND_TRIP_AGE,
    QualityMeter,
    lack,
    rate,
    step_of,
)
from protocol.events import ConnectionQuality

PACKETS = 100


class Line:
    """A member's network: counts packets up, and measures them."""

    def __init__(self) -> None:
        self.meter = QualityMeter()
        self.totals = [0, 0, 0, 0]

    def passes(
        self,
        *,
        sent: tuple[int, int] = (PACKETS, 0),
        received: tuple[int, int] = (PACKETS, 0),
        round_trip: float | None = 0.05,
        silent: bool = False,
        shares: tuple[float, float] = (1.0, 1.0),
    ) -> ConnectionQuality:
        """Let packets pass in both directions, each with its losses.  Returns the quality."""
        self.totals = [total + more for total, more in zip(self.totals, (*sent, *received), strict=True)]
        expected, missing, reported, lost = self.totals
        self.meter.update(sfu.PeerMeasurement(expected, missing, reported, lost, round_trip, silent, *shares))
        return self.meter.measured


@pytest.mark.parametrize(
    ("loss", "round_trip", "step"),
    [
        (0, None, "excellent"),
        (0, 0.36, "excellent"),
        (0, 0.38, "good"),
        (0, 0.66, "good"),
        (0, 0.68, "poor"),
        (0.013, 0.05, "excellent"),
        (0.015, 0.05, "good"),
        (0.047, 0.05, "good"),
        (0.052, 0.05, "poor"),
        (1, 10, "poor"),
    ],
)
def test_loss_and_delay_decide_together(loss: float, round_trip: float | None, step: ConnectionQuality) -> None:
    assert step_of(rate(loss, round_trip)) == step


def test_the_worse_direction_counts() -> None:
    for sent, received in (((PACKETS, 10), (PACKETS, 0)), ((PACKETS, 0), (PACKETS, 10))):
        line = Line()
        line.passes()
        assert line.passes(sent=sent, received=received) == "poor"


def test_a_worse_step_counts_at_once_and_a_better_one_must_last() -> None:
    line = Line()
    assert line.passes(sent=(PACKETS, 20)) == "poor"
    steps = [line.passes() for _ in range(12)]
    rises = [at for at, (before, after) in enumerate(itertools.pairwise(["poor", *steps])) if before != after]
    assert steps[-1] == "excellent"
    assert rises[0] >= RISES_AFTER - 1
    assert all(later - earlier >= RISES_AFTER for earlier, later in itertools.pairwise(rises))


def test_a_loss_about_a_limit_does_not_flap() -> None:
    line = Line()
    changes = 0
    for number in range(100):
        before = line.meter.measured
        changes += line.passes(received=(PACKETS, 2 + number % 2)) != before
    assert changes <= 2


@pytest.mark.parametrize(
    ("video_share", "least_share", "step"),
    [
        (1, 1, "excellent"),
        (0.5, 0.5, "excellent"),
        (0.4, 0.4, "good"),
        (0.6, 0.2, "good"),
        (0.125, 0.125, "good"),
        (0.1, 0.1, "poor"),
        (0.9, 0.04, "good"),
        (0.9, 0, "poor"),
        (0, 0, "poor"),
    ],
)
def test_videos_that_the_path_has_no_room_for_count(
    video_share: float, least_share: float, step: ConnectionQuality
) -> None:
    line = Line()
    line.passes(shares=(video_share, least_share))
    assert line.passes(shares=(video_share, least_share)) == step


def test_a_lack_of_bandwidth_adds_to_loss() -> None:
    assert step_of(rate(0.02, 0.05)) == step_of(rate(0, 0.05) - lack(0.2, 0.2)) == "good"
    line = Line()
    for _ in range(2):
        step = line.passes(received=(PACKETS, 3), shares=(0.2, 0.2))
    assert step == "poor"


def test_a_lack_of_bandwidth_counts_only_if_it_lasts() -> None:
    line = Line()
    assert [line.passes(shares=(share, share)) for share in (0.1, 1, 0.1, 1)] == ["excellent"] * 4
    assert [line.passes(shares=(0.1, 0.1)) for _ in range(2)] == ["excellent", "poor"]
    steps = [line.passes() for _ in range(RISES_AFTER + 1)]
    assert (steps[0], steps[-1]) == ("poor", "excellent")


def test_one_lost_packet_says_nothing() -> None:
    line = Line()
    assert line.passes(sent=(FEWEST_PACKETS, 1), received=(0, 0)) == "excellent"
    assert line.passes(sent=(0, 0), received=(FEWEST_PACKETS - 1, 10)) == "excellent"


def test_silence_is_lost_at_once_and_its_end_counts_at_once() -> None:
    line = Line()
    line.passes()
    assert line.passes(silent=True) == "lost"
    assert line.passes() == "excellent"


def test_a_round_trip_without_reports_is_forgotten() -> None:
    line = Line()
    assert line.passes(round_trip=2.0) == "poor"
    steps = [line.passes(received=(0, 0), round_trip=2.0) for _ in range(ROUND_TRIP_AGE + RISES_AFTER)]
    assert steps[0] == "poor"
    assert steps[-1] == "excellent"


def test_a_stream_that_ends_takes_its_packets_along() -> None:
    line = Line()
    line.passes(sent=(1000, 0))
    assert line.passes(sent=(-900, 0)) == "excellent"
    assert line.passes(sent=(PACKETS, 0)) == "excellent"


def test_a_connection_that_loses_packets_stays_poor_when_a_stream_ends() -> None:
    line = Line()
    assert [line.passes(sent=(PACKETS, 10)) for _ in range(30)][-1] == "poor"
    line.passes(sent=(-29 * PACKETS, -290))
    assert {line.passes(sent=(PACKETS, 10)) for _ in range(10)} == {"poor"}


def test_better_measurements_must_follow_each_other() -> None:
    for between in (2.0, 0.64):  # the second one is just better than poor
        line = Line()
        line.passes(round_trip=2.0)
        steps = [line.passes(round_trip=between if number % 3 == 1 else 0.05) for number in range(30)]
        assert set(steps) == {"poor"}


@settings(derandomize=True, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500), st.floats(0, 60), st.booleans()), max_size=20)
)
def test_any_measurements_give_a_step(measured: Sequence[tuple[int, int, float, bool]]) -> None:
    line = Line()
    for packets, lost, round_trip, silent in measured:
        step = line.passes(sent=(packets, lost), received=(lost, packets), round_trip=round_trip, silent=silent)
        assert (step == "lost") == silent
