"""The messages that a client has sent and its session has not read yet, bounded by count and by bytes."""

from collections import deque
from collections.abc import Callable

import trio
from attrs import define, field, frozen


def _uncounted(_: int) -> None:
    pass


@frozen
class ReceivedMessage:
    """The text of a message and its size in bytes.

    When it came, the session had given ``answers`` answers. So if a request comes twice, this tells whether the first
    one was still waiting then.
    """

    text: str = field(repr=False)  # may hold a token
    size: int
    answers: int = -1


@define(eq=False)
class Inbox:
    """A queue between the task that always reads the WebSocket and the session, which reads it when it is free.

    ``count`` learns by how many bytes it has grown or shrunk.
    """

    max_messages: int
    max_bytes: int
    count: Callable[[int], object] = _uncounted
    size: int = 0
    _queue: deque[ReceivedMessage] = field(factory=deque)
    _filled: trio.Event = field(factory=trio.Event)

    def put(self, message: ReceivedMessage) -> bool:
        """Queue a message. Return False if there is no room."""
        if len(self._queue) >= self.max_messages or self.size + message.size > self.max_bytes:
            return False
        self._queue.append(message)
        self._grow(message.size)
        self._filled.set()
        return True

    @property
    def full_limit(self) -> str:
        """The setting that left no room for the last refused message."""
        return "inbox_messages" if len(self._queue) >= self.max_messages else "inbox_bytes"

    async def get(self) -> ReceivedMessage:
        """Return the oldest message. Always a checkpoint."""
        if self._queue:
            await trio.lowlevel.checkpoint()
        while not self._queue:
            self._filled = trio.Event()
            await self._filled.wait()
        message = self._queue.popleft()
        self._grow(-message.size)
        return message

    def take_all(self) -> list[ReceivedMessage]:
        """Take all messages out, the oldest first."""
        messages = list(self._queue)
        self._queue.clear()
        self._grow(-self.size)
        return messages

    def _grow(self, by: int) -> None:
        self.size += by
        self.count(by)
