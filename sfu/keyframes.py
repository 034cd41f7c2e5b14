"""Asking a producer for key frames: seldom enough for the encoder, often enough that nobody waits in vain."""

from collections.abc import Callable, Sequence

from attrs import define, field

#: How often a request is repeated when no key frame comes; after that, somebody's next request begins anew.
MAX_TRIES = 5


@define
class _Request:
    wanted: bool = False
    tries: int = 0
    asked_at: float | None = None
    frames_when_asked: int = 0


@define
class KeyFrameRequests:
    """The requests to one producer, one state for each of its encodings.

    At most one request per encoding leaves in ``interval`` seconds (an encoder that is asked by twenty receivers at
    once is asked once); a request that comes too early is kept and leaves later; one that no key frame answered is
    repeated.  ``ready`` says whether the encoding can be asked now (its SSRC known, its transport connected),
    ``frames`` how many key frames it has sent so far, ``send`` asks.
    """

    interval: float
    ready: Callable[[int], bool]
    frames: Callable[[int], int]
    send: Callable[[int], None]
    _requests: dict[int, _Request] = field(factory=dict)

    def ask(self, encoding: int, now: float) -> None:
        """Somebody needs a key frame of this encoding."""
        request = self._requests.setdefault(encoding, _Request())
        on_its_way = request.wanted and request.tries and self.frames(encoding) == request.frames_when_asked
        if not on_its_way:
            request.wanted, request.tries = True, 0
        self.pump(now)

    def pump(self, now: float) -> None:
        """Send what is due; to be called at :meth:`get_timer` and whenever ``ready`` may have changed."""
        for encoding, request in self._requests.items():
            if request.wanted and self.ready(encoding) and now >= self._due(request):
                self._serve(encoding, request, now)

    def get_timer(self) -> float | None:
        """When :meth:`pump` has something to do, or None."""
        waiting = self._waiting()
        return min((self._due(request) for request in waiting), default=None)

    def _waiting(self) -> Sequence[_Request]:
        return [r for encoding, r in self._requests.items() if r.wanted and self.ready(encoding)]

    def _due(self, request: _Request) -> float:
        return 0 if request.asked_at is None else request.asked_at + self.interval

    def _serve(self, encoding: int, request: _Request, now: float) -> None:
        frames = self.frames(encoding)
        # Fewer than before: the encoding began anew under another SSRC, and counts from the beginning.
        answered = request.tries and frames != request.frames_when_asked
        if answered or request.tries >= MAX_TRIES:
            request.wanted = False
            return
        request.tries += 1
        request.asked_at = now
        request.frames_when_asked = frames
        self.send(encoding)
