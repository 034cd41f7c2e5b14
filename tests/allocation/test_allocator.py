"""The allocator keeps a receiver's choice steady.  Times are made up."""

import math

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from sfu.allocation import NO_LIMIT, Allocator, Allotment, Demand
from sfu.allocation.allocator import (
    BACK_OFF,
    BACK_OFF_GROWTH,
    BUDGET_SHARE,
    BUSY_INTERVAL,
    CALM_INTERVAL,
    KEY_FRAME_WAIT,
    MAX_BACK_OFF,
    PAUSE,
    TRIAL,
)
from sfu.layers import Layers
from tests.allocation.examples import CAMERA, camera, step
from tests.allocation.test_distribution import RELIABLE, budgets, crowds

TOP = CAMERA[-1].layers
MIDDLE = CAMERA[3].layers
SMALL = CAMERA[2].layers
PLENTY = 10e6


@define
class Call:
    """One receiver: the time passes, and the allocator runs when it asked to."""

    demands: list[Demand]
    allocator: Allocator = field(factory=Allocator)
    now: float = 0.0
    wishes: list[object] = field(factory=list)
    chosen: list[tuple[float, dict[str, Layers | None]]] = field(factory=list)

    def run(self, estimate: float, *, proven: bool = False) -> Allotment:
        if proven:
            self.allocator.prove()
        allotment = self.allocator.allot(self.demands, estimate, self.now, wishes=self.wishes)
        if not self.chosen or self.chosen[-1][1] != allotment.limits:
            self.chosen.append((self.now, allotment.limits))
        return allotment

    def play(self, estimate: float, seconds: float, *, key_frames: bool = True) -> Allotment:
        """Run for so many seconds with this estimate.  Upgrades begin between two runs."""
        end = self.now + seconds
        while True:
            allotment = self.run(estimate)
            if key_frames:
                for consumer in self.allocator.rising:
                    self.allocator.begun(consumer)
            assert allotment.due > self.now
            if allotment.due > end:
                self.now = end
                return allotment
            self.now = allotment.due

    @property
    def limits(self) -> dict[str, Layers | None]:
        return self.chosen[-1][1]


def test_without_an_estimate_everybody_gets_everything() -> None:
    allotment = Allocator().release([camera("a"), camera("b")])
    assert allotment == Allotment({"a": NO_LIMIT, "b": NO_LIMIT}, 5_000_000, None, 5_000_000, math.inf)


def test_with_room_for_everybody_there_is_nothing_to_prove_and_little_to_do() -> None:
    allotment = Call([camera("a")]).run(PLENTY)
    assert allotment == Allotment({"a": TOP}, 2_500_000, None, 2_500_000, CALM_INTERVAL)


def test_a_lower_estimate_takes_layers_away_at_once() -> None:
    call = Call([camera("a"), camera("b")])
    call.play(PLENTY, 10)
    allotment = call.run(800e3)
    assert allotment.limits == {"a": MIDDLE, "b": SMALL}
    assert (allotment.used, allotment.wanted) == (650_000, 5_000_000)
    assert call.run(100e3).limits == {"a": CAMERA[1].layers, "b": None}


def test_a_choice_that_the_estimate_just_covers_stays() -> None:
    call = Call([camera("a")])
    call.play(PLENTY, 10)
    assert call.play(2.6e6, 60).limits == {"a": TOP}
    assert call.run(2.4e6).limits == {"a": MIDDLE}
    assert call.play(2.6e6, 60).limits == {"a": MIDDLE}


def test_the_next_estimate_that_would_help_is_named() -> None:
    call = Call([camera("a")])
    assert call.run(500e3).next == math.ceil(500e3 / 0.9)
    call = Call([camera("a"), camera("b")])
    assert call.run(150e3).next == math.ceil((90e3 + 150e3) / 0.9), "twice what is in use"


def test_a_step_up_waits_for_proof_and_for_a_pause() -> None:
    call = Call([camera("a")])
    call.run(400e3)
    call.now = 1
    assert call.run(700e3, proven=True).limits == {"a": SMALL}
    call.now = PAUSE
    assert call.run(700e3).limits == {"a": MIDDLE}
    call.now = 2 * PAUSE
    assert call.run(PLENTY).limits == {"a": MIDDLE}, "one proof is good for one change"
    call.now += 0.5
    assert call.run(PLENTY, proven=True).limits == {"a": TOP}


def test_room_that_lasts_needs_no_proof() -> None:
    call = Call([camera("a")])
    call.play(400e3, 10)
    call.play(PLENTY, PAUSE - 0.1)
    assert call.limits == {"a": SMALL}
    call.play(PLENTY, 0.2)
    assert call.limits == {"a": TOP}


