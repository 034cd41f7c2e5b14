"""The events that a client has received and its program has not taken yet."""

from collections import deque
from typing import NoReturn

import trio
from attrs import frozen

from protocol.declarations import Event
from protocol.errors import NextStep, next_step
from protocol.events import Closing
from protocol.requests import SessionResumed


class ConnectionClosed(Exception):
    """The connection is closed.

    ``code`` is the close code, or 1006 if the connection broke. ``reason`` is a text for people. ``closing`` is the
    gateway's last event, if it sent one.
    """

    def __init__(self, code: int, reason: str = "", closing: Closing | None = None) -> None:
        super().__init__(code, reason, closing)
        self.code = code
        self.reason = reason
        self.closing = closing

    @property
    def next_step(self) -> NextStep:
        """The step that a client takes after this close."""
        return next_step(self.code)


class EventsLost(Exception):
    """The program read too slowly, so the client dropped the ``count`` oldest events."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


@frozen
class StateLost(Event):
    """An event of the client's own: the gateway had to drop events while the client had no connection.

    ``state`` replaces them. It has the list and the session's own transports, producers and consumers. The events
    before and after it are complete.
    """

    state: SessionResumed


class EventBuffer:
    """A queue of events with a limit on their size on the wire.

    Above the limit, the buffer drops the oldest events. So a program that ignores events uses bounded memory, and a
    slow program learns the place of the gap. ``max_size`` is in characters of JSON. The newest event stays, whatever
    its size.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._size = 0
        self._events: deque[tuple[Event, int]] = deque()
        self._lost = 0
        self._end: ConnectionClosed | None = None
        self._readers = trio.lowlevel.ParkingLot()

    def put(self, event: Event, size: int) -> None:
        """Append an event of ``size`` characters. Never waits."""
        self._events.append((event, size))
        self._size += size
        while self._size > self._max_size and len(self._events) > 1:
            self._size -= self._events.popleft()[1]
            self._lost += 1
        self._readers.unpark()

    def end(self, end: ConnectionClosed) -> None:
        """Note that no more events come. Readers get the remaining ones, then :exc:`ConnectionClosed`."""
        self._end = end
        self._readers.unpark_all()

    async def get(self) -> Event:
        """Return the next event. Raises :exc:`EventsLost` at a gap, :exc:`ConnectionClosed` after the last event."""
        await trio.lowlevel.checkpoint()
        while True:
            if self._lost:
                self._raise_lost()
            if self._events:
                event, size = self._events.popleft()
                self._size -= size
                return event
            if self._end:
                raise ConnectionClosed(*self._end.args)
            await self._readers.park()

    def _raise_lost(self) -> NoReturn:
        lost, self._lost = self._lost, 0
        raise EventsLost(lost)


class Events:
    """The events of one client, as :meth:`protocol.client.Client.events` returns them."""

    def __init__(self, buffer: EventBuffer) -> None:
        self._buffer = buffer

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Event:
        return await self._buffer.get()
