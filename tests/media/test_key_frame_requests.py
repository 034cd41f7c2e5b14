"""Asking for key frames: once for many, again when none comes, later when it is too early."""

from attrs import define, field

from sfu.keyframes import MAX_TRIES, KeyFrameRequests


@define
class Camera:
    """What a producer is to the requests: whether it can be asked, what it sent, what it was asked."""

    ready: bool = True
    frames: int = 0
    asked: list[int] = field(factory=list)
    _requests: KeyFrameRequests = field(factory=lambda: KeyFrameRequests(1.0))

    def can_be_asked(self, encoding: int) -> bool:
        return self.ready

    def key_frames(self, encoding: int) -> int:
        return self.frames

    def send_key_frame_request(self, encoding: int) -> None:
        self.asked.append(encoding)

    def ask(self, encoding: int, now: float) -> None:
        self._requests.ask(self, encoding, now)

    def pump(self, now: float) -> None:
        self._requests.pump(self, now)

    def get_timer(self) -> float | None:
        return self._requests.get_timer(self)


def test_twenty_receivers_at_once_make_one_request() -> None:
    camera = Camera()
    for _ in range(20):
        camera.ask(0, now=5)
    assert camera.asked == [0]


def test_a_request_too_soon_after_an_answered_one_leaves_later() -> None:
    camera = Camera()
    camera.ask(0, now=5)
    camera.frames = 1
    camera.ask(0, now=5.25)
    assert camera.asked == [0]
    assert camera.get_timer() == 6
    camera.pump(6)
    assert camera.asked == [0, 0]


def test_an_answered_request_is_not_repeated() -> None:
    camera = Camera()
    camera.ask(0, now=5)
    camera.frames = 1
    camera.pump(6)
    assert camera.asked == [0]
    assert camera.get_timer() is None


def test_an_unanswered_request_is_repeated_and_given_up() -> None:
    camera = Camera()
    camera.ask(0, now=0)
    while (timer := camera.get_timer()) is not None:
        camera.pump(timer)
    assert len(camera.asked) == MAX_TRIES
    camera.ask(0, now=100)
    assert len(camera.asked) == MAX_TRIES + 1


def test_a_request_waits_until_the_encoding_can_be_asked() -> None:
    camera = Camera(ready=False)
    camera.ask(0, now=5)
    assert camera.get_timer() is None
    camera.ready = True
    camera.pump(7)
    assert camera.asked == [0]


def test_encodings_are_asked_independently() -> None:
    camera = Camera()
    camera.ask(0, now=5)
    camera.ask(2, now=5)
    assert camera.asked == [0, 2]
