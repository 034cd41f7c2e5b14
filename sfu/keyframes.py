"""Requests for key frames: rare enough for the encoder, and early enough that no receiver waits in vain.

The router asks a producer's client for a key frame on behalf of *receivers*.  A receiver is a consumer that needs a key
frame, for one of three reasons.  It wants to begin, its client cannot decode (and sent PLI or FIR), or the producer's
client could not send lost packets again.  Such a loss concerns all receivers of an encoding, and makes one request.

Each encoding is in one of three states:

- **Quiet**: no receiver needs a key frame.
- **Wanted**: a receiver needs one, and the router has not asked yet.  The request leaves at once, with three
  exceptions.  It waits while the producer cannot be asked: its SSRC is unknown, its transport is not connected, or it
  is paused.  It waits for the receiver's own turn (:class:`Patience`).  And after :data:`BURST` answered requests in a
  row, one request leaves per ``interval``, so that successive receivers share key frames.
- **Asked**: the router has asked, and no key frame has come.  The request also serves receivers that need a key frame
  only now, so twenty receivers make one request.  While a receiver still needs the key frame, the router repeats the
  request after 1, 1, 2, 4, 4, … times ``interval``.  A new receiver shortens the present wait to one ``interval``.
  When the encoding begins to flow, or the producer's transport is back, the router repeats the request at once.

A key frame leads from each state back to *quiet*, because it reaches every receiver.  A receiver may still miss it: the
network lost it, or the receiver's transport was not ready.  Then the receiver asks again, as if for the first time.

If a receiver asks without end, its own :class:`Patience` spaces out its requests further and further.  This delays no
other receiver.  The receiver still gets the key frames that others cause.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from attrs import define, field

BACKOFF: Final = (1.0, 1.0, 2.0, 4.0)
"""The wait after each try, in intervals.  The last value also applies to all later tries."""
BURST: Final = 3
"""This many requests may leave without a wait in between, if each is answered."""
SPACING: Final = (0.0, 0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds between two requests of one receiver, by the number of its requests that were answered in a row."""
CALM: Final = 10.0
"""A receiver that has not asked for this many seconds counts as able to decode."""
_SOON: Final = 0.1
"""No request leaves within this many seconds of the last one, whose key frame may be on its way."""


class KeyFrameSource(Protocol):
    """The producer that is asked."""

    def can_be_asked(self, encoding: int) -> bool:
        """Whether a request would reach it now."""

    def is_needed(self, encoding: int, receiver: str) -> bool:
        """Whether the receiver would still begin, or go on, with a key frame of this encoding."""

    def key_frames(self, encoding: int) -> int:
        """How many key frames of this encoding came so far."""

    def send_key_frame_request(self, encoding: int, now: float) -> None: ...


@define
class Patience:
    """Spaces out the requests of one receiver for one encoding, further with each answered request.

    It does not space out unanswered requests.  They leave together with those of other receivers.
    """

    # When the receiver's newest request may leave, or could have left.
    _due: float | None = None
    # When the receiver asked last, whether the request left or not.
    _asked_at: float = 0.0
    # Requests answered in a row.
    _answered: int = 0
    # The number of key frames that had come at the newest request.
    _frames: int = 0

    def next_turn(self, key_frames: int, now: float) -> float:
        """The receiver asks ``now``.  So far, the encoding has sent ``key_frames``.

        Returns the time at which this request may leave, in seconds.
        """
        calm, self._asked_at = now - self._asked_at >= CALM, now
        if self._due is None or (calm and now >= self._due):
            # The receiver could decode for a while, so this request is like a first one.
            self._due, self._answered, self._frames = now, 0, key_frames
        elif now >= self._due and key_frames != self._frames:
            # A key frame answered the last request, and yet the receiver asks again.  Make it wait longer.
            self._answered = min(self._answered + 1, len(SPACING) - 1)
            self._due, self._frames = max(now, self._due + SPACING[self._answered]), key_frames
        return max(now, self._due)


