"""The choice of an encoding."""

import pytest

from sfu.layers import choose_encoding


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
