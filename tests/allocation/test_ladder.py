"""The steps of one video."""

import pytest

from sfu.allocation import Ladder, LayerRates, build_ladder
from sfu.layers import Layers

LOW = LayerRates((60e3, 90e3, 150e3), (7.5, 15, 30))
MIDDLE = LayerRates((200e3, 350e3, 500e3), (7.5, 15, 30))
HIGH = LayerRates((1e6, 1.5e6, 2.5e6), (7.5, 15, 30))


def short(ladder: Ladder) -> list[tuple[int, int, float]]:
    return [(step.layers.spatial, step.layers.temporal, step.rate) for step in ladder]


def test_a_camera_moves_smoothly_before_it_becomes_larger() -> None:
    assert short(build_ladder([LOW, MIDDLE, HIGH], None, screen=False)) == [
        (0, 0, 60e3),
        (0, 1, 90e3),
        (0, 255, 150e3),
        (1, 1, 350e3),
        (1, 255, 500e3),
        (2, 1, 1.5e6),
        (2, 255, 2.5e6),
    ]


def test_a_slow_camera_has_only_its_full_frame_rate_in_larger_pictures() -> None:
    slow = LayerRates((200e3, 350e3, 500e3), (5, 10, 20))
    assert short(build_ladder([slow, slow], None, screen=False))[2:] == [(0, 255, 500e3), (1, 255, 500e3)]


def test_a_screen_may_have_any_frame_rate() -> None:
    slow = LayerRates((700e3, 800e3), (2.5, 5))
    assert short(build_ladder([LOW, slow], None, screen=True))[3:] == [(1, 0, 700e3), (1, 255, 800e3)]


@pytest.mark.parametrize(
    ("bounds", "top"),
    [(Layers(0, 0), (0, 255, 60e3)), (Layers(0, 255), (0, 255, 150e3)), (Layers(1, 0), (1, 255, 200e3))],
)
def test_the_owners_bounds_end_the_ladder(bounds: Layers, top: tuple[int, int, float]) -> None:
    # The data plane applies the bounds as well, so that the top step leaves nothing out.
    assert short(build_ladder([LOW, MIDDLE, HIGH], bounds, screen=False))[-1] == top


def test_encodings_that_do_not_flow_are_no_steps() -> None:
    assert short(build_ladder([None, None, HIGH], None, screen=False)) == [(2, 0, 1e6), (2, 1, 1.5e6), (2, 255, 2.5e6)]
    assert build_ladder([None, MIDDLE, HIGH], Layers(0, 255), screen=False) == ()
    assert build_ladder([None], None, screen=False) == ()


def test_a_step_counts_as_at_least_as_expensive_as_those_below_it() -> None:
    cheap = LayerRates((100e3,))
    assert short(build_ladder([LOW, cheap], None, screen=False))[2:] == [(0, 255, 150e3), (1, 255, 150e3)]


def test_spatial_layers_inside_one_encoding_are_steps_and_the_highest_leaves_nothing_out() -> None:
    assert short(build_ladder([LOW, MIDDLE], None, screen=False, inside=True)) == [
        (0, 0, 60e3),
        (0, 1, 90e3),
        (0, 255, 150e3),
        (255, 1, 350e3),
        (255, 255, 500e3),
    ]
    assert short(build_ladder([LOW, MIDDLE], Layers(0, 255), screen=False, inside=True))[-1] == (255, 255, 150e3)
