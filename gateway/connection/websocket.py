"""The parts of trio-websocket that a connection uses, with remedies for its weaknesses.

- Its reader task raises when a frame comes at the wrong moment, such as a ping while closing. So each connection has a
  nursery for this task.
- Its message limit counts characters. So our reader checks the size in bytes again.
- After a violation of RFC 6455 it mostly closes the stream without a close frame. So we give it a stream that it cannot
  close.
- It reads one message at a time in its own task, so a pong waits behind all earlier messages. So the stream notes the
  time of the last sign of life, when bytes arrive.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, runtime_checkable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from protocol import limits
from protocol.errors import CloseCode

# The exceptions of sending on a broken or closing connection.
SEND_ERRORS = (ConnectionClosed, LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)


MOST_PAUSE: Final = 1.0
"""Seconds for which a client in debt is not read, at most, before one more read."""
_CLOSE_FRAME = b"\x88"


@runtime_checkable
class _ImmediateStream(Protocol):
    """A stream that can send without waiting, and that can be reset."""

    def send_nowait(self, data: bytes) -> int: ...
    def reset_on_close(self) -> None: ...


class SharedStream(trio.abc.Stream):
    """The client's stream, which trio-websocket and the connection share. Only the connection closes it.

    ``last_received_at`` is the time of the last bytes. ``bytes_since_message`` counts the bytes since the last whole
    message, and ``count`` learns by how many they have changed. If there are more than ``max_unfinished()``, the stream
    calls ``overflow``. No other limit counts empty fragments, which also use memory. ``debt`` tells for how many
    seconds the client should not cause more work.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        max_unfinished: Callable[[], int],
        overflow: Callable[[], None],
        debt: Callable[[], float] = float,
        count: Callable[[int], object] = int,
    ) -> None:
        self.last_received_at = trio.current_time()
        self._unfinished = 0
        self._count = count
        self._max_unfinished = max_unfinished
        self._overflow = overflow
        self._debt = debt
        self._stream = stream
        self._immediate = stream if isinstance(stream, _ImmediateStream) else None
        self._sending = trio.Lock()
        # The rest of a frame that was sent in part. It comes before all other bytes.
        self._rest = b""
        self._is_opening = True
        self._released = False
        self._close_frame_sent = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send one frame of trio-websocket, and note whether it is a close frame."""
        await self._acquire()
        try:
            self._close_frame_sent = self._close_frame_sent or bytes(data[:1]) == _CLOSE_FRAME
            await self._stream.send_all(self._take_rest() + data)
        finally:
            self._sending.release()

    async def send_frames(self, frames: bytes) -> None:
        """Send whole frames between those of trio-websocket.

        Raises ``ClosedResourceError`` after a close frame: no frame may follow it (RFC 6455 section 5.5.1).
        """
        await self._acquire()
        try:
            if self._close_frame_sent:
                raise trio.ClosedResourceError
            frames = self._take_rest() + frames
            sent = 0 if self._immediate is None else self._immediate.send_nowait(frames)
            if sent < len(frames):
                await self._stream.send_all(memoryview(frames)[sent:])
        finally:
            self._sending.release()

    def send_now(self, frame: bytes) -> int:
        """Send a whole frame at once as far as the network takes it, and return how many bytes it took.

        The rest goes before all later bytes. Nothing is sent if something else is on its way, or if the connection is
        broken, which the next :meth:`send_frames` reports.
        """
        if self._immediate is None or self._rest or self._close_frame_sent or self._sending.locked():
            return 0
        try:
            sent = self._immediate.send_nowait(frame)
        except trio.BrokenResourceError:
            return 0
        if sent:
            self._rest = frame[sent:]
        return sent

    def _take_rest(self) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    async def _acquire(self) -> None:
        """Let one task send at a time. A free lock needs no checkpoint."""
        try:
            self._sending.acquire_nowait()
        except trio.WouldBlock:
            await self._sending.acquire()

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._released:
            raise trio.ClosedResourceError
        if pause := self._debt():
            # It pays before it may cause more work, but its end must not be noticed much later.
            await trio.sleep(min(pause, MOST_PAUSE))
        if self._is_opening:
            # trio-websocket accepts a head above 16 KiB only in one piece. The front door has read and bounded it.
            max_bytes = None
        data = await self._stream.receive_some(max_bytes)
        if data:
            self.last_received_at = trio.current_time()
        if self._is_opening:
            self._is_opening = False
            return data
        self.bytes_since_message += len(data)
        if self.bytes_since_message > self._max_unfinished():
            self._overflow()
        return data

    @property
    def bytes_since_message(self) -> int:
        return self._unfinished

    @bytes_since_message.setter
    def bytes_since_message(self, size: int) -> None:
        by, self._unfinished = size - self._unfinished, size
        self._count(by)

    def reset_on_close(self) -> None:
        """Drop unsent bytes when the stream closes, and reset the TCP connection."""
        if self._immediate is not None:
            self._immediate.reset_on_close()

    async def aclose(self) -> None:
        """Refuse further reading, and leave the stream open for its owner."""
        self._released = True
        await trio.lowlevel.checkpoint()

    def release(self) -> None:
        """Refuse further reading, and forget whom to tell of an overflow."""
        self._released, self._overflow, self._debt, self._count = True, _do_nothing, float, int
        self._max_unfinished = lambda: 0

    async def send_close_frame(self, code: int) -> None:
        """Send a close frame (RFC 6455 section 5.5.1) if none was sent, and read until the client closes its side.

        Closing a TCP connection with unread bytes resets it, and a reset overtakes the frame. Call this only after the
        tasks of trio-websocket have ended. The caller bounds the time.
        """
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if not self._close_frame_sent:
                await self.send_all(_CLOSE_FRAME + b"\x02" + code.to_bytes(2, "big"))
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some():
                pass


def _do_nothing() -> None:
    pass


class NotAcceptedError(Exception):
    """The upgrade was refused, or took too long."""


async def accept(
    nursery: trio.Nursery, stream: trio.abc.Stream, *, max_size: int, max_seconds: float
) -> WebSocketConnection:
    """Accept the upgrade request in ``stream``. The task of trio-websocket runs in ``nursery``.

    The answer names our subprotocol if the client offers it. The front door has refused clients that offer only others.
    ``max_size`` bounds a message in characters. Raises :exc:`NotAcceptedError` if the client breaks the connection or
    takes more than ``max_seconds``.
    """
    with trio.move_on_after(max_seconds):
        try:
            request = await wrap_server_stream(nursery, stream, max_message_size=max_size)
            offered = limits.SUBPROTOCOL in request.proposed_subprotocols
            return await request.accept(subprotocol=limits.SUBPROTOCOL if offered else None)
        except SEND_ERRORS as error:
            raise NotAcceptedError("the connection broke during the upgrade") from error
    raise NotAcceptedError("the upgrade took too long")


def end_reason_of(closed: ConnectionClosed) -> EndReason:
    """The end reason of a connection whose WebSocket the gateway did not close itself."""
    if closed.reason is None:
        return end_reasons.BROKE_WEBSOCKET
    match closed.reason.code:
        case CloseCode.NORMAL:
            return end_reasons.CLOSED
        case CloseCode.PROTOCOL_ERROR | CloseCode.INVALID_TEXT | CloseCode.TOO_BIG:
            return end_reasons.BROKE_WEBSOCKET
        case _:
            return end_reasons.DISCONNECTED
