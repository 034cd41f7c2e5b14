"""The WebSocket of a client: opened, always read, written in order, and closed in bounded time.

trio-websocket does the framing and leaves three tasks to its user. First, a task must always take its messages.
Otherwise it stops reading, and so it stops answering pings. Second, no cancellation may cut a frame in half, so a
single task writes. Third, the goodbye must work while the program around it is cancelled. So a shield protects the
tasks that move bytes, and their owner ends them on every path.
"""

import ssl
from collections.abc import Callable, Sequence
from typing import cast
from urllib.parse import urlsplit

import trio
import trio_websocket
from attrs import frozen
from wsproto.utilities import LocalProtocolError

from protocol import limits
from protocol.errors import CloseCode, ProtocolError

_RECEIVE_BYTES = 64 * 1024
_MESSAGE_QUEUE = 16
_OUTBOX = 64

Headers = Sequence[tuple[bytes, bytes]]


class ConnectError(Exception):
    """The connection failed. ``status`` and ``body`` are those of the HTTP answer, if there was one."""

    def __init__(self, message: str, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(message, status, body)
        self.message = message
        self.status = status
        self.body = body

    def __str__(self) -> str:
        return self.message if self.status is None else f"{self.message} (HTTP {self.status})"


@frozen
class Timeouts:
    """How long a client waits, in seconds.

    ``connect`` covers everything up to the open WebSocket, ``request`` the wait for one answer, ``goodbye`` the close
    of the connection. The client pings every ``ping_interval`` (None: never). If the pong does not come within
    ``pong``, the client gives the connection up. By default it waits as long as a gateway that still gets the client's
    media. For ``resume`` the client tries to resume a session whose connection broke. 0 means that it does not try.
    """

    connect: float = 10.0
    request: float = 10.0
    goodbye: float = limits.GOODBYE_TIMEOUT
    ping_interval: float | None = limits.PING_INTERVAL
    pong: float = limits.MEDIA_GRACE - limits.PING_INTERVAL
    resume: float = limits.MEDIA_GRACE


class ClientWebSocket:
    """One WebSocket connection. It calls ``receive`` with each frame, and ``on_end`` once, after the last frame.

    ``receive`` must not wait. It may raise :exc:`ProtocolError`, which ends the connection with 1002. ``on_end`` gets
    the close code and the reason.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        receive: Callable[[str | bytes], None],
        on_end: Callable[[int, str], None],
    ) -> None:
        self._timeouts = timeouts
        self._receive = receive
        self._on_end = on_end
        self._websocket: trio_websocket.WebSocketConnection | None = None
        self._to_send, self._outbox = trio.open_memory_channel[str](_OUTBOX)
        self._settled = trio.Event()  # open or failed
        self._written = trio.Event()
        self._finished = trio.Event()
        self._io_scope = trio.CancelScope(shield=True)  # the owner calls end() on every path
        self._goodbye_scope = trio.CancelScope()
        self._leaving = False
        self._end: tuple[int, str] | None = None
        self._failure: ConnectError | None = None

    async def send(self, text: str) -> None:
        """Hand a frame to the writer, which sends it whole or not at all, even if this call is cancelled.

        Raises ``trio.BrokenResourceError`` or ``trio.ClosedResourceError`` when the connection is closed.
        """
        await self._to_send.send(text)

    async def opened(self) -> None:
        """Wait until the WebSocket is open. Raises :exc:`ConnectError`."""
        with trio.move_on_after(self._timeouts.connect) as waiting:
            await self._settled.wait()
        if waiting.cancelled_caught:
            raise ConnectError("the server took too long to answer")
        if self._failure is not None:
            raise self._failure
        if self._websocket is None:
            raise ConnectError(self._end[1] if self._end else "the connection broke")

    async def run(self, stream: trio.abc.Stream, host: str, path: str, headers: Headers) -> None:
        """Move bytes until :meth:`end` or the end of the connection, then close the stream. Raises nothing."""
        try:
            with self._io_scope:
                await self._move_bytes(stream, host, path, headers)
        finally:
            self._record_end(CloseCode.ABNORMAL, "the connection broke")
            self._settled.set()
            self._finished.set()
            self._goodbye_scope.cancel()
            await trio.aclose_forcefully(stream)

    async def _move_bytes(self, stream: trio.abc.Stream, host: str, path: str, headers: Headers) -> None:
        try:
            async with trio.open_nursery() as io:
                await self._open(io, stream, host, path, headers)
                if self._websocket is not None:
                    await self._exchange_messages(io, self._websocket)
        except* trio_websocket.ConnectionRejected as group:
            self._failure = _rejection(group)
        except* (_NoAnswerError, LocalProtocolError, trio_websocket.ConnectionClosed) as group:
            # trio-websocket raises LocalProtocolError when it answers a ping during the close.
            self._record_end(CloseCode.ABNORMAL, str(group.exceptions[0]) or "the connection broke")

    async def _open(self, io: trio.Nursery, stream: trio.abc.Stream, host: str, path: str, headers: Headers) -> None:
        watched = _WatchedStream(stream)
        io.start_soon(self._expect_answer, watched)
        websocket = await trio_websocket.wrap_client_stream(
            io,
            cast(trio.SocketStream, watched),  # any stream will do, as the library's documentation says
            host,
            path,
            subprotocols=[limits.SUBPROTOCOL],
            extra_headers=list(headers),
            message_queue_size=_MESSAGE_QUEUE,
            max_message_size=limits.MAX_GATEWAY_MESSAGE_BYTES,
            receive_buffer_size=_RECEIVE_BYTES,
        )
        if websocket.subprotocol == limits.SUBPROTOCOL:
            self._websocket = websocket
            self._settled.set()
        else:
            self._failure = ConnectError(f"the server does not speak {limits.SUBPROTOCOL}")
            io.cancel_scope.cancel()

    async def _expect_answer(self, stream: "_WatchedStream") -> None:
        # wrap_client_stream() waits for ever when the stream ends before the answer.
        await stream.ended.wait()
        if not self._settled.is_set():
            raise _NoAnswerError("the server closed the connection instead of answering")

    async def _exchange_messages(self, io: trio.Nursery, websocket: trio_websocket.WebSocketConnection) -> None:
        io.start_soon(self._write, websocket)
        if self._timeouts.ping_interval is not None:
            io.start_soon(self._ping, websocket, self._timeouts.ping_interval)
        await self._read(websocket)
        if not self._leaving:  # the closing handshake needs the tasks of `io`
            io.cancel_scope.cancel()

    async def _read(self, websocket: trio_websocket.WebSocketConnection) -> None:
        try:
            while True:
                message = await websocket.get_message()
                self._receive(message)  # detach() may have replaced it meanwhile
        except trio_websocket.ConnectionClosed as closed:
            if closed.reason is None:
                self._record_end(CloseCode.ABNORMAL, "the connection broke")
            else:
                self._record_end(int(closed.reason.code), closed.reason.reason or "")
        except ProtocolError as error:
            self._record_end(CloseCode.PROTOCOL_ERROR, f"the gateway's message cannot be read: {error}")
            with trio.move_on_after(self._timeouts.goodbye):
                await websocket.aclose(CloseCode.PROTOCOL_ERROR)

    async def _write(self, websocket: trio_websocket.WebSocketConnection) -> None:
        with self._outbox:
            try:
                async for text in self._outbox:
                    await websocket.send_message(text)
            except (trio_websocket.ConnectionClosed, LocalProtocolError):
                pass  # the reader learns the reason
            finally:
                self._written.set()

    async def _ping(self, websocket: trio_websocket.WebSocketConnection, interval: float) -> None:
        late = False
        while not late:
            await trio.sleep(interval)
            with trio.move_on_after(self._timeouts.pong) as waiting:
                try:
                    await websocket.ping()
                except (trio_websocket.ConnectionClosed, LocalProtocolError):
                    return  # the reader learns the reason
            late = waiting.cancelled_caught
        self._record_end(CloseCode.ABNORMAL, "the gateway did not answer a ping")
        self.end()

    def _record_end(self, code: int, reason: str) -> None:
        """Record the end of the connection. Only the first call counts."""
        if self._end is None:
            self._end = (code, reason)
            self._on_end(code, reason)

    async def say_goodbye(self) -> None:
        """Send the queued frames and close the WebSocket with 1000. The gateway may take any time for this, so the
        caller must bound it."""
        if self._websocket is None:
            return
        if self._end is not None:  # the close has begun already
            await self._finished.wait()
            return
        self._leaving = True
        with self._goodbye_scope:
            self._to_send.close()
            await self._written.wait()
            await self._websocket.aclose(CloseCode.NORMAL)

    def detach(self) -> None:
        """Report no further frame and no end. The connection stays open until :meth:`end`."""
        self._receive = lambda frame: None
        self._on_end = lambda code, reason: None

    def end(self) -> None:
        """Make :meth:`run` return at once."""
        self._io_scope.cancel()


class _NoAnswerError(Exception):
    """The stream ended before the handshake was complete."""


class _WatchedStream(trio.abc.Stream):
    """A stream with an event for its end."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.ended = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise
        if not data:
            self.ended.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _rejection(group: BaseExceptionGroup[trio_websocket.ConnectionRejected]) -> ConnectError:
    rejected = group.exceptions[0]
    if isinstance(rejected, BaseExceptionGroup):
        return _rejection(rejected)
    return ConnectError("the server refused the connection", rejected.status_code, rejected.body or b"")


async def open_stream(url: str, ssl_context: ssl.SSLContext | None) -> tuple[trio.abc.Stream, str, str]:
    """Open a TCP or TLS stream to a ``ws:`` or ``wss:`` URL. Return the stream, the value for the Host header, and the
    path with its query.

    Raises ``ValueError`` for another kind of URL, and ``OSError`` or ``trio.BrokenResourceError`` if connecting fails.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"not a ws: or wss: URL: {url!r}")
    host = parts.netloc.rpartition("@")[2]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme == "ws":
        return await trio.open_tcp_stream(parts.hostname, parts.port or 80), host, path
    tcp = await trio.open_tcp_stream(parts.hostname, parts.port or 443)
    context = ssl_context or ssl.create_default_context()
    tls = trio.SSLStream(tcp, context, server_hostname=parts.hostname, https_compatible=True)
    try:
        await tls.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(tls)
        raise
    return tls, host, path
