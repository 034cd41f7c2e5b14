"""What waits to be sent to one client, bounded by bytes and by age, never by count."""

from collections import deque
from collections.abc import Awaitable, Callable

import trio
from attrs import define, field, frozen

from protocol.codec import Message, encode


@frozen
class Frame:
    """One encoded message, made once however many clients get it.  ``size`` is in bytes of UTF-8."""

    text: str
    size: int

    @classmethod
    def of(cls, message: Message) -> "Frame":
        text = encode(message)
        return cls(text, len(text.encode()))


@frozen
class _Waiting:
    frame: Frame
    since: float


@define(eq=False)
class Outbox:
    """A queue that never makes anyone wait: :meth:`put` takes a frame or, over a bound, calls ``overflow``.

    From then on it takes nothing more: what comes after a gap would be worse than nothing.
    ``max_bytes`` bounds what waits, the frame being sent included (a frame that is larger alone may wait alone);
    ``max_age`` is how many seconds the oldest frame may wait.
    """

    max_bytes: int
    max_age: float
    overflow: Callable[[], None]
    size: int = 0
    _queue: deque[_Waiting] = field(factory=deque)
    _closed: bool = False
    _overflowed: bool = False
    _sending: bool = False
    _changed: trio.Event = field(factory=trio.Event)

    def put(self, frame: Frame) -> bool:
        """Queue it, and say whether it was taken."""
        if self._closed or self._overflowed:
            return False
        if self._queue and self.size + frame.size > self.max_bytes:
            self._overflow()
            return False
        self._queue.append(_Waiting(frame, trio.current_time()))
        self.size += frame.size
        self._notice()
        return True

    def close(self, last: Frame, *, backlog: bool) -> None:
        """Take ``last`` and nothing after it; without ``backlog`` only what is being sent stays before it."""
        if not backlog:
            while len(self._queue) > self._sending:
                self.size -= self._queue.pop().frame.size
        self._queue.append(_Waiting(last, trio.current_time()))
        self.size += last.size
        self._closed = True
        self._notice()

    async def send_all(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Send what comes, in order, until the outbox was closed and is empty."""
        while self._queue or not self._closed:
            if not self._queue:
                await self._changed.wait()
                continue
            head = self._queue[0]
            self._sending = True
            await send(head.frame.text)
            self._sending = False
            self._queue.popleft()
            self.size -= head.frame.size
            self._notice()

    async def watch_age(self) -> None:
        """Call ``overflow`` when the oldest frame has waited for too long."""
        while True:
            while not self._queue:
                await self._changed.wait()
            oldest = self._queue[0]
            await trio.sleep_until(oldest.since + self.max_age)
            if self._queue and trio.current_time() >= self._queue[0].since + self.max_age:
                self._overflow()
                return

    def _overflow(self) -> None:
        self._overflowed = True
        self.overflow()

    async def wait_empty(self) -> None:
        """Return when everything has been handed to the network."""
        while self._queue:
            await self._changed.wait()

    def _notice(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
