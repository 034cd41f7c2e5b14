"""Asking a producer for key frames: seldom enough for the encoder, often enough that nobody waits in vain."""

from collections.abc import Sequence
from typing import Protocol

from attrs import define, field

#: How often a request is repeated when no key frame comes; after that, somebody's next request begins anew.
MAX_TRIES = 5


class KeyFrameSource(Protocol):
    """Who is asked: a producer."""

    def can_be_asked(self, encoding: int) -> bool:
        """Whether a request would reach it now: its SSRC known, its transport connected."""

    def key_frames(self, encoding: int) -> int:
        """How many it has sent so far."""

    def send_key_frame_request(self, encoding: int) -> None: ...


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
    repeated.  The producer is an argument of each call: it owns this, and what is closed should need no collector.
    """

    interval: float
    _requests: dict[int, _Request] = field(factory=dict)

    def ask(self, source: KeyFrameSource, encoding: int, now: float) -> None:
        """Somebody needs a key frame of this encoding."""
        request = self._requests.setdefault(encoding, _Request())
        on_its_way = request.wanted and request.tries and source.key_frames(encoding) == request.frames_when_asked
        if not on_its_way:
            request.wanted, request.tries = True, 0
        self.pump(source, now)

    def pump(self, source: KeyFrameSource, now: float) -> None:
        """Send what is due; to be called at :meth:`get_timer` and whenever it may have become possible to ask."""
        for encoding, request in self._requests.items():
            if request.wanted and source.can_be_asked(encoding) and now >= self._due(request):
                self._serve(source, encoding, request, now)

    def get_timer(self, source: KeyFrameSource) -> float | None:
        """When :meth:`pump` has something to do, or None."""
        return min((self._due(request) for request in self._waiting(source)), default=None)

    def _waiting(self, source: KeyFrameSource) -> Sequence[_Request]:
        return [r for encoding, r in self._requests.items() if r.wanted and source.can_be_asked(encoding)]

    def _due(self, request: _Request) -> float:
        return 0 if request.asked_at is None else request.asked_at + self.interval

    def _serve(self, source: KeyFrameSource, encoding: int, request: _Request, now: float) -> None:
        frames = source.key_frames(encoding)
        # Fewer than before: the encoding began anew under another SSRC, and counts from the beginning.
        answered = request.tries and frames != request.frames_when_asked
        if answered or request.tries >= MAX_TRIES:
            request.wanted = False
            return
        request.tries += 1
        request.asked_at = now
        request.frames_when_asked = frames
        source.send_key_frame_request(encoding)