def test_an_upgrade_that_does_not_last_is_tried_again_later_and_later() -> None:
    call = Call([camera("a")])
    call.play(400e3, 10)
    waits = []
    for _ in range(10):
        failed_at = call.now
        while call.limits == {"a": SMALL}:
            call.now += 0.25
            call.run(700e3, proven=True)
        waits.append(call.now - failed_at)
        call.now += 1
        assert call.run(400e3).limits == {"a": SMALL}
    expected = [min(BACK_OFF * BACK_OFF_GROWTH**failures, MAX_BACK_OFF) for failures in range(9)]
    assert [round(wait - due) for wait, due in zip(waits[1:], expected, strict=True)] == [0] * 9
    assert waits[-1] == MAX_BACK_OFF


def test_nothing_is_probed_while_an_upgrade_must_wait() -> None:
    call = Call([camera("a")])
    call.play(400e3, 10)
    call.run(700e3, proven=True)
    call.now += 1
    allotment = call.run(400e3)
    assert (allotment.limits, allotment.next) == ({"a": SMALL}, None)
    call.now += BACK_OFF
    assert call.run(400e3).next is not None


def test_an_upgrade_that_lasts_forgives_the_failures_before() -> None:
    call = Call([camera("a")])
    call.play(400e3, 10)
    call.run(700e3, proven=True)
    call.now += 1
    call.run(400e3)
    call.play(700e3, BACK_OFF + PAUSE + TRIAL + 2)
    assert call.limits == {"a": MIDDLE}
    assert call.run(400e3).next is not None, "this is no failure of an upgrade"


def test_an_upgrade_without_a_key_frame_is_given_back() -> None:
    call = Call([camera("a")])
    call.play(400e3, 10)
    call.play(700e3, PAUSE, key_frames=False)
    assert call.limits == {"a": MIDDLE}
    call.play(700e3, KEY_FRAME_WAIT, key_frames=False)
    assert call.limits == {"a": SMALL}
    call.play(700e3, BACK_OFF - 0.1, key_frames=False)
    assert call.limits == {"a": SMALL}
    call.play(700e3, PAUSE, key_frames=True)
    assert call.limits == {"a": MIDDLE}
    call.play(700e3, 60)
    assert call.limits == {"a": MIDDLE}


def test_an_upgrade_to_the_best_picture_without_a_key_frame_waits_as_well() -> None:
    call = Call([camera("a")])
    call.play(800e3, 10)
    call.run(PLENTY, proven=True)
    assert call.limits == {"a": TOP}
    call.play(PLENTY, KEY_FRAME_WAIT, key_frames=False)
    assert call.limits == {"a": MIDDLE}
    call.play(PLENTY, BACK_OFF - 0.1, key_frames=False)
    assert call.limits == {"a": MIDDLE}


def test_an_upgrade_that_has_not_begun_does_not_get_more_time_by_another() -> None:
    call = Call([camera("a")])
    call.play(400e3, 10)
    call.run(700e3, proven=True)
    call.now += PAUSE
    assert call.run(PLENTY, proven=True).limits == {"a": TOP}
    call.now += KEY_FRAME_WAIT - PAUSE
    assert call.run(PLENTY).limits == {"a": SMALL}


def test_a_sender_that_never_answers_may_be_tried_for_days() -> None:
    call = Call([camera("a")])
    call.run(400e3)
    for number in range(2_000):
        call.wishes = [number]
        call.now += PAUSE
        assert call.run(700e3).limits == {"a": MIDDLE}
        call.now += KEY_FRAME_WAIT
        assert call.run(700e3).limits == {"a": SMALL}


def test_an_upgrade_of_a_video_that_ended_is_no_failure() -> None:
    call = Call([camera("a"), camera("b")])
    call.play(400e3, 10)
    call.play(800e3, PAUSE, key_frames=False)
    assert call.limits == {"a": MIDDLE, "b": SMALL}
    call.demands.pop(0)
    call.now += KEY_FRAME_WAIT
    assert call.run(300e3).next is not None


def test_a_step_within_one_encoding_needs_no_key_frame() -> None:
    call = Call([camera("a")])
    call.play(80e3, 10)
    call.play(200e3, 60, key_frames=False)
    assert call.limits == {"a": SMALL}


def test_a_newcomer_is_seen_at_once_if_need_be_at_the_cost_of_others() -> None:
    call = Call([camera("a")])
    call.play(600e3, 10)
    assert call.limits == {"a": MIDDLE}
    call.demands.append(camera("b"))
    assert call.run(600e3).limits == {"a": SMALL, "b": SMALL}


def test_a_pinned_person_is_large_at_once() -> None:
    call = Call([camera("a"), camera("b")], wishes=[None, None])
    call.play(800e3, 10)
    assert call.limits == {"a": MIDDLE, "b": SMALL}
    call.demands = [camera("a"), camera("b", 255)]
    assert call.run(800e3).limits == {"a": SMALL, "b": MIDDLE}


