"""A pair of streams in memory that can break in every way in which TCP breaks.

``trio.testing.memory_stream_pair`` has unbounded buffers and no reset.  Here each direction holds a limited number of
bytes, and it can end (FIN), break (RST) or stop.
"""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio
from attrs import define, field

#: Bytes that one direction holds, like the buffers of a socket.  A sender of more has to wait.
CAPACITY: Final = 256 * 1024
_PIECE: Final = 64 * 1024


@define(eq=False)
class Pipe:
    """One direction of a connection.

    After ``ended`` no more bytes are put in, and the receiver reads the rest.  After ``broken`` both ends fail at once.
    While ``stopped`` no byte arrives, and the sender waits once the pipe is full.  Afterwards the bytes arrive.
    """

    capacity: int
    ended: bool = False
    broken: bool = False
    stopped: bool = False
    _bytes: bytearray = field(factory=bytearray)
    _changed: trio.Event = field(factory=trio.Event)

    def change(self, **flags: bool) -> None:
        """Set some of the flags, and wake the waiting tasks."""
        for name, value in flags.items():
            setattr(self, name, value)
        self._notice()

    def _notice(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait_for_room(self) -> None:
        while len(self._bytes) >= self.capacity and not (self.broken or self.ended):
            await self._changed.wait()

    async def put(self, data: bytes | bytearray | memoryview) -> None:
        """Put all bytes in, and wait for room.  If cancelled, the bytes put in so far will arrive, as in TCP."""
        rest = memoryview(data)
        while rest:
            await self.wait_for_room()
            if self.broken:
                raise trio.BrokenResourceError("reset")
            if self.ended:  # the sender closed its end while it waited for room
                raise trio.ClosedResourceError("the end of the stream was sent")
            rest = rest[self.put_now(rest) :]

    def put_now(self, data: bytes | bytearray | memoryview) -> int:
        """Put in as many bytes as there is room for, and return their number."""
        taken = data[: max(0, self.capacity - len(self._bytes))]
        self._bytes += taken
        self._notice()
        return len(taken)

    async def take(self, max_bytes: int) -> bytes:
        """Wait for at least one byte, and return at most ``max_bytes``.  The result is empty at the end."""
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

    def __init__(self, outgoing: Pipe, incoming: Pipe) -> None:
        self.outgoing = outgoing
        self.incoming = incoming
        self._closed = False
        self._resets_on_close = False
        self._busy: set[str] = set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with self._one_at_a_time("sending"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            if self.outgoing.ended:
                raise trio.ClosedResourceError("the end of the stream was sent")
            await self.outgoing.put(data)

    def send_nowait(self, data: bytes) -> int:
        """Send as many bytes as there is room for, and return their number.  Raises ``trio.BrokenResourceError``."""
        if self._closed or self.outgoing.ended or self.outgoing.broken:
            raise trio.BrokenResourceError
        return self.outgoing.put_now(data)

    def reset_on_close(self) -> None:
        """Let :meth:`close` reset the connection, so that bytes in flight are lost."""
        self._resets_on_close = True

    async def wait_send_all_might_not_block(self) -> None:
        with self._one_at_a_time("sending"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            await self.outgoing.wait_for_room()
            self._check_open()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._one_at_a_time("receiving"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            return await self.incoming.take(_PIECE if max_bytes is None else max_bytes)

    @contextmanager
    def _one_at_a_time(self, action: str) -> Iterator[None]:
        if action in self._busy:
            raise trio.BusyResourceError(f"another task is {action}")
        self._busy.add(action)
        try:
            yield
        except trio.BrokenResourceError:
            self._check_open()  # this end was closed meanwhile
            raise
        finally:
            self._busy.discard(action)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed") from None

    async def send_eof(self) -> None:
        """Send a FIN.  The other end reads the rest, then the end."""
        with self._one_at_a_time("sending"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            self.outgoing.change(ended=True)

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    # The ways in which connections end or stop.

    def close(self) -> None:
        """Send a FIN and stop reading.  The other end reads the rest, then the end, and its sending fails."""
        if not self._closed:
            self._closed = True
            if self._resets_on_close and not self.outgoing.stopped:  # no reset gets through a broken network
                self.outgoing.change(broken=True)
            self.outgoing.change(ended=True)
            self.incoming.change(broken=True)

    def reset(self) -> None:
        """Send an RST.  Both ends fail, and the bytes in flight are lost."""
        self.outgoing.change(broken=True)
        self.incoming.change(broken=True)

    def stop(self, stopped: bool = True) -> None:
        """Stop both directions without a sign, as a broken network or a stopped program does.

        With False they go on, and the bytes in flight arrive.
        """
        self.outgoing.change(stopped=stopped)
        self.incoming.change(stopped=stopped)

    def stop_reading(self, stopped: bool = True) -> None:
        """Stop reading at this end, but go on sending.  With False, read again."""
        self.incoming.change(stopped=stopped)


def memory_stream_pair(capacity: int = CAPACITY) -> tuple[MemoryStream, MemoryStream]:
    """Both ends of a new connection.  ``capacity`` is in bytes, for each direction."""
    there, back = Pipe(capacity), Pipe(capacity)
    return MemoryStream(there, back), MemoryStream(back, there)
