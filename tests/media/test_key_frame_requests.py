"""Receivers share requests for key frames.

Ignored ones are repeated, and a receiver that asks without end causes fewer.
"""

import itertools

import pytest
from attrs import define, field

from sfu.keyframes import BACKOFF, BURST, CALM, SPACING, KeyFrameRequests, Patience

INTERVAL = 1.0


@define
class Camera:
    """Stands for a producer: whether it can be asked, its key frames, its requests, and the receivers in need."""

    ready: bool = True
    answers: bool = False
    frames: int = 0
    asked: list[int] = field(factory=list)
    gone: set[str] = field(factory=set)
    patience: dict[tuple[int, str], Patience] = field(factory=dict)
    _requests: KeyFrameRequests = field(factory=lambda: KeyFrameRequests(INTERVAL))

    def can_be_asked(self, encoding: int) -> bool:
        return self.ready

    def is_needed(self, encoding: int, receiver: str) -> bool:
        return receiver not in self.gone

    def key_frames(self, encoding: int) -> int:
        return self.frames

    def send_key_frame_request(self, encoding: int, now: float) -> None:
        self.asked.append(encoding)
        self.frames += self.answers

    def ask(self, encoding: int, now: float, receiver: str = "ada") -> None:
        patience = self.patience.setdefault((encoding, receiver), Patience())
        self._requests.add(self, encoding, receiver, patience, now)

    def lose(self, now: float, *receivers: str) -> bool:
        return self._requests.add_all(self, 0, receivers, now)

    def retry_soon(self, encoding: int, now: float) -> None:
        self._requests.retry_soon(self, encoding, now)

    def send_due(self, now: float) -> None:
        self._requests.send_due(self, now)

    def get_timer(self) -> float | None:
        return self._requests.get_timer(self)

    def run(self, until: float) -> list[float]:
        """Let time pass.  Returns the times of the requests."""
        at = []
        while (timer := self.get_timer()) is not None and timer < until:
            before = len(self.asked)
            self.send_due(timer)
            at += [timer] * (len(self.asked) - before)
        return at


def test_twenty_receivers_at_once_make_one_request() -> None:
    camera = Camera()
    for number in range(20):
        camera.ask(0, now=5, receiver=str(number))
    assert camera.asked == [0]


def test_a_request_that_follows_an_answered_one_leaves_at_once() -> None:
    camera = Camera(answers=True)
    camera.ask(0, now=5)
    camera.ask(0, now=5.1)
    camera.ask(0, now=5.2, receiver="ben")
    assert camera.asked == [0, 0, 0]


def test_many_receivers_one_after_the_other_do_not_get_a_key_frame_each() -> None:
    camera = Camera(answers=True)
    asked = 0
    for number in range(200):
        now = number / 20
        asked += len(camera.run(now))
        camera.ask(0, now, receiver=str(number))
    assert len(camera.asked) <= BURST + 10 / INTERVAL
    assert camera.get_timer() is not None, "the last of them is not forgotten"


def test_an_answered_request_is_not_repeated() -> None:
    camera = Camera()
    camera.ask(0, now=5)
    camera.frames = 1
    assert camera.run(until=100) == []
    assert camera.asked == [0]
    assert camera.get_timer() is None


def test_an_unanswered_request_is_repeated_less_and_less_often_for_as_long_as_somebody_needs_it() -> None:
    camera = Camera()
    camera.ask(0, now=0)
    again = camera.run(until=3600)
    gaps = [later - earlier for earlier, later in itertools.pairwise([0.0, *again])]
    assert gaps[: len(BACKOFF)] == [INTERVAL * factor for factor in BACKOFF]
    assert set(gaps[len(BACKOFF) :]) == {INTERVAL * BACKOFF[-1]}
    camera.gone.add("ada")
    asked = len(camera.asked)
    assert camera.run(until=7200) == []
    assert len(camera.asked) == asked
    assert camera.get_timer() is None


def test_a_new_receiver_does_not_inherit_the_long_waits_of_others() -> None:
    camera = Camera()
    camera.ask(0, now=0)
    last = camera.run(until=60)[-1]
    camera.ask(0, now=last + 0.5, receiver="ben")
    assert camera.get_timer() == last + INTERVAL
    camera.ask(0, now=last + 0.6, receiver="ben")
    assert camera.get_timer() == last + INTERVAL


