"""The frames that wait to be sent to one client, bounded by bytes and by how long the client may read nothing."""

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
"""The most bytes of one send. A larger frame goes alone."""

_FRAMING: Final = Connection(ConnectionType.SERVER)


@frozen
class Frame:
    """One encoded message. It is encoded once for all receivers, since a server's frames carry no mask.

    ``wire`` is the whole WebSocket frame (RFC 6455 section 5.2). ``size`` is the size of its text in bytes.
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
    """A queue whose :meth:`put` never waits: it takes a frame or, over a limit, refuses it.

    After one refusal it refuses everything, since a stream with a gap is worse than none. Its owner then ends the
    connection. ``max_bytes`` limits the queued bytes, including those of a send that is under way. A single larger
    frame may wait alone. ``max_age`` is how many seconds frames may wait while the client reads nothing. It is not the
    age of the oldest frame: a slow gateway also lets frames grow old.
    """

    max_bytes: int
    max_age: float
    size: int = 0
    _queue: deque[Frame] = field(factory=deque)
    # The number of frames in the send that is under way. They are the first ones of the queue.
    _sending: int = 0
    _waiting_since: float = 0.0
    _closed: bool = False
    _refuses: bool = False
    _changed: trio.Event | None = None

    def put(self, frame: Frame) -> bool:
        """Queue a frame and return whether it was accepted."""
        if self._closed or self._refuses:
            return False
        if self._queue and self.size + frame.size > self.max_bytes:
            self._refuses = True
            return False
        self._append(frame)
        return True

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
        """Send the frames in order until the outbox is closed and empty. One send takes all waiting frames, up to a
        limit."""
        while self._queue or not self._closed:
            if not self._queue:
                await self._wait_changed()
                continue
            # Frames stay in the queue while they are being sent. So they count against the limit, and neither a ping
            # nor the last frame can get in front of bytes that are on their way.
            self._sending = self._next_batch()
            await send(b"".join(frame.wire for frame in islice(self._queue, self._sending)))
            for _ in range(self._sending):
                self.size -= self._queue.popleft().size
            self._sending = 0
            self._waiting_since = trio.current_time()
            self._wake_waiters()
            if self._queue:  # sending may not have been a checkpoint
                await trio.lowlevel.checkpoint()

    def _next_batch(self) -> int:
        """The number of frames in the next send."""
        size = 0
        for count, frame in enumerate(self._queue):
            size += len(frame.wire)
            if size > BATCH_BYTES:
                return max(1, count)
        return len(self._queue)

    @property
    def stalled_at(self) -> float:
        """Time at which the client counts as stalled, unless it reads before then."""
        return (self._waiting_since if self._queue else trio.current_time()) + self.max_age

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
