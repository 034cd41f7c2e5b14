"""trio-websocket, as far as a connection needs it, with its rough edges taken off.

- Its reader raises out of its task when a frame comes at the wrong moment (a ping while we are closing); the nursery
  it runs in is the connection's own, so nobody else notices.
- Its limit of a message's size counts characters, so the size in bytes is checked again, by the reader.
- When the peer breaks RFC 6455 it closes the stream, mostly without the close frame that would say why; so it gets
  one that it cannot close.
- It reads on its own task, a message at a time, so a pong waits behind everything that its client sent before.  What
  is heard of a client is therefore noted where the bytes come in.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from protocol import limits
from protocol.errors import CloseCode

# What a broken or closing connection raises at who sends.
SEND_ERRORS = (ConnectionClosed, LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)


_CLOSE_FRAME = b"\x88"


class GuardedStream(trio.abc.Stream):
    """The client's stream as trio-websocket gets it: only its owner closes it, after a last word where one is due.

    ``heard`` is when something came last.  ``unread`` are the bytes that came since the last whole message.  It calls
    ``overflow`` when they are more than ``max_unread``: fragments without a byte of text in them count nowhere else,
    and are kept all the same.
    """

    def __init__(self, stream: trio.abc.Stream, max_unread: int, overflow: Callable[[], None]) -> None:
        self.last_received_at = trio.current_time()
        self.bytes_since_message = 0
        self._max_unread = max_unread
        self._overflow = overflow
        self._stream = stream
        self._sending = trio.Lock()
        self._is_opening = True
        self._released = False
        self._close_frame_sent = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Pass it on, and notice a close frame: trio-websocket sends each frame by itself."""
        async with self._exclusively():
            self._close_frame_sent = self._close_frame_sent or bytes(data[:1]) == _CLOSE_FRAME
            await self._stream.send_all(data)

    async def send_frames(self, frames: bytes) -> None:
        """Send whole frames, between those of trio-websocket.  ``ClosedResourceError`` after a close frame, which is
        the last that may be sent (RFC 6455 section 5.5.1)."""
        async with self._exclusively():
            if self._close_frame_sent:
                raise trio.ClosedResourceError
            await self._stream.send_all(frames)

    @asynccontextmanager
    async def _exclusively(self) -> AsyncIterator[None]:
        """One sends at a time.  No checkpoint when nobody does, as the lock's own would be: sending is one."""
        try:
            self._sending.acquire_nowait()
        except trio.WouldBlock:
            await self._sending.acquire()
        try:
            yield
        finally:
            self._sending.release()

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._released:
            raise trio.ClosedResourceError
        if self._is_opening:
            # The library takes a head of more than 16 KiB only at once; the front door has bounded it, and read it.
            max_bytes = None
        data = await self._stream.receive_some(max_bytes)
        if data:
            self.last_received_at = trio.current_time()
        if self._is_opening:
            self._is_opening = False
            return data
        self.bytes_since_message += len(data)
        if self.bytes_since_message > self._max_unread:
            self._overflow()
        return data

    async def aclose(self) -> None:
        """Give it back."""
        self._released = True
        await trio.lowlevel.checkpoint()

    async def send_close_frame(self, code: int) -> None:
        """Send a close frame (RFC 6455 section 5.5.1) if none was sent, and read on until the client has seen it.

        Without that, what is still unread would make the close a reset, which overtakes the frame.  Its caller bounds
        it.  Only for when trio-websocket's tasks are gone.
        """
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if not self._close_frame_sent:
                await self.send_all(_CLOSE_FRAME + b"\x02" + code.to_bytes(2, "big"))
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some():
                pass


class NotAcceptedError(Exception):
    """The upgrade was refused, or did not come to an end in time."""


async def accept(
    nursery: trio.Nursery, stream: trio.abc.Stream, *, max_size: int, max_seconds: float
) -> WebSocketConnection:
    """Answer the upgrade request in ``stream``; trio-websocket's own task runs in ``nursery``.

    Our subprotocol is spoken with clients that offer it or none; that the others are refused is up to the front door.
    ``max_size`` bounds a message in characters.  Raises :exc:`NotAcceptedError` where the client has not finished
    after ``max_seconds``.
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
    """What the end of a WebSocket that the gateway has not closed means."""
    if closed.reason is None:
        return end_reasons.BROKE_WEBSOCKET
    match closed.reason.code:
        case CloseCode.NORMAL:
            return end_reasons.CLOSED
        case CloseCode.PROTOCOL_ERROR | CloseCode.INVALID_TEXT | CloseCode.TOO_BIG:
            return end_reasons.BROKE_WEBSOCKET
        case _:
            return end_reasons.DISCONNECTED
