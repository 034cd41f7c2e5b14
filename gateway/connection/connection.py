"""A client's WebSocket: always read, never waited for when written, and closed with a goodbye in bounded time.

The tasks that move bytes live in a nursery that no cancellation from outside reaches; leaving
:func:`open_connection` ends it, on every path.  So the client still hears why it is closed when the scope of its
session was cancelled.
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
from gateway.connection.websocket import SEND_ERRORS, GuardedStream, accept, end_reason_of
from gateway.ops.log import new_reference
from gateway.ops.metrics import Metrics
from protocol.declarations import Event
from protocol.errors import CloseCode, ErrorCode
from protocol.events import Closing
from protocol.responses import Error, Ok

MAX_UNREAD_MESSAGES = 8
"""So many times the bytes of the largest message may come without a whole one among them."""


@define(eq=False)
class Connection:
    """One client's connection.  Whoever wants it gone calls :meth:`end`, and there is one way out: its scope.

    ``end_reason`` and ``ended_at`` are the first reason and its time, ``reference`` finds a failure in the log, and
    ``owed_close_code`` is the close code owed to a client that broke RFC 6455.  ``broadcast_budget``
    bounds what it makes the gateway send to others.
    ``media_heard_at`` says when its session's media was heard last, while it has a session.
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
    _held: list[Frame] | None = None
    _goodbye: trio.CancelScope = field(factory=trio.CancelScope)

    def __attrs_post_init__(self) -> None:
        self.broadcast_budget = TokenBucket(self.config.message_rate, self.config.message_burst)
        self._errors = ErrorBudget(self.config.error_budget, self.config.error_window)
        self.inbox = Inbox(self.config.inbox_messages, self.config.inbox_bytes)
        self.outbox = Outbox(self.config.outbox_bytes, self.config.outbox_age)

    # Ending it.

    def end(self, end_reason: EndReason) -> None:
        """Record why, if it is the first to say so, and cancel; nothing else happens here."""
        if self.end_reason is None:
            self.ended_at = trio.current_time()
            self.end_reason = end_reason
            self.scope.cancel()
            self.log.info("client disconnected", why=end_reason.text)

    async def wait_end(self) -> NoReturn:
        """Wait to be cancelled, in a session that has nothing more to do."""
        await trio.sleep_forever()
        raise AssertionError("unreachable")

    def fail(self, error: BaseException) -> str:
        """End it for an exception in its own code, or in code that ran for it; return the reference of the log."""
        self.reference = self.reference or self.new_reference()
        self.end(end_reasons.INTERNAL)
        self.metrics.session_error()
        self.log.error("session failed", reference=self.reference, exc_info=error)
        return self.reference

    # Telling it something.

    def hold_events(self) -> None:
        """Keep what is sent from now on behind the next response: a request's response precedes its events."""
        self._held = []

    def respond(self, response: Ok | Error) -> None:
        """Answer a request, then let out what was held."""
        if isinstance(response, Error):
            self._count_error(response.data.code)
        held, self._held = self._held or [], None
        for frame in (Frame.of(response), *held):
            self._put(frame)

    def _count_error(self, code: ErrorCode) -> None:
        self.metrics.rejected(code)
        if code.is_counted and not self._errors.spend(trio.current_time()):
            self.end(end_reasons.TOO_MANY_ERRORS)

    def send(self, frame: Frame) -> bool:
        """Put an event into the outbox, and say whether it was taken.  Waits for nobody."""
        if self._held is not None:
            self._held.append(frame)
            return True
        return self._put(frame)

    def _put(self, frame: Frame) -> bool:
        taken = self.outbox.put(frame)
        if not taken:
            self.end(end_reasons.TOO_SLOW)  # unless it is closed: then it has ended before
        return taken

    def send_event(self, event: Event) -> bool:
        """:meth:`send`, for an event that only this client gets."""
        return self.send(Frame.of(event))

    # Moving bytes.

    async def read(self, websocket: WebSocketConnection, guarded: GuardedStream) -> None:
        """Take what comes into the inbox, whatever the session is doing; the end of the connection is seen here."""
        while True:
            try:
                message = await websocket.get_message()
            except ConnectionClosed as closed:
                self.websocket_closed(closed)
                return
            guarded.bytes_since_message = 0
            if isinstance(message, bytes):
                self.end(end_reasons.NOT_TEXT)
            elif (size := len(message.encode())) > self.config.max_message_bytes:
                self.end(end_reasons.TOO_BIG)
            elif self.end_reason is None and not self.inbox.put(message, size):
                self.end(end_reasons.RATE_LIMITED)

    async def write(self, websocket: WebSocketConnection, guarded: GuardedStream) -> None:
        """Send what the outbox holds."""
        try:
            await self.outbox.send_all(guarded.send_frames)
        except SEND_ERRORS:
            if websocket.closed is not None:  # a close frame came, and who sends may see it before who reads
                self.websocket_closed(ConnectionClosed(websocket.closed))
            self.lost()

    async def keep_alive(self, guarded: GuardedStream) -> None:
        """Ping it when it is quiet; end it when it stays silent, or takes nothing of what waits for it."""
        config = self.config
        liveness = Liveness(
            guarded,
            self.outbox,
            config.ping_interval,
            config.ping_timeout,
            config.media_grace,
            lambda: self.media_heard_at(),
        )
        self.end(await liveness.wait_gone())

    def websocket_closed(self, closed: ConnectionClosed) -> None:
        """The WebSocket is over; whoever sees it first says so."""
        self.end(end_reason_of(closed))
        if self.end_reason is end_reasons.BROKE_WEBSOCKET:
            self.owed_close_code = closed.reason.code if closed.reason else CloseCode.PROTOCOL_ERROR

    def lost(self) -> None:
        """Nothing can be sent any more."""
        self._goodbye.cancel()
        self.end(end_reasons.DISCONNECTED)

    def io_failed(self, errors: ExceptionGroup[Exception]) -> None:
        """One of the tasks that move bytes raised: trio-websocket, mostly, whose client was impolite."""
        if errors.split(SEND_ERRORS)[1] is not None:
            self.fail(errors)
        self.lost()

    async def say_goodbye(self, websocket: WebSocketConnection) -> None:
        """Flush, say why, close with the code.  Its caller bounds it."""
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
    """Answer the upgrade request in ``stream`` and be a WebSocket connection while the block runs, in its scope.

    Exceptions of the block end here: logged once, told to the client with 4500.  The stream is closed afterwards,
    by force, whatever happened.  Raises ``NotAcceptedError`` before the block is entered.
    """
    config = connection.config
    guarded = GuardedStream(
        stream, MAX_UNREAD_MESSAGES * config.max_message_bytes, lambda: connection.end(end_reasons.TOO_BIG)
    )
    try:
        async with open_shielded_nursery(connection.io_failed) as io:
            websocket = await accept(
                io, guarded, max_size=2 * config.max_message_bytes, max_seconds=config.websocket_handshake_timeout
            )
            connection.log.info("client connected")
            io.start_soon(connection.read, websocket, guarded)
            io.start_soon(connection.write, websocket, guarded)
            io.start_soon(connection.keep_alive, guarded)
            try:
                with connection.scope:
                    yield
            except* Exception as errors:
                connection.fail(errors)
            finally:
                connection.end(end_reasons.DRAINING)  # unless it has ended: then the gateway itself is cancelled
                with trio.move_on_after(config.goodbye_timeout, shield=True) as late:
                    await connection.say_goodbye(websocket)
                if late.cancel_called:  # trio-websocket may have swallowed what was caught
                    connection.metrics.forced_cleanup()
                    connection.log.info("goodbye cut off")
    finally:
        if connection.owed_close_code is not None:
            with trio.move_on_after(config.goodbye_timeout, shield=True):
                await guarded.send_close_frame(connection.owed_close_code)
        await trio.aclose_forcefully(stream)