def speaks(*names: str) -> list[Demand]:
    return [camera(name, speaking=name in names) for name in "ab"]


def test_a_speaker_takes_the_room_of_another_at_once_even_in_the_back_off() -> None:
    call = Call(speaks())
    call.play(800e3, 10)
    call.run(2e6, proven=True)
    call.now += 1
    assert call.run(800e3).limits == {"a": MIDDLE, "b": SMALL}
    call.now += 1
    call.demands = speaks("b")
    assert call.run(800e3).limits == {"a": SMALL, "b": MIDDLE}


def test_a_speaker_whose_camera_takes_a_little_more_gets_the_room_too() -> None:
    call = Call(speaks())
    call.play(800e3, 10)
    dear = step(1, 540e3)
    call.demands = [camera("a"), evolve(camera("b", speaking=True), ladder=(*CAMERA[:3], dear))]
    assert call.run(800e3).limits == {"a": SMALL, "b": dear.layers}


def test_a_speaker_gets_no_room_that_nobody_has_proven_and_is_the_first_to_get_it_then() -> None:
    call = Call(speaks())
    call.play(400e3, 10)
    call.demands = speaks("b")
    assert call.run(800e3).limits == {"a": SMALL, "b": SMALL}
    assert call.play(800e3, 2 * PAUSE).limits == {"a": SMALL, "b": MIDDLE}


def test_somebody_who_only_stops_speaking_keeps_the_picture() -> None:
    call = Call(speaks("b"))
    call.play(800e3, 10)
    assert call.limits == {"a": SMALL, "b": MIDDLE}
    call.demands = speaks()
    assert call.play(800e3, 60).limits == {"a": SMALL, "b": MIDDLE}


def test_who_began_to_speak_during_another_speech_gets_the_room_when_that_ends() -> None:
    call = Call(speaks("a"))
    call.play(800e3, 10)
    call.demands = speaks("a", "b")
    assert call.play(800e3, 1).limits == {"a": MIDDLE, "b": SMALL}
    call.demands = speaks("b")
    assert call.run(800e3).limits == {"a": SMALL, "b": MIDDLE}


def test_a_speaker_whose_key_frame_does_not_come_is_not_tried_again_and_again() -> None:
    call = Call([camera("a"), camera("c"), camera("b")])
    call.play(1.3e6, 10)
    call.demands = [camera("a"), camera("c"), camera("b", speaking=True)]
    call.play(1.3e6, KEY_FRAME_WAIT + BACK_OFF - 0.1, key_frames=False)
    assert [changed_at for changed_at, _ in call.chosen] == [0, 10, 10 + KEY_FRAME_WAIT]
    assert call.limits["b"] == SMALL


def test_speakers_in_turn_are_no_failed_upgrades() -> None:
    call = Call(speaks())
    call.play(800e3, 10)
    for turn in range(10):
        call.demands = speaks("ab"[turn % 2])
        call.play(800e3, 3)
    call.run(700e3)
    assert call.run(400e3).next is not None


def test_the_worst_served_video_is_told() -> None:
    call = Call([camera("a"), camera("b")])
    assert call.run(PLENTY).least_share == 1
    assert call.run(800e3).least_share == 150e3 / 2.5e6
    assert call.run(100e3).least_share == 0


def test_an_owner_that_asks_for_a_larger_picture_gets_it_at_once() -> None:
    small = evolve(camera("a"), ladder=CAMERA[:3])
    call = Call([small], wishes=[Layers(0, 255)])
    call.play(PLENTY, 10)
    call.demands, call.wishes = [camera("a")], [None]
    assert call.run(PLENTY).limits == {"a": TOP}


def test_a_receiver_that_had_everything_follows_a_sender_that_begins_to_send_more() -> None:
    call = Call([evolve(camera("a"), ladder=CAMERA[:3])])
    call.play(PLENTY, 10)
    call.demands = [camera("a")]
    assert call.run(PLENTY).limits == {"a": TOP}


def test_an_encoding_that_stops_is_left_and_comes_back_with_care_if_there_is_little_room() -> None:
    call = Call([camera("a"), camera("b")])
    call.play(800e3, 10)
    call.demands[0] = evolve(camera("a"), ladder=CAMERA[:3])
    assert call.run(800e3).limits["a"] == SMALL
    call.play(800e3, 10)
    assert call.limits == {"a": SMALL, "b": MIDDLE}