def test_a_request_that_has_become_answerable_leaves_at_once_and_once() -> None:
    camera = Camera()
    camera.ask(0, now=0)
    camera.run(until=60)
    asked = len(camera.asked)
    camera.retry_soon(0, now=61)
    camera.retry_soon(0, now=61)
    assert len(camera.asked) == asked + 1
    assert camera.get_timer() == 61 + INTERVAL
    camera.frames = 1
    camera.retry_soon(0, now=61.5)
    assert len(camera.asked) == asked + 1
    camera.retry_soon(1, now=61.5)
    assert len(camera.asked) == asked + 1


def test_a_request_that_no_receiver_needs_is_not_retried() -> None:
    camera = Camera()
    camera.ask(0, now=0)
    camera.gone.add("ada")
    camera.retry_soon(0, now=0.5)
    assert camera.asked == [0]
    assert camera.get_timer() is None


def test_a_request_waits_until_the_encoding_can_be_asked() -> None:
    camera = Camera(ready=False)
    camera.ask(0, now=5)
    assert camera.get_timer() is None
    camera.ready = True
    camera.send_due(7)
    assert camera.asked == [0]


def test_a_key_frame_that_comes_first_cancels_the_waiting_request() -> None:
    camera = Camera(ready=False)
    camera.ask(0, now=5)
    camera.frames = 1
    camera.ready = True
    camera.send_due(7)
    assert camera.asked == []
    assert camera.get_timer() is None


def test_encodings_are_asked_independently() -> None:
    camera = Camera()
    camera.ask(0, now=5)
    camera.ask(2, now=5)
    assert camera.asked == [0, 2]


@pytest.mark.parametrize("every", [0.05, 0.5, 1.0, 3.0])
def test_a_receiver_that_asks_without_end_gets_fewer_and_fewer(every: float) -> None:
    camera = Camera(answers=True)
    steps = round(120 / every)
    for step in range(steps):
        camera.run(until=step * every)
        camera.ask(0, step * every)
    assert len(camera.asked) <= len(SPACING) + 120 / SPACING[-1]


def test_a_receiver_that_asks_without_end_delays_no_other() -> None:
    camera = Camera(answers=True)
    for step in range(60):
        camera.run(until=step / 2)
        camera.ask(0, step / 2)
    asked = len(camera.asked)
    camera.ask(0, 30, receiver="ben")
    assert len(camera.asked) == asked + 1


def test_a_receiver_that_was_calm_for_a_while_is_served_at_once_again() -> None:
    camera = Camera(answers=True)
    for step in range(60):
        camera.run(until=step / 2)
        camera.ask(0, step / 2)
    camera.run(until=29.5 + CALM)
    asked = len(camera.asked)
    camera.ask(0, 30 + CALM)
    camera.ask(0, 30.1 + CALM)
    assert len(camera.asked) == asked + 2


def test_a_receiver_that_asked_too_early_is_served_later_without_asking_again() -> None:
    camera = Camera(answers=True)
    for now in (0.0, 0.1, 0.2):
        camera.ask(0, now)
    assert len(camera.asked) == 2
    assert camera.run(until=100) == [pytest.approx(0.1 + SPACING[2])]


def test_a_loss_that_concerns_all_receivers_makes_one_request() -> None:
    camera = Camera()
    receivers = [str(number) for number in range(20)]
    camera.lose(5, *receivers)
    camera.lose(5.5, *receivers)
    camera.ask(0, now=5.6, receiver="3")
    assert camera.asked == [0]
    camera.frames = 1
    assert camera.run(until=100) == []


def test_losses_without_end_make_one_request_each_interval() -> None:
    camera = Camera(answers=True)
    for step in range(1000):
        camera.run(until=step / 100)
        camera.lose(step / 100, "ada", "ben")
    assert len(camera.asked) <= BURST + 10 / INTERVAL


def test_a_loss_that_no_receiver_suffers_makes_no_request() -> None:
    camera = Camera()
    camera.lose(5)
    camera.gone.add("ada")
    camera.lose(6, "ada")
    assert camera.asked == []
    assert camera.get_timer() is None


def test_a_loss_at_the_sender_costs_no_receiver_its_patience() -> None:
    camera = Camera(answers=True)
    for step in range(30):
        camera.run(until=step * 2)
        camera.lose(step * 2, "ada")
    asked = len(camera.asked)
    camera.ask(0, 60)
    camera.ask(0, 60.1)
    assert len(camera.asked) == asked + 2


def test_a_receiver_that_waits_for_its_turn_profits_from_the_request_for_all() -> None:
    camera = Camera(answers=True)
    for now in (0.0, 0.1, 0.2):
        camera.ask(0, now)
    assert len(camera.asked) == 2
    camera.lose(0.3, "ada", "ben")
    assert len(camera.asked) == 3
