"""The sender's clocks, moved on by the time that passes here."""

import pytest

from sfu.layers import choose_encoding
from sfu.source_clock import NTP_SECOND, SourceClock


def test_both_halves_move_on_alike() -> None:
    clock = SourceClock(90000)
    assert clock.read(5) is None
    clock.report(ntp=100 * NTP_SECOND, timestamp=2**32 - 45000, now=10)
    assert clock.read(11) == (101 * NTP_SECOND, 45000)


def test_lsr_and_dlsr_are_of_the_newest_report() -> None:
    clock = SourceClock(48000)
    assert clock.last_report(1) == (0, 0)
    clock.report(ntp=0x1234_5678_9ABC_DEF0, timestamp=0, now=10)
    assert clock.last_report(10.5) == (0x5678_9ABC, 32768)


@pytest.mark.parametrize("ntp_apart", [-2, 0, 3])
def test_encodings_of_one_source_meet_on_one_timeline(ntp_apart: int) -> None:
    low, high = SourceClock(90000), SourceClock(90000)
    low.report(ntp=1000 * NTP_SECOND, timestamp=5000, now=0)
    high.report(ntp=(1000 + ntp_apart) * NTP_SECOND, timestamp=2**32 - 7, now=0)
    assert low.timeline is not None
    assert high.timeline is not None
    apart = (2**32 - 7 + high.timeline) - (5000 + low.timeline)
    assert (apart - ntp_apart * 90000) % 2**32 == 0


def test_without_a_report_there_is_no_timeline() -> None:
    assert SourceClock(90000).timeline is None


@pytest.mark.parametrize(
    ("active", "bound", "current", "chosen"),
    [
        ([True, True, True], None, 0, 2),
        ([True, True, True], 1, 0, 1),
        ([True, True, False], None, 2, 1),
        ([False, False, True], 1, 1, 0),
        ([False, False, False], None, 2, 2),
        ([False, False, False], 1, 2, 1),
        ([False, False, False], 5, 0, 0),
        ([True], 5, 0, 0),
    ],
)
def test_the_best_encoding_that_flows_within_the_bound_is_chosen(
    active: list[bool], bound: int | None, current: int, chosen: int
) -> None:
    assert choose_encoding(active, bound, current) == chosen