def test_a_step_that_the_ladder_lost_moves_to_the_nearest_of_the_same_encoding() -> None:
    call = Call([camera("a")])
    call.play(100e3, 10)
    assert call.limits == {"a": CAMERA[1].layers}
    call.demands = [evolve(camera("a"), ladder=(CAMERA[2], CAMERA[3]))]
    assert call.run(170e3).limits == {"a": SMALL}


def test_a_starved_screen_takes_the_room_of_cameras_even_in_the_back_off() -> None:
    heavy, light = (Demand("s", (step(0, rate),), screen=True) for rate in (2e6, 400e3))
    call = Call([camera("a"), heavy])
    call.play(700e3, 10)
    call.run(PLENTY, proven=True)
    call.now += 1
    assert call.run(700e3).limits == {"a": MIDDLE, "s": None}
    call.demands = [camera("a"), light]
    call.now += PAUSE / 2
    assert call.run(700e3).limits == {"a": MIDDLE, "s": None}
    call.now += PAUSE / 2
    assert PAUSE + 1 < BACK_OFF
    assert call.run(700e3).limits == {"a": CAMERA[1].layers, "s": Layers(0, 255)}


def test_a_starved_video_gets_the_room_of_one_that_ended_even_in_the_back_off() -> None:
    call = Call([camera("a"), camera("b"), camera("c")])
    call.play(CAMERA[0].rate * 2.5 / BUDGET_SHARE, 10)
    assert call.limits["c"] is None
    call.run(PLENTY, proven=True)
    call.now += 1
    call.run(CAMERA[0].rate * 2.5 / BUDGET_SHARE)
    assert call.limits["c"] is None, "the upgrade failed, so the next one waits"
    call.now += PAUSE
    assert PAUSE + 1 < BACK_OFF
    call.demands = call.demands[1:]
    assert call.run(CAMERA[0].rate * 2.5 / BUDGET_SHARE).limits["c"] is not None


def test_two_equals_do_not_change_places() -> None:
    call = Call([camera("b")])
    call.play(800e3, 10)
    call.demands = [camera("a"), camera("b")]
    call.play(800e3, 60)
    assert call.limits == {"a": SMALL, "b": MIDDLE}


def test_after_a_time_without_an_estimate_everybody_is_a_newcomer() -> None:
    call = Call([camera("a")])
    call.play(400e3, 10)
    call.allocator.release(call.demands)
    assert call.run(PLENTY).limits == {"a": TOP}


def test_who_leaves_makes_room() -> None:
    call = Call([camera("a"), camera("b")])
    call.play(800e3, 10)
    call.demands.pop(0)
    call.play(800e3, 3 * PAUSE)
    assert call.limits == {"b": MIDDLE}


def test_the_next_run_is_due_soon_while_somebody_could_get_more() -> None:
    call = Call([camera("a")])
    call.now = 100
    assert call.run(400e3).due == 100 + BUSY_INTERVAL


@RELIABLE
@given(crowds, budgets.filter(bool))
def test_constant_figures_make_a_constant_choice(demands: list[Demand], estimate: float) -> None:
    call = Call(demands)
    call.play(estimate, 3 * PAUSE)
    settled = len(call.chosen)
    call.play(estimate, 60)
    assert len(call.chosen) == settled
    assert sum(changed_at > 0 for changed_at, _ in call.chosen) <= 1


@RELIABLE
@given(st.lists(st.tuples(crowds, budgets, st.booleans()), min_size=1, max_size=8))
def test_the_choice_never_takes_more_than_the_estimate(steps: list[tuple[list[Demand], float, bool]]) -> None:
    call = Call([])
    for demands, estimate, key_frames in steps:
        call.demands = demands
        assert call.run(estimate).used <= max(estimate, 0) + 1
        assert call.play(estimate, 7, key_frames=key_frames).used <= max(estimate, 0) + 1


@RELIABLE
@given(crowds, st.lists(budgets, min_size=1, max_size=8))
def test_equal_figures_make_equal_choices(demands: list[Demand], estimates: list[float]) -> None:
    one, two = Call(demands), Call(demands)
    for estimate in estimates:
        assert one.play(estimate, 5) == two.play(estimate, 5)


@RELIABLE
@given(crowds, budgets, budgets)
def test_a_screen_is_not_starved_for_cameras_for_long(demands: list[Demand], before: float, after: float) -> None:
    call = Call(demands)
    call.play(before, 10)
    limits = call.play(after, 3 * PAUSE).limits
    starved = [demand for demand in demands if demand.screen and limits[demand.consumer] is None]
    seen = [demand for demand in demands if not demand.screen and limits[demand.consumer] is not None]
    for screen_ in starved:
        least = sum(demand.ladder[0].rate for demand in seen)
        used = sum(demand.ladder[0].rate for demand in demands if limits[demand.consumer] is not None)
        assert screen_.ladder[0].rate > min(0.9 * after, used) - (used - least)
