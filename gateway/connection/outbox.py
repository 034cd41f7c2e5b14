"""What waits to be sent to one client, bounded by bytes and by how long nothing of it is taken, never by count."""

from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

import trio
from attrs import define, field, frozen
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Ping, TextMessage

from protocol.codec import Message, encode

BATCH_BYTES: Final = 64 * 1024
"""So much of what waits goes into one send; a larger frame goes alone."""

_FRAMING: Final = Connection(ConnectionType.SERVER)


@frozen
class Frame:
    """One encoded message, made once however many clients get it: a server's frames are the same for everybody.

    ``wire`` is the whole WebSocket frame (RFC 6455 section 5.2), ``size`` counts the bytes of its text.
    """

    wire: bytes
    size: int

    @classmethod
    def of(cls, message: Message) -> "Frame":
        return cls.of_text(encode(message))

    @classmethod
    def of_text(cls, text: str) -> "Frame":
        return cls(_FRAMING.send(TextMessage(text)), len(text.encode()))

    @property
    def text(self) -> str:
        return self.wire[-self.size :].decode()


_PING: Final = Frame(_FRAMING.send(Ping()), 0)


@define(eq=False)
class Outbox:
    """A queue that never makes anyone wait: :meth:`put` takes a frame or, over a bound, refuses it.

    From then on it takes nothing more: what comes after a gap would be worse than nothing.  Its owner ends whose it is.
    ``max_bytes`` bounds what waits, what is being sent included (a frame that is larger alone may wait alone);
    ``max_age`` is how many seconds it may wait without anything of it being taken.  It is not the age of the oldest
    frame: when the gateway itself is slow, frames grow old that their client would have read at once.
    """

    max_bytes: int
    max_age: float
    size: int = 0
    _queue: deque[Frame] = field(factory=deque)
    _sending: int = 0
    _waiting_since: float = 0.0
    _closed: bool = False
    _refuses: bool = False
    _changed: trio.Event = field(factory=trio.Event)

    def put(self, frame: Frame) -> bool:
        """Queue it, and say whether it was taken."""
        if self._closed or self._refuses:
            return False
        if self._queue and self.size + frame.size > self.max_bytes:
            self._refuses = True
            return False
        self._append(frame)
        return True

    def ping(self) -> None:
        """Have a ping sent next, before all that waits: its answer has little time."""
        if not self._closed:
            self._insert(self._sending, _PING)

    def close(self, last: Frame, *, keep_queued: bool) -> None:
        """Take ``last`` and nothing after it; without ``keep_queued`` only what is being sent stays before it."""
        if not keep_queued:
            while len(self._queue) > self._sending:
                self.size -= self._queue.pop().size
        self._closed = True
        self._append(last)

    def _append(self, frame: Frame) -> None:
        self._insert(len(self._queue), frame)

    def _insert(self, place: int, frame: Frame) -> None:
        if not self._queue:
            self._waiting_since = trio.current_time()
        self._queue.insert(place, frame)
        self.size += frame.size
        self._wake_waiters()

    async def send_all(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send what comes, in order, as much as waits at a time, until the outbox was closed and is empty."""
        while self._queue or not self._closed:
            if not self._queue:
                await self._changed.wait()
                continue
            self._sending = self._next_batch()
            await send(b"".join(frame.wire for frame in islice(self._queue, self._sending)))
            for _ in range(self._sending):
                self.size -= self._queue.popleft().size
            self._sending = 0
            self._waiting_since = trio.current_time()
            self._wake_waiters()

    def _next_batch(self) -> int:
        """How many frames go into the next send."""
        size = 0
        for count, frame in enumerate(self._queue):
            size += len(frame.wire)
            if size > BATCH_BYTES:
                return max(1, count)
        return len(self._queue)

    @property
    def stalled_at(self) -> float:
        """When nothing of what waits will have been taken for too long, if nothing is taken, or comes, before."""
        return (self._waiting_since if self._queue else trio.current_time()) + self.max_age

    def refuse_more(self) -> None:
        """Take nothing more."""
        self._refuses = True

    async def wait_empty(self) -> None:
        """Return when everything has been handed to the network."""
        while self._queue:
            await self._changed.wait()

    def _wake_waiters(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
