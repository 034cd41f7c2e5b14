"""The frames that wait to be sent to one client, bounded by bytes and by how long the client may read nothing."""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from functools import lru_cache
from itertools import islice
from typing import Final

import trio
from attrs import define, field

from protocol.codec import Message, encode

BATCH_BYTES: Final = 64 * 1024
"""The most bytes of one send. A larger frame goes alone."""

_PING_FRAME: Final = b"\x89\x00"
_TEXT_FRAME: Final = 0x81


# Not frozen, because a frozen object takes three times as long to make, and each receiver of an event needs its own.
@define
class Frame:
    """One encoded message as a WebSocket frame (RFC 6455 section 5.2), which is ``head`` and then ``body``.

    A message is encoded once for all receivers, and they share its ``body``, since a server's frames carry no mask.
    Only ``head`` has what may differ: the length, and the ``seq`` of an event. ``size`` is the size of the text in
    bytes.
    """

    # Hidden, since a frame may hold the secret of a session.
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)
    size: int

    @classmethod
    def of(cls, message: Message) -> "Frame":
        return cls.of_text(encode(message))

    @classmethod
    def of_text(cls, text: str) -> "Frame":
        encoded = text.encode()
        return cls(_text_header(len(encoded)) + encoded[:1], encoded[1:], len(encoded))

    def numbered(self, sequence: int) -> "Frame":
        """The same event with this ``seq``, which comes first in the JSON object."""
        first, body = b'{"seq":%d,' % sequence, self.body
        size = len(first) + len(body)
        return Frame(_text_header(size) + first, body, size)

    @property
    def wire(self) -> bytes:
        """The whole frame."""
        return self.head + self.body

    @property
    def text(self) -> str:
        return self.wire[-self.size :].decode()


# The frames of one event differ by a few bytes at most, so the receivers share two or three headers.
@lru_cache(maxsize=256)
def _text_header(size: int) -> bytes:
    """The header of a final, unmasked text frame with ``size`` bytes of payload."""
    if size < 126:
        return bytes((_TEXT_FRAME, size))
    if size < 1 << 16:
        return bytes((_TEXT_FRAME, 126)) + size.to_bytes(2, "big")
    return bytes((_TEXT_FRAME, 127)) + size.to_bytes(8, "big")


_PING: Final = Frame(_PING_FRAME, b"", 0)


MOMENT: Final = 0.002
"""Seconds. Of the frames that one client gets within a moment, only the first may be sent at once. The others go
together."""
SENDS_IN_A_MOMENT: Final = 128
"""Frames for different clients that may be sent at once within a moment. Whoever causes more of them should not have to
pay for so many system calls, and no step of the event loop should take so long."""


@define(eq=False)
class SendBudget:
    """Bounds the frames that one gateway sends at once, instead of in the tasks of their connections."""

    _left: int = SENDS_IN_A_MOMENT
    _until: float = -math.inf

    def take(self, now: float) -> bool:
        """Whether one more frame may be sent at once."""
        if now >= self._until:
            self._left, self._until = SENDS_IN_A_MOMENT, now + MOMENT
        self._left -= 1
        return self._left >= 0


def _send_nothing(_: bytes) -> int:
    return 0


