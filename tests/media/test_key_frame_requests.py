"""Asking for key frames: once for many, again when none comes, later when it is too early."""

from attrs import define, field

from sfu.keyframes import MAX_TRIES, KeyFrameRequests


@define
class Camera:
    """What a producer is to the requests: whether it can be asked, what it sent, what it was asked."""

    ready: bool = True
    frames: int = 0
    asked: list[int] = field(factory=list)

    def requests(self) -> KeyFrameRequests:
        return KeyFrameRequests(1.0, lambda _: self.ready, lambda _: self.frames, self.asked.append)


def test_twenty_receivers_at_once_make_one_request() -> None:
    camera = Camera()
    requests = camera.requests()
    for _ in range(20):
        requests.ask(0, now=5)
    assert camera.asked == [0]


def test_a_request_too_soon_after_an_answered_one_leaves_later() -> None:
    camera = Camera()
    requests = camera.requests()
    requests.ask(0, now=5)
    camera.frames = 1
    requests.ask(0, now=5.25)
    assert camera.asked == [0]
    assert requests.get_timer() == 6
    requests.pump(6)
    assert camera.asked == [0, 0]


def test_an_answered_request_is_not_repeated() -> None:
    camera = Camera()
    requests = camera.requests()
    requests.ask(0, now=5)
    camera.frames = 1
    requests.pump(6)
    assert camera.asked == [0]
    assert requests.get_timer() is None


def test_an_unanswered_request_is_repeated_and_given_up() -> None:
    camera = Camera()
    requests = camera.requests()
    requests.ask(0, now=0)
    while (timer := requests.get_timer()) is not None:
        requests.pump(timer)
    assert len(camera.asked) == MAX_TRIES
    requests.ask(0, now=100)
    assert len(camera.asked) == MAX_TRIES + 1


def test_a_request_waits_until_the_encoding_can_be_asked() -> None:
    camera = Camera(ready=False)
    requests = camera.requests()
    requests.ask(0, now=5)
    assert requests.get_timer() is None
    camera.ready = True
    requests.pump(7)
    assert camera.asked == [0]


def test_encodings_are_asked_independently() -> None:
    camera = Camera()
    requests = camera.requests()
    requests.ask(0, now=5)
    requests.ask(2, now=5)
    assert camera.asked == [0, 2]
