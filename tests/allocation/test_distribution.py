"""From a budget to steps: examples, and what holds for every budget."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.allocation import Demand, Ladder
from sfu.allocation.distribution import STARVED, distribute, total_rate
from tests.allocation.examples import CAMERA, PLAIN, camera, screen, step

RELIABLE = settings(derandomize=True, max_examples=100, deadline=None)
LADDERS: list[Ladder] = [
    CAMERA,
    CAMERA[:3],
    CAMERA[3:],
    PLAIN,
    (step(0, 10e3), step(1, 15e3), step(2, 3e6)),
    (step(0, 200e3, 0, 5), step(0, 200e3), step(1, 201e3)),
    (step(0, 300e3, 0, None), step(0, 1.2e6, frame_rate=None)),
]

crowds = st.lists(
    st.tuples(st.sampled_from(LADDERS), st.booleans(), st.sampled_from([1, 1, 2, 255]), st.booleans()), max_size=7
).map(lambda people: [Demand(str(at), *person) for at, person in enumerate(people)])
budgets = st.integers(0, 200).map(lambda tens: tens**2 * 500.0)
"""Up to 20 Mbit/s, the small ones more often."""


def by_rank(demands: list[Demand]) -> list[int]:
    return sorted(range(len(demands)), key=lambda at: demands[at].rank, reverse=True)


def test_everybody_gets_everything_if_there_is_room() -> None:
    assert distribute(10e6, [camera("a"), camera("b"), screen("c")]) == [4, 4, 1]


def test_everybody_gets_a_picture_before_anybody_gets_a_better_one() -> None:
    assert distribute(200e3, [camera("a"), camera("b"), camera("c")]) == [0, 0, 0]
    assert distribute(210e3, [camera("a"), camera("b"), camera("c")]) == [1, 0, 0]
    assert distribute(500e3, [camera("a"), camera("b"), camera("c")]) == [2, 2, 2]
    assert distribute(850e3, [camera("a"), camera("b"), camera("c")]) == [3, 2, 2]


def test_a_pinned_camera_moves_before_others_are_seen_and_then_becomes_as_large_as_it_can() -> None:
    assert distribute(200e3, [camera("a"), camera("b"), camera("c", 255)]) == [1, STARVED, 1]
    assert distribute(210e3, [camera("a"), camera("b"), camera("c", 255)]) == [0, 0, 1]
    assert distribute(700e3, [camera("a"), camera("b"), camera("c", 255)]) == [1, 1, 3]


def test_priority_is_a_weight() -> None:
    assert distribute(300e3, [camera("a"), camera("b", 2)]) == [2, 2]
    assert distribute(220e3, [camera("a"), camera("b", 2)]) == [0, 2]


def test_a_speaker_comes_before_others_and_after_pinned_cameras() -> None:
    speaker = camera("c", speaking=True)
    assert distribute(200e3, [camera("a"), camera("b"), speaker]) == [1, STARVED, 1]
    assert distribute(850e3, [camera("a"), camera("b"), speaker]) == [2, 2, 3]
    assert distribute(560e3, [camera("a"), speaker]) == [0, 3]
    assert distribute(700e3, [camera("a"), camera("b", 2), speaker]) == [1, 3, 1]
    assert distribute(100e3, [camera("a"), speaker, screen("s"), camera("b", 2)]) == [STARVED, STARVED, STARVED, 1]


def test_the_owners_priority_decides_before_speaking() -> None:
    assert camera("a", 2).rank > camera("b", speaking=True).rank > camera("c").rank
    assert camera("a", 2, speaking=True).rank > camera("b", 2).rank
    assert screen("s").rank > camera("a", 255, speaking=True).rank


def test_a_screen_comes_before_cameras() -> None:
    assert distribute(350e3, [camera("a"), screen("s")]) == [STARVED, 0]
    assert distribute(1.3e6, [camera("a"), camera("b"), screen("s")]) == [3, 3, 0]
    assert distribute(1.4e6, [camera("a"), camera("b"), screen("s")]) == [1, 1, 1]


def test_a_screen_goes_up_as_far_as_it_can_before_cameras_do() -> None:
    text = Demand("s", (step(0, 100e3), step(1, 200e3), step(2, 500e3), step(3, 1e6)), screen=True)
    assert distribute(1.1e6, [camera("a"), text]) == [1, 3]
    assert distribute(600e3, [camera("a"), text]) == [1, 2]


def test_a_camera_goes_up_by_as_many_steps_as_its_priority_says() -> None:
    assert distribute(1.1e6, [camera("a"), camera("b"), camera("c", 2)]) == [2, 2, 3]
    assert distribute(240e3, [camera("a"), camera("b", 3)]) == [1, 2]


def test_a_video_that_does_not_fit_is_left_out_and_a_smaller_one_behind_it_is_not() -> None:
    assert distribute(500e3, [Demand("a", PLAIN), camera("b")]) == [STARVED, 3]
    assert distribute(50e3, [camera("a"), camera("b")]) == [STARVED, STARVED]


@RELIABLE
@given(crowds, budgets)
def test_the_rates_stay_within_the_budget(demands: list[Demand], budget: float) -> None:
    places = distribute(budget, demands)
    assert total_rate(demands, places) <= budget
    assert all(STARVED <= place <= demand.top for demand, place in zip(demands, places, strict=True))


@RELIABLE
@given(crowds, budgets)
def test_no_step_that_would_fit_is_left(demands: list[Demand], budget: float) -> None:
    places = distribute(budget, demands)
    left = budget - total_rate(demands, places)
    assert all(
        demand.increment(place) > left for demand, place in zip(demands, places, strict=True) if place < demand.top
    )


@RELIABLE
@given(crowds, budgets)
def test_nobody_is_starved_for_somebody_of_a_lower_rank(demands: list[Demand], budget: float) -> None:
    places = distribute(budget, demands)
    for starved in (at for at, place in enumerate(places) if place == STARVED):
        rank, lowest = demands[starved].rank, demands[starved].ladder[0].rate
        lower = sum(demand.rate(at) for demand, at in zip(demands, places, strict=True) if demand.rank < rank)
        left = budget - total_rate(demands, places)
        assert lowest > left + lower


@RELIABLE
@given(crowds, budgets)
def test_nobody_is_starved_for_a_better_picture_of_an_equal(demands: list[Demand], budget: float) -> None:
    plain = [Demand(demand.consumer, demand.ladder) for demand in demands]
    places = distribute(budget, plain)
    assert [min(place, 0) for place in places] == distribute(budget, plain, caps=[0] * len(plain))


@RELIABLE
@given(crowds, budgets, budgets)
def test_more_budget_serves_more_in_the_order_of_rank(demands: list[Demand], one: float, two: float) -> None:
    less, more = sorted((one, two))
    plain = [Demand(demand.consumer, demand.ladder, demand.screen, 1) for demand in demands]
    lowest = [0] * len(plain)
    served = [distribute(budget, plain, caps=lowest) for budget in (less, more)]
    assert [served[0][at] for at in by_rank(plain)] <= [served[1][at] for at in by_rank(plain)]


@RELIABLE
@given(crowds, budgets, budgets)
def test_more_budget_never_makes_the_only_video_worse(demands: list[Demand], one: float, two: float) -> None:
    less, more = sorted((one, two))
    for demand in demands:
        assert distribute(less, [demand]) <= distribute(more, [demand])


@RELIABLE
@given(crowds, budgets, st.data())
def test_steps_that_are_paid_stay_and_caps_hold(demands: list[Demand], budget: float, data: st.DataObject) -> None:
    floor = [data.draw(st.integers(STARVED, demand.top)) for demand in demands]
    caps = [data.draw(st.integers(place, demand.top)) for demand, place in zip(demands, floor, strict=True)]
    places = distribute(budget, demands, floor=floor, caps=caps)
    assert all(low <= place <= high for low, place, high in zip(floor, places, caps, strict=True))
    assert total_rate(demands, places) <= max(budget, total_rate(demands, floor)) + 1e-6
    assert places == distribute(budget, demands, floor=floor, caps=caps)