@define(eq=False)
class Outbox:
    """A queue whose :meth:`put` never waits: it takes a frame or, over a limit, refuses it.

    After one refusal it refuses everything, since a stream with a gap is worse than none. Its owner then ends the
    connection. ``max_bytes`` limits the queued bytes, including those of a send that is under way. A single larger
    frame may wait alone. ``max_age`` is how many seconds frames may wait while the client reads nothing. It is not the
    age of the oldest frame: a slow gateway also lets frames grow old.

    A frame that finds the queue empty and the sending task idle need not wait for this task, whose turn costs more
    than the system call. ``send_now`` sends bytes at once as far as the network takes them, and returns their number.
    It keeps the rest of a frame that it has begun, and later sends this rest before anything else. ``budget`` bounds
    such sends.
    """

    max_bytes: int
    max_age: float
    send_now: Callable[[bytes], int] = _send_nothing
    budget: SendBudget = field(factory=SendBudget)
    size: int = 0
    _queue: deque[Frame] = field(factory=deque)
    # The number of frames in the send that is under way. They are the first ones of the queue.
    _sending: int = 0
    _waiting_since: float = 0.0
    _closed: bool = False
    _refuses: bool = False
    # Whether the sending task waits for a frame.
    _is_idle: bool = False
    _sent_at: float = -math.inf
    _changed: trio.Event | None = None

    def put(self, frame: Frame, *, at_once: bool = True, counted: bool = True) -> bool:
        """Queue a frame and return whether it was accepted.

        With ``at_once``, it leaves before the sending task runs, if possible. A send that is not ``counted`` takes
        nothing from the budget. Then the caller must bound its sends.
        """
        if self._closed or self._refuses:
            return False
        if self._queue and self.size + frame.size > self.max_bytes:
            self._refuses = True
            return False
        is_first = not self._queue
        if is_first:
            self._waiting_since = trio.current_time()
        self._queue.append(frame)
        self.size += frame.size
        if not (at_once and is_first and self._is_idle and self._send_at_once(frame, counted=counted)):
            self._wake_waiters()
        return True

    def _send_at_once(self, frame: Frame, *, counted: bool) -> bool:
        """Send the only frame in the queue. Return whether the network has taken all of it."""
        now = self._waiting_since
        if now - self._sent_at < MOMENT or (counted and not self.budget.take(now)):
            return False
        wire = frame.wire
        sent = self.send_now(wire)
        if sent == len(wire):
            self._queue.clear()
            self.size = 0
            self._sent_at = now
            return True
        self._sending = 1 if sent else 0
        return False

    def ping(self) -> None:
        """Queue a ping before all waiting frames: the client has little time to answer it."""
        if not self._closed:
            self._insert(self._sending, _PING)

    def close(self, last: Frame, *, keep_queued: bool) -> None:
        """Queue ``last`` and refuse all later frames. Without ``keep_queued``, drop the frames that are not being sent
        yet."""
        if not keep_queued:
            while len(self._queue) > self._sending:
                self.size -= self._queue.pop().size
        self._closed = True
        self._insert(len(self._queue), last)

    def _insert(self, place: int, frame: Frame) -> None:
        if not self._queue:
            self._waiting_since = trio.current_time()
        self._queue.insert(place, frame)
        self.size += frame.size
        self._wake_waiters()

    async def send_all(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send the frames in order until the outbox is closed and empty. One send takes all waiting frames, up to a
        limit."""
        while self._queue or not self._closed:
            if not self._queue:
                self._is_idle = True
                await self._wait_changed()
                self._is_idle = False
                continue
            # Frames stay in the queue while they are being sent. So they count against the limit, and neither a ping
            # nor the last frame can get in front of bytes that are on their way.
            await send(self._begin_batch())
            for _ in range(self._sending):
                self.size -= self._queue.popleft().size
            self._sending = 0
            self._waiting_since = self._sent_at = trio.current_time()
            self._wake_waiters()
            if self._queue:  # sending may not have been a checkpoint
                await trio.lowlevel.checkpoint()

    def _begin_batch(self) -> bytes:
        """The bytes of the next send. None of them if ``send_now`` has begun it, and has the rest."""
        if self._sending:
            return b""
        self._sending = self._next_batch()
        batch = islice(self._queue, self._sending)
        return b"".join([part for frame in batch for part in (frame.head, frame.body)])

    def _next_batch(self) -> int:
        """The number of frames in the next send."""
        size = 0
        for count, frame in enumerate(self._queue):
            size += len(frame.head) + len(frame.body)
            if size > BATCH_BYTES:
                return max(1, count)
        return len(self._queue)

    @property
    def stalled_at(self) -> float:
        """Time at which the client counts as stalled, unless it reads before then."""
        return (self._waiting_since if self._queue else trio.current_time()) + self.max_age

    def discard(self) -> None:
        """Drop all frames and refuse all further ones, because the socket is gone."""
        self._queue.clear()
        self.size = self._sending = 0
        self._closed = True
        self._wake_waiters()

    def refuse_more(self) -> None:
        """Refuse all further frames."""
        self._refuses = True

    async def wait_empty(self) -> None:
        """Wait until the network has taken every frame."""
        while self._queue:
            await self._wait_changed()

    async def _wait_changed(self) -> None:
        # Make an event only for a waiting task. Most frames come while the writer is still sending.
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def _wake_waiters(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
