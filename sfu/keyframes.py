"""Asking a producer for key frames: seldom enough for the encoder, often enough that nobody waits in vain.

An encoding is asked on behalf of *receivers*: the consumers that cannot begin without a key frame, or whose client says
that it cannot decode (PLI, FIR).  Each encoding is in one of three states.

- **Quiet**: no receiver needs a key frame.
- **Wanted**: a receiver needs one, and nothing was sent for it yet.  The request leaves at once, with three exceptions.
  It waits until the producer can be asked (its SSRC known, its transport connected, not paused).  It waits for the
  receiver's own turn (:class:`Patience`).  And after :data:`BURST` requests in a row that were answered, it waits until
  one each ``interval`` is not exceeded: many receivers that come one after the other do not get a key frame each.
- **Asked**: the request was sent, and no key frame has come.  Whoever needs one now is served by it: twenty receivers
  make one request.  It is repeated after 1, 1, 2, 4, 4, … times ``interval``, for as long as one of the receivers still
  needs it; a receiver that is new makes the next repetition due after one ``interval``.  When the encoding begins to
  flow, or the producer's transport is back, it is repeated at once.

A key frame leads from each state back to *quiet*, since all who need one get it.  A receiver that does not (it was lost
on the way, or the receiver's transport was not ready) asks again, which is a request that follows an answered one.

A receiver that asks without end has its requests spaced out further and further, by its own :class:`Patience`.  It
holds nobody else up, and a key frame that another receiver brings about reaches it as well.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from attrs import define, field

BACKOFF: Final = (1.0, 1.0, 2.0, 4.0)
"""In intervals: how long after each try the next one comes; the last of them for ever."""
BURST: Final = 3
"""How many requests may follow one another at once, where each is answered."""
SPACING: Final = (0.0, 0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds from one request of a receiver to its next, by how many in a row were answered; the last of them for ever."""
CALM: Final = 10.0
"""Seconds without a request after which a receiver's picture counts as fine."""
_SOON: Final = 0.1
"""Seconds after a request in which another is not worth it, whatever has happened: the first may be on its way."""


class KeyFrameSource(Protocol):
    """Who is asked: a producer."""

    def can_be_asked(self, encoding: int) -> bool:
        """Whether a request would reach it now: its SSRC known, its transport connected."""

    def is_needed(self, encoding: int, receiver: str) -> bool:
        """Whether the receiver would still begin, or go on, with a key frame of this encoding."""

    def key_frames(self, encoding: int) -> int:
        """How many it has sent so far."""

    def send_key_frame_request(self, encoding: int) -> None: ...


@define
class Patience:
    """When the requests of one receiver for one encoding may leave: later and later, as long as they are answered.

    Requests that no key frame has answered are not spaced out here: those leave together with everybody's.
    """

    _due: float | None = None
    _asked_at: float = 0.0
    _answered: int = 0
    _frames: int = 0

    def next_turn(self, key_frames: int, now: float) -> float:
        """It asks ``now``, when the encoding has sent so many key frames.  When that may leave, in seconds."""
        calm, self._asked_at = now - self._asked_at >= CALM, now
        if self._due is None or (calm and now >= self._due):
            self._due, self._answered, self._frames = now, 0, key_frames
        elif now >= self._due and key_frames != self._frames:
            self._answered = min(self._answered + 1, len(SPACING) - 1)
            self._due, self._frames = max(now, self._due + SPACING[self._answered]), key_frames
        return max(now, self._due)


@define
class _Request:
    """Of one encoding.  ``receivers`` need a key frame, each from some time on, and none has come since there were
    ``frames``; for that it was asked ``tries`` times, at last at ``asked_at``."""

    receivers: dict[str, float] = field(factory=dict)
    frames: int = 0
    tries: int = 0
    asked_at: float = 0.0
    _full_at: float = 0.0

    def settle(self, key_frames: int) -> None:
        """One that came is everybody's.  There may be fewer than before: under another SSRC they are counted anew."""
        if key_frames != self.frames:
            self.receivers.clear()
        if not self.receivers:
            self.frames, self.tries = key_frames, 0

    def due(self, interval: float) -> float:
        """When it is to be sent, or sent again."""
        if self.tries:
            return self.asked_at + interval * BACKOFF[min(self.tries, len(BACKOFF)) - 1]
        return max(min(self.receivers.values()), self._full_at - BURST * interval + interval)

    def sent(self, interval: float, now: float) -> None:
        """A token of a bucket of ``BURST``, which has a new one each interval and is full at ``_full_at``."""
        self.tries += 1
        self.asked_at = now
        self._full_at = max(self._full_at, now) + interval


@define
class KeyFrameRequests:
    """The requests to one producer, one state for each of its encodings; ``interval`` is in seconds.

    The producer is an argument of each call: it owns this, and what is closed should need no collector.
    """

    interval: float
    _requests: dict[int, _Request] = field(factory=dict)

    def add(self, source: KeyFrameSource, encoding: int, receiver: str, patience: Patience, now: float) -> None:
        """A receiver needs a key frame of this encoding; ``patience`` is its own for this encoding."""
        request = self._requests.setdefault(encoding, _Request())
        key_frames = source.key_frames(encoding)
        request.settle(key_frames)
        turn = patience.next_turn(key_frames, now)
        if receiver not in request.receivers:
            request.tries = min(request.tries, 1)
            request.receivers[receiver] = turn
        self.send_due(source, now)

    def restart_count(self, encoding: int) -> None:
        """Its key frames are counted from zero again: one that came since is everybody's, as many as came before."""
        if (request := self._requests.get(encoding)) is not None:
            request.frames = 0

    def retry_soon(self, source: KeyFrameSource, encoding: int, now: float) -> None:
        """A request has better prospects than the last had: it need not wait as long as after so many in vain."""
        request = self._requests.get(encoding)
        if request is not None and request.tries:
            request.tries = 0 if now - request.asked_at >= _SOON else 1
            self.send_due(source, now)

    def send_due(self, source: KeyFrameSource, now: float) -> None:
        """Send what is due; to be called at :meth:`get_timer` and whenever it may have become possible to ask."""
        for encoding, request in self._waiting(source):
            if now >= request.due(self.interval):
                self._serve(source, encoding, request, now)

    def get_timer(self, source: KeyFrameSource) -> float | None:
        """When :meth:`send_due` has something to do, or None."""
        return min((request.due(self.interval) for _, request in self._waiting(source)), default=None)

    def _waiting(self, source: KeyFrameSource) -> Iterator[tuple[int, _Request]]:
        for encoding, request in self._requests.items():
            if request.receivers and source.can_be_asked(encoding):
                yield encoding, request

    def _serve(self, source: KeyFrameSource, encoding: int, request: _Request, now: float) -> None:
        """Ask, if that is still needed, and due for one of those who need it."""
        key_frames = source.key_frames(encoding)
        needed = {one: turn for one, turn in request.receivers.items() if source.is_needed(encoding, one)}
        request.receivers = needed
        request.settle(key_frames)
        if request.receivers and now >= request.due(self.interval):
            request.sent(self.interval, now)
            source.send_key_frame_request(encoding)
