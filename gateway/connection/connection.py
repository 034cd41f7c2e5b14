"""One client's WebSocket: reading never pauses, writing never blocks the session, and closing takes bounded time.

Tasks in a shielded nursery move the bytes, and leaving :func:`open_connection` ends them on every path. So the client
still gets its goodbye after the scope of its session was cancelled.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import trio
from attrs import define, field
from structlog.typing import FilteringBoundLogger
from trio_websocket import ConnectionClosed, WebSocketConnection

from gateway.config import Config
from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from gateway.connection.inbox import Inbox
from gateway.connection.liveness import Liveness, no_media
from gateway.connection.outbox import Frame, Outbox
from gateway.connection.rates import ErrorBudget, TokenBucket
from gateway.connection.shielded import open_shielded_nursery
from gateway.connection.websocket import SEND_ERRORS, SharedStream, accept, end_reason_of
from gateway.ops.log import new_reference
from gateway.ops.metrics import Metrics
from protocol.declarations import Event
from protocol.errors import CloseCode, ErrorCode
from protocol.events import Closing
from protocol.responses import Error, Ok

UNFINISHED_MESSAGE_FACTOR = 8
"""A client may send this many times ``max_message_bytes`` before it completes a message."""
LAST_READ_SECONDS = 0.25
"""After a failed send, the reader has this long to find out why the client went."""


@define(eq=False)
class Connection:
    """One client's connection. :meth:`end` is the only way to end it: it cancels ``scope``.

    ``end_reason`` and ``ended_at`` are the first reason and its time. ``reference`` finds a failure in the log.
    ``owed_close_code`` is the close code that a client which broke RFC 6455 still has to get. ``broadcast_budget``
    bounds the messages that the client causes to other clients. ``media_heard_at`` returns the time of the session's
    last media.
    """

    config: Config
    metrics: Metrics
    log: FilteringBoundLogger
    new_reference: Callable[[], str] = new_reference
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    end_reason: EndReason | None = None
    ended_at: float | None = None
    reference: str | None = None
    owed_close_code: int | None = None
    media_heard_at: Callable[[], float] = no_media
    inbox: Inbox = field(init=False)
    outbox: Outbox = field(init=False)
    broadcast_budget: TokenBucket = field(init=False)
    _errors: ErrorBudget = field(init=False)
    # The events that wait for the response to a request. None while no request is being served.
    _held: list[Frame] | None = None
    _goodbye: trio.CancelScope = field(factory=trio.CancelScope)
    _ended: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.broadcast_budget = TokenBucket(self.config.message_rate, self.config.message_burst)
        self._errors = ErrorBudget(self.config.error_budget, self.config.error_window)
        self.inbox = Inbox(self.config.inbox_messages, self.config.inbox_bytes)
        self.outbox = Outbox(self.config.outbox_bytes, self.config.outbox_age)

    # Ending the connection.

    def end(self, end_reason: EndReason) -> None:
        """Record the first reason and cancel the scope. The blocks inside the scope do all the cleanup."""
        if self.end_reason is None:
            self.ended_at = trio.current_time()
            self._ended.set()
            self.end_reason = end_reason
            self.scope.cancel()
            self.log.info("client disconnected", why=end_reason.text)

    async def wait_end(self) -> NoReturn:
        """Wait for the cancellation of the scope."""
        await trio.sleep_forever()
        raise AssertionError("unreachable")

    def fail(self, error: BaseException) -> str:
        """End the connection because code that ran for it raised ``error``. Return the log reference."""
        self.reference = self.reference or self.new_reference()
        self.end(end_reasons.INTERNAL)
        self.metrics.session_error()
        self.log.error("session failed", reference=self.reference, exc_info=error)
        return self.reference

    # Sending messages.

    def hold_events(self) -> None:
        """Hold events back until the next response, because a response precedes the events that its request causes."""
        self._held = []

    def respond(self, response: Ok | Error) -> None:
        """Send the response to a request, then the events that were held back."""
        if isinstance(response, Error):
            self._count_error(response.data.code)
        held, self._held = self._held or [], None
        for frame in (Frame.of(response), *held):
            self._put(frame)

    def _count_error(self, code: ErrorCode) -> None:
        self.metrics.request_error(code)
        if code.is_counted and not self._errors.spend(trio.current_time()):
            self.end(end_reasons.TOO_MANY_ERRORS)

    def send(self, frame: Frame) -> bool:
        """Put an event into the outbox and return whether it was accepted. Does not wait."""
        if self._held is not None:
            self._held.append(frame)
            return True
        return self._put(frame)

    def _put(self, frame: Frame) -> bool:
        taken = self.outbox.put(frame)
        if not taken:
            # A closed outbox also refuses, but then the connection has an end reason already.
            self.end(end_reasons.TOO_SLOW)
        return taken

    def send_event(self, event: Event) -> bool:
        """Encode and send an event that only this client gets."""
        return self.send(Frame.of(event))

    # Moving bytes.

    async def read(self, websocket: WebSocketConnection, shared: SharedStream) -> None:
        """Read into the inbox, even while the session is busy. So the gateway notices the end of the connection at
        once."""
        while True:
            try:
                message = await websocket.get_message()
            except ConnectionClosed as closed:
                self.websocket_closed(closed)
                return
            shared.bytes_since_message = 0
            if isinstance(message, bytes):
                self.end(end_reasons.NOT_TEXT)
            elif (size := len(message.encode())) > self.config.max_message_bytes:
                self.end(end_reasons.TOO_BIG)
            elif self.end_reason is None and not self.inbox.put(message, size):
                self.end(end_reasons.RATE_LIMITED)

    async def write(self, websocket: WebSocketConnection, shared: SharedStream) -> None:
        """Send the frames of the outbox."""
        try:
            await self.outbox.send_all(shared.send_frames)
        except SEND_ERRORS:
            # A client may send a close frame and close its socket at once. Then the send fails while the frame still
            # waits to be read, and the frame says why the client left.
            if websocket.closed is None:
                with trio.move_on_after(LAST_READ_SECONDS):
                    await self._ended.wait()
            if websocket.closed is not None:  # The reader has not seen the close frame yet.
                self.websocket_closed(ConnectionClosed(websocket.closed))
            self.lost()

    async def keep_alive(self, shared: SharedStream) -> None:
        """Ping a quiet client. End the connection of a silent client, and of one that stopped reading."""
        config = self.config
        liveness = Liveness(
            shared,
            self.outbox,
            config.ping_interval,
            config.ping_timeout,
            config.media_grace,
            lambda: self.media_heard_at(),
        )
        self.end(await liveness.wait_gone())

    def websocket_closed(self, closed: ConnectionClosed) -> None:
        """End the connection because its WebSocket closed. Both the reader and the writer may notice this first."""
        self.end(end_reason_of(closed))
        if self.end_reason is end_reasons.BROKE_WEBSOCKET:
            self.owed_close_code = closed.reason.code if closed.reason else CloseCode.PROTOCOL_ERROR

    def lost(self) -> None:
        """End the connection without a goodbye, because its stream is broken."""
        self._goodbye.cancel()
        self.end(end_reasons.DISCONNECTED)

    def io_failed(self, errors: ExceptionGroup[Exception]) -> None:
        """Handle an exception in a task that moves bytes. Most come from trio-websocket after a protocol violation."""
        if errors.split(SEND_ERRORS)[1] is not None:
            self.fail(errors)
        self.lost()

    async def say_goodbye(self, websocket: WebSocketConnection) -> None:
        """Send the queued frames and ``closing``, then close with the code. The caller bounds the time."""
        end_reason = self.end_reason
        if end_reason is None or end_reason.code is None or websocket.closed is not None:
            return
        self.metrics.closed(end_reason.code)
        why = f"{end_reason.text} (reference {self.reference})" if self.reference else end_reason.text
        closing = Closing(reason=why, code=end_reason.code, retry_after_ms=end_reason.retry_after_ms)
        self.outbox.close(Frame.of(closing), keep_queued=end_reason.keep_queued)
        with self._goodbye:
            await self.outbox.wait_empty()
            await websocket.aclose(end_reason.code)


@asynccontextmanager
async def open_connection(stream: trio.abc.Stream, connection: Connection) -> AsyncIterator[None]:
    """Accept the upgrade request in ``stream`` and serve the WebSocket while the block runs.

    The block runs in ``connection.scope``. An exception of the block ends here: it makes one line in the log and closes
    the WebSocket with 4500. Afterwards this function closes the stream by force, on every path. Raises
    ``NotAcceptedError`` before the block begins.
    """
    config = connection.config
    shared = SharedStream(
        stream, UNFINISHED_MESSAGE_FACTOR * config.max_message_bytes, lambda: connection.end(end_reasons.TOO_BIG)
    )
    try:
        # The tasks that move bytes run outside of connection.scope, and shielded from the cancellation of the gateway.
        # So they still work after every end of the session: the writer sends the goodbye, and the reader sees the
        # client's close frame. Leaving this block cancels them.
        async with open_shielded_nursery(connection.io_failed) as io:
            websocket = await accept(
                io, shared, max_size=2 * config.max_message_bytes, max_seconds=config.websocket_handshake_timeout
            )
            connection.log.info("client connected")
            io.start_soon(connection.read, websocket, shared)
            io.start_soon(connection.write, websocket, shared)
            io.start_soon(connection.keep_alive, shared)
            try:
                with connection.scope:
                    yield
            except* Exception as errors:
                connection.fail(errors)
            finally:
                # This does nothing if the connection has an end reason. If it has none, the gateway itself was
                # cancelled.
                connection.end(end_reasons.DRAINING)
                with trio.move_on_after(config.goodbye_timeout, shield=True) as late:
                    await connection.say_goodbye(websocket)
                if late.cancel_called:  # trio-websocket may swallow the cancellation, so cancelled_caught can be False
                    connection.metrics.forced_cleanup()
                    connection.log.info("goodbye cut off")
    finally:
        # After a violation of RFC 6455, trio-websocket has mostly closed its stream without a close frame. Its tasks
        # are gone now, so no other frame can get in between.
        if connection.owed_close_code is not None:
            with trio.move_on_after(config.goodbye_timeout, shield=True):
                await shared.send_close_frame(connection.owed_close_code)
        await trio.aclose_forcefully(stream)
