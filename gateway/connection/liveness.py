"""Detection of dead clients: ping a quiet client, and give up one that stays silent or stops reading.

Each connection has one task that checks the clock. The tasks of all connections wake at the same times.

Authentic media also proves that a client lives. After a network outage UDP works again at once, while TCP waits for a
retransmission, and the longer the outage, the longer the wait. So media keeps a client that is silent on its WebSocket.
But the WebSocket may be dead for good, so media keeps the client only for ``media_grace`` after the last traffic there.
A client that is silent on both counts as dead after the same time as a client without media.
"""

import math
from collections.abc import Callable
from typing import Final

import trio
from attrs import define

from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from gateway.connection.outbox import Outbox
from gateway.connection.websocket import SharedStream
from protocol import limits

TICK: Final = 0.25
"""Seconds. Checks fall on multiples of this, so that Trio wakes once for many connections. One wake-up costs several
times as much as one check. This may delay a ping by one tick, but never an end."""

PONG_BYTES: Final = 128
"""Bytes of an unfinished message that each check forgives: more than a pong or a client's own ping has. So control
frames alone never exceed the limit for unfinished messages, however long a client stays."""


def no_media() -> float:
    """The time of the last media of a client without media."""
    return -math.inf


@define(eq=False)
class Liveness:
    """Watches one connection.

    ``ping_interval``, ``ping_timeout`` and ``media_grace`` are in seconds, as in :class:`gateway.config.Config`.
    ``media_heard_at`` returns the time of the client's last authentic media, replays excluded. The task calls it only
    when the client would count as dead otherwise.
    """

    stream: SharedStream
    outbox: Outbox
    ping_interval: float
    ping_timeout: float
    media_grace: float = limits.MEDIA_GRACE
    media_heard_at: Callable[[], float] = no_media
    # The time of the last traffic, as it was at the last ping. While it is the same, the client has not answered.
    _pinged_after: float = -math.inf
    _pinged_at: float = -math.inf
    # The time until which the client's media keeps it.
    _kept_until: float = -math.inf

    async def wait_gone(self) -> EndReason:
        """Return the end reason as soon as the client is gone. The outbox refuses further frames then."""
        while True:
            await trio.sleep_until(self._check())
            if self._end_reason() is None:
                continue
            # After a stall of the whole gateway, let the reader and the writer run before judging.
            await trio.lowlevel.checkpoint()
            if (end_reason := self._end_reason()) is not None:
                self.outbox.refuse_more()
                return end_reason

    def _end_reason(self) -> EndReason | None:
        now = trio.current_time()
        if now >= self._dead_at and now >= self._media_keeps_until():
            return end_reasons.TIMED_OUT
        return end_reasons.TOO_SLOW if now >= self.outbox.stalled_at else None

    def _media_keeps_until(self) -> float:
        """Look at the client's media. Return the time until which this media keeps the client, if no more comes."""
        patience = self.ping_interval + self.ping_timeout
        self._kept_until = min(self.media_heard_at() + patience, self.stream.last_received_at + self.media_grace)
        return self._kept_until

    def _check(self) -> float:
        """Ping the client if that is due. Return the time of the next check."""
        # Nothing wakes this task: arriving bytes only move the times, and each check computes the deadlines anew. That
        # costs less than one wake-up for every message. So a check must come before every possible deadline.
        now = trio.current_time()
        self.stream.bytes_since_message = max(0, self.stream.bytes_since_message - PONG_BYTES)
        if not self._is_pinged and now >= self._ping_due_at:
            self._pinged_after, self._pinged_at, self._kept_until = self.stream.last_received_at, now, -math.inf
            self.outbox.ping()
        again = _tick_before(min(self._dead_at, self.outbox.stalled_at), now)
        if self._is_pinged:
            # Media may keep a client with a silent WebSocket for long. If the WebSocket comes back and falls silent
            # again, a new ping is due.
            return again if now >= self._kept_until else min(again, now + max(self.ping_interval, TICK))
        return min(again, _tick_after(self._ping_due_at), self._ping_due_at + self.ping_timeout / 2)

    @property
    def _is_pinged(self) -> bool:
        """Whether we have pinged the client since its last traffic."""
        return self._pinged_after == self.stream.last_received_at

    @property
    def _ping_due_at(self) -> float:
        """Time at which the client has been quiet long enough for a ping."""
        return self.stream.last_received_at + self.ping_interval

    @property
    def _dead_at(self) -> float:
        """Time at which the client counts as dead. Infinite until we have pinged it: the gateway itself may have
        stalled."""
        if not self._is_pinged:
            return math.inf
        return max(self._ping_due_at + self.ping_timeout, self._pinged_at + self.ping_timeout / 2, self._kept_until)


def _tick_after(due: float) -> float:
    return math.ceil(due / TICK) * TICK


def _tick_before(due: float, now: float) -> float:
    """The last tick before ``due``, or ``due`` itself if that tick has passed."""
    tick = math.floor(due / TICK) * TICK if due < math.inf else due
    return tick if tick > now else due