@define
class _Request:
    """The request for one encoding.

    ``receivers`` maps each receiver to the time from which on it needs a key frame.  The encoding has sent ``frames``
    key frames so far.  The router has asked ``tries`` times for the next one, last at ``asked_at``.
    """

    receivers: dict[str, float] = field(factory=dict)
    frames: int = 0
    tries: int = 0
    asked_at: float = 0.0
    _full_at: float = 0.0

    def settle(self, key_frames: int) -> None:
        """Forget the receivers if a key frame came.  A new SSRC counts from zero, so the count may also fall."""
        if key_frames != self.frames:
            self.receivers.clear()
        if not self.receivers:
            self.frames, self.tries = key_frames, 0

    def add(self, receiver: str, turn: float) -> None:
        """A receiver needs a key frame from ``turn`` on.  A new receiver makes the next repetition due soon."""
        if receiver not in self.receivers:
            self.tries = min(self.tries, 1)
        self.receivers[receiver] = min(turn, self.receivers.get(receiver, turn))

    def due(self, interval: float) -> float:
        """When to send it, or to send it again."""
        if self.tries:
            return self.asked_at + interval * BACKOFF[min(self.tries, len(BACKOFF)) - 1]
        # The bucket of `record_sent` is full at `_full_at`.  Its first token is there ``BURST - 1`` intervals earlier.
        return max(min(self.receivers.values()), self._full_at - BURST * interval + interval)

    def record_sent(self, interval: float, now: float) -> None:
        """Take a token from a bucket of ``BURST`` that gains one each interval and is full at ``_full_at``."""
        self.tries += 1
        self.asked_at = now
        self._full_at = max(self._full_at, now) + interval


@define
class KeyFrameRequests:
    """The requests to one producer, one state for each of its encodings; ``interval`` is in seconds.

    The producer is an argument of each call, not a field.  A reference back to it would be a cycle, which only the
    garbage collector frees.
    """

    interval: float
    _requests: dict[int, _Request] = field(factory=dict)

    def add(self, source: KeyFrameSource, encoding: int, receiver: str, patience: Patience, now: float) -> None:
        """A receiver needs a key frame of this encoding; ``patience`` is its own for this encoding."""
        key_frames = source.key_frames(encoding)
        request = self._settled(encoding, key_frames)
        request.add(receiver, patience.next_turn(key_frames, now))
        self.send_due(source, now)

    def add_all(self, source: KeyFrameSource, encoding: int, receivers: Iterable[str], now: float) -> bool:
        """The producer's client lost packets for good, so that these receivers need a key frame of this encoding.

        The receivers did not ask, so this does not count against their :class:`Patience`.  The limits of the encoding
        apply.  Returns whether the client has been asked.
        """
        request = self._settled(encoding, source.key_frames(encoding))
        for receiver in receivers:
            request.add(receiver, now)
        self.send_due(source, now)
        return request.tries > 0

    def _settled(self, encoding: int, key_frames: int) -> _Request:
        request = self._requests.setdefault(encoding, _Request())
        request.settle(key_frames)
        return request

    def restart_count(self, encoding: int) -> None:
        """The encoding counts its key frames from zero again, under a new SSRC.

        Forget the old count.  Otherwise a new key frame could bring the new count to just that number, unnoticed.
        """
        if (request := self._requests.get(encoding)) is not None:
            request.frames = 0

    def retry_soon(self, source: KeyFrameSource, encoding: int, now: float) -> None:
        """The client can answer now, so forget the earlier tries and repeat the request soon."""
        request = self._requests.get(encoding)
        if request is not None and request.tries:
            request.tries = 0 if now - request.asked_at >= _SOON else 1
            self.send_due(source, now)

    def send_due(self, source: KeyFrameSource, now: float) -> None:
        """Send the requests that are due.

        Call it at :meth:`get_timer`, and whenever it may have become possible to ask the producer.
        """
        for encoding, request in self._waiting(source):
            if now >= request.due(self.interval):
                self._serve(source, encoding, request, now)

    def get_timer(self, source: KeyFrameSource) -> float | None:
        """When :meth:`send_due` has something to do; None for never."""
        return min((request.due(self.interval) for _, request in self._waiting(source)), default=None)

    def _waiting(self, source: KeyFrameSource) -> Iterator[tuple[int, _Request]]:
        for encoding, request in self._requests.items():
            if request.receivers and source.can_be_asked(encoding):
                yield encoding, request

    def _serve(self, source: KeyFrameSource, encoding: int, request: _Request, now: float) -> None:
        """Send the request, provided that a receiver still needs a key frame and its turn has come."""
        key_frames = source.key_frames(encoding)
        needed = {one: turn for one, turn in request.receivers.items() if source.is_needed(encoding, one)}
        request.receivers = needed
        request.settle(key_frames)
        if request.receivers and now >= request.due(self.interval):
            request.record_sent(self.interval, now)
            source.send_key_frame_request(encoding, now)
