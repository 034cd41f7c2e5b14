"""The messages that a client has sent and its session has not read yet, bounded by count and by bytes."""

from collections import deque

import trio
from attrs import define, field


@define(eq=False)
class Inbox:
    """A queue between the task that always reads the WebSocket and the session, which reads it when it is free."""

    max_messages: int
    max_bytes: int
    size: int = 0
    _queue: deque[tuple[str, int]] = field(factory=deque)
    _filled: trio.Event = field(factory=trio.Event)

    def put(self, text: str, size: int) -> bool:
        """Queue a message of ``size`` bytes. Return False if there is no room."""
        if len(self._queue) >= self.max_messages or self.size + size > self.max_bytes:
            return False
        self._queue.append((text, size))
        self.size += size
        self._filled.set()
        return True

    async def get(self) -> tuple[str, int]:
        """Return the oldest message and its size in bytes. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while not self._queue:
            self._filled = trio.Event()
            await self._filled.wait()
        text, size = self._queue.popleft()
        self.size -= size
        return text, size
