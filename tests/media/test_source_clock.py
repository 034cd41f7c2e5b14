"""The sender's clocks, moved on by the time that passes here."""

import pytest

from sfu.layers import choose_encoding
from sfu.source_clock import NTP_SECOND, SourceClock, offset_between


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


def test_the_round_trip_is_what_the_receivers_answer_leaves_over() -> None:
    clock = SourceClock(48000)
    clock.report(ntp=100 * NTP_SECOND, timestamp=0, now=10)
    told = clock.read(12)
    assert told is not None
    last_sr = (told[0] >> 16) & 0xFFFFFFFF
    # The receiver got it 20 ms later, waited half a second and its answer took 30 ms.
    assert clock.round_trip(last_sr, 32768, now=12.55) == pytest.approx(0.05, abs=1e-4)


def test_a_round_trip_that_cannot_be_is_no_measurement() -> None:
    clock = SourceClock(48000)
    clock.report(ntp=100 * NTP_SECOND, timestamp=0, now=10)
    assert clock.round_trip((105 * NTP_SECOND >> 16) & 0xFFFFFFFF, 0, now=10) is None
    assert clock.round_trip(0, 0, now=10) is None


@pytest.mark.parametrize("ntp_apart", [-2, 0, 3])
def test_encodings_of_one_source_meet_on_one_timeline(ntp_apart: int) -> None:
    low, high = SourceClock(90000), SourceClock(90000)
    low.report(ntp=1000 * NTP_SECOND, timestamp=5000, now=0)
    high.report(ntp=(1000 + ntp_apart) * NTP_SECOND, timestamp=2**32 - 7, now=0)
    offset = offset_between(low, high)
    assert offset is not None
    assert (2**32 - 7 + offset) % 2**32 == (5000 + ntp_apart * 90000) % 2**32


def test_without_a_report_there_is_no_offset() -> None:
    low, high = SourceClock(90000), SourceClock(90000)
    low.report(1, 1, 1)
    assert offset_between(low, high) is None


@pytest.mark.parametrize(
    ("active", "bound", "chosen"),
    [
        ([True, True, True], None, 2),
        ([True, True, True], 1, 1),
        ([True, True, False], None, 1),
        ([False, False, True], 1, 0),
        ([False, False, False], None, 0),
        ([True], 5, 0),
    ],
)
def test_the_best_encoding_that_flows_within_the_bound_is_chosen(
    active: list[bool], bound: int | None, chosen: int
) -> None:
    assert choose_encoding(active, bound) == chosen
