"""Two ends of a connection in memory that can break in all the ways in which TCP breaks.

``trio.testing.memory_stream_pair`` takes any amount unread and knows no reset; here each direction holds a bounded
number of bytes, and can end (FIN), break (RST) or come to a standstill.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio
from attrs import define, field

#: Bytes that one direction holds, as a socket's buffers would: whoever sends more waits.
CAPACITY: Final = 256 * 1024
_PIECE: Final = 64 * 1024


@define(eq=False)
class Direction:
    """One way from one end to the other.

    ``ended``: nothing comes after what is in it.  ``broken``: both ends fail at once.  ``stopped``: what is in it does
    not arrive, and once it is full the sender waits; it all arrives when it goes on.
    """

    capacity: int
    ended: bool = False
    broken: bool = False
    stopped: bool = False
    _bytes: bytearray = field(factory=bytearray)
    _changed: trio.Event = field(factory=trio.Event)

    def change(self, **flags: bool) -> None:
        """Set some of the flags; whoever waits looks again."""
        for name, value in flags.items():
            setattr(self, name, value)
        self._notice()

    def _notice(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait_room(self) -> None:
        while len(self._bytes) >= self.capacity and not (self.broken or self.ended):
            await self._changed.wait()

    async def put(self, data: bytes | bytearray | memoryview) -> None:
        """Take all of it, waiting for room.  Cancelled, it keeps what there was room for, as TCP does."""
        rest = memoryview(data)
        while rest:
            await self.wait_room()
            if self.broken:
                raise trio.BrokenResourceError("reset")
            if self.ended:  # meanwhile, by the sender itself
                raise trio.ClosedResourceError("the end of the stream was sent")
            room = self.capacity - len(self._bytes)
            self._bytes += rest[:room]
            rest = rest[room:]
            self._notice()

    async def take(self, max_bytes: int) -> bytes:
        """What is there, at least a byte; nothing at the end."""
        while (self.stopped or not (self._bytes or self.ended)) and not self.broken:
            await self._changed.wait()
        if self.broken:
            raise trio.BrokenResourceError("reset")
        data = bytes(self._bytes[:max_bytes])
        del self._bytes[:max_bytes]
        self._notice()
        return data


class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of :func:`memory_stream_pair`."""

    def __init__(self, outgoing: Direction, incoming: Direction) -> None:
        self.outgoing = outgoing
        self.incoming = incoming
        self._closed = False
        self._busy: set[str] = set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with self._one_at_a_time("sending"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            if self.outgoing.ended:
                raise trio.ClosedResourceError("the end of the stream was sent")
            await self.outgoing.put(data)

    async def wait_send_all_might_not_block(self) -> None:
        with self._one_at_a_time("sending"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            await self.outgoing.wait_room()
            self._check_open()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._one_at_a_time("receiving"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            return await self.incoming.take(_PIECE if max_bytes is None else max_bytes)

    @contextmanager
    def _one_at_a_time(self, what: str) -> Iterator[None]:
        if what in self._busy:
            raise trio.BusyResourceError(f"another task is {what}")
        self._busy.add(what)
        try:
            yield
        except trio.BrokenResourceError:
            self._check_open()  # closed meanwhile, by ourselves
            raise
        finally:
            self._busy.discard(what)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed") from None

    async def send_eof(self) -> None:
        """FIN: the other end reads what is left, then the end."""
        with self._one_at_a_time("sending"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            self.outgoing.change(ended=True)

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    # What happens to connections.

    def close(self) -> None:
        """FIN, and no more reading: the other end reads what is left, then the end; what it sends is refused."""
        if not self._closed:
            self._closed = True
            self.outgoing.change(ended=True)
            self.incoming.change(broken=True)

    def reset(self) -> None:
        """RST: what is under way is gone, and both ends fail."""
        self.outgoing.change(broken=True)
        self.incoming.change(broken=True)

    def stop(self, stopped: bool = True) -> None:
        """Nothing arrives any more in either direction and nobody is told: the network between is gone, or this end's
        program is stopped.  With False it goes on, and what was under way arrives."""
        self.outgoing.change(stopped=stopped)
        self.incoming.change(stopped=stopped)

    def stop_reading(self, stopped: bool = True) -> None:
        """This end's program does not read any more; what it sends still leaves."""
        self.incoming.change(stopped=stopped)


def memory_stream_pair(capacity: int = CAPACITY) -> tuple[MemoryStream, MemoryStream]:
    """Both ends of a new connection; ``capacity`` is in bytes, for each direction."""
    there, back = Direction(capacity), Direction(capacity)
    return MemoryStream(there, back), MemoryStream(back, there)
