"""Whether a client is still there: it is pinged when it is quiet, and gone when it stays so, or takes nothing.

One task a connection looks at the clock.  Nobody wakes it, and it wakes together with those of all other connections.

Media is a sign of life, too.  After a gap in the network UDP is back at once, while TCP waits for its retransmission,
which comes the later the longer the gap was.  So a client that is quiet on the WebSocket is not gone while its media
comes, until ``media_grace`` after it was heard there: a WebSocket may be dead for good, and not merely late.  A client
that is silent on both is gone as soon as one that has no media.
"""

import math
from collections.abc import Callable
from typing import Final

import trio
from attrs import define

from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from gateway.connection.outbox import Outbox
from gateway.connection.websocket import GuardedStream
from protocol import limits

TICK: Final = 0.25
"""Seconds.  Looks fall on multiples of it where they may, so that Trio wakes once for all that are due: to wake costs
several times what one look does.  A ping is late by so much at most; an end, which is rare, is not."""

PONG_BYTES: Final = 128
"""What is taken off the bytes that wait for a whole message with every look, more than a pong has, or a client's own
ping, so that a quiet client may stay for ever."""


def no_media() -> float:
    """When media was heard of a client that has none."""
    return -math.inf


@define(eq=False)
class Liveness:
    """``ping_interval``, ``ping_timeout`` and ``media_grace`` are seconds, as in :class:`gateway.config.Config`.

    ``media_heard_at`` says when the client's newest media came that was authentic and no repetition, in seconds.  It is
    asked only when the client is about to count as silent.
    """

    guarded: GuardedStream
    outbox: Outbox
    ping_interval: float
    ping_timeout: float
    media_grace: float = limits.MEDIA_GRACE
    media_heard_at: Callable[[], float] = no_media
    _pinged_after: float = -math.inf
    _pinged_at: float = -math.inf
    _kept_until: float = -math.inf

    async def wait_gone(self) -> EndReason:
        """Return when it is gone, and how; its outbox takes nothing more then."""
        while True:
            await trio.sleep_until(self._check())
            if self._end_reason() is None:
                continue
            await trio.lowlevel.checkpoint()  # who reads or sends may be due, too: all may have been held up
            if (ending := self._end_reason()) is not None:
                self.outbox.refuse_more()
                return ending

    def _end_reason(self) -> EndReason | None:
        now = trio.current_time()
        if now >= self._dead_at and now >= self._media_keeps_until():
            return end_reasons.TIMED_OUT
        return end_reasons.TOO_SLOW if now >= self.outbox.stalled_at else None

    def _media_keeps_until(self) -> float:
        """Look at its media.  Return until when that keeps it, were nothing more to come."""
        patience = self.ping_interval + self.ping_timeout
        self._kept_until = min(self.media_heard_at() + patience, self.guarded.last_received_at + self.media_grace)
        return self._kept_until

    def _check(self) -> float:
        """Ping it if that is due.  Return when to look again."""
        now = trio.current_time()
        self.guarded.bytes_since_message = max(0, self.guarded.bytes_since_message - PONG_BYTES)
        if not self._is_pinged and now >= self._ping_due_at:
            self._pinged_after, self._pinged_at, self._kept_until = self.guarded.last_received_at, now, -math.inf
            self.outbox.ping()
        again = _tick_before(min(self._dead_at, self.outbox.stalled_at), now)
        if self._is_pinged:
            # Kept by its media it may be silent for long; its WebSocket may be back meanwhile, and quiet again.
            return again if now >= self._kept_until else min(again, now + max(self.ping_interval, TICK))
        return min(again, _tick_after(self._ping_due_at), self._ping_due_at + self.ping_timeout / 2)

    @property
    def _is_pinged(self) -> bool:
        """Whether it was pinged after the last that was heard of it."""
        return self._pinged_after == self.guarded.last_received_at

    @property
    def _ping_due_at(self) -> float:
        """When it will have been quiet for long enough to be pinged."""
        return self.guarded.last_received_at + self.ping_interval

    @property
    def _dead_at(self) -> float:
        """When it will have been silent for too long.  Nobody has who was not pinged, and had no time to answer: the
        whole gateway may have been held up."""
        if not self._is_pinged:
            return math.inf
        return max(self._ping_due_at + self.ping_timeout, self._pinged_at + self.ping_timeout / 2, self._kept_until)


def _tick_after(due: float) -> float:
    return math.ceil(due / TICK) * TICK


def _tick_before(due: float, now: float) -> float:
    """The last tick before ``due``, or ``due`` itself where none is left."""
    tick = math.floor(due / TICK) * TICK if due < math.inf else due
    return tick if tick > now else due
