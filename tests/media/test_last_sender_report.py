"""The report fields about the newest sender report, and the choice of an encoding."""

import pytest

from sfu.last_sender_report import LastSenderReport
from sfu.layers import choose_encoding


def test_lsr_and_dlsr_refer_to_the_newest_sender_report() -> None:
    report = LastSenderReport()
    assert report.lsr_and_dlsr(1) == (0, 0)
    report.on_report(ntp=0x1234_5678_9ABC_DEF0, now=10)
    assert report.lsr_and_dlsr(10.5) == (0x5678_9ABC, 32768)


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
