"""One socket of a connection: its WebSocket, the tasks that move its bytes, and the frames that wait for it.

A connection has one attachment at a time. A client that resumes its session brings a new one, and the old one is
aborted. The task that accepted a socket always owns the attachment. This task opens the attachment, and closes the
stream even if another connection uses the attachment by then.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection

from gateway.config import Config
from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from gateway.connection.liveness import Liveness
from gateway.connection.outbox import Frame, Outbox, SendBudget
from gateway.connection.shielded import open_shielded_nursery
from gateway.connection.unread import UnreadBudget, UnreadShare
from gateway.connection.websocket import SEND_ERRORS, SharedStream, accept, end_reason_of
from protocol.errors import CloseCode

UNFINISHED_MESSAGE_FACTOR = 8
"""A client may send this many times the size of a message before it completes one."""
LAST_READ_SECONDS = 0.25
"""After a failed send, the reader has this long to find out why the client went."""


class Owner(Protocol):
    """The part of a connection that its attachments use. It ignores the calls of all but its present attachment."""

    @property
    def end_reason(self) -> EndReason | None: ...
    @property
    def media_heard_at(self) -> Callable[[], float]: ...
    @property
    def debt(self) -> float: ...
    @property
    def max_message_bytes(self) -> int: ...
    @property
    def limit_of_messages(self) -> str: ...
    @property
    def unread(self) -> UnreadBudget: ...
    @property
    def send_budget(self) -> SendBudget: ...
    def receive(self, attachment: "Attachment", text: str, size: int) -> None: ...
    def attachment_ended(
        self, attachment: "Attachment", end_reason: EndReason, *, broken: bool, limit: str | None = None
    ) -> None: ...
    def attachment_failed(self, attachment: "Attachment", errors: ExceptionGroup[Exception]) -> None: ...
    async def wait_resumed(self, attachment: "Attachment") -> None: ...
    def stop_waiting(self, attachment: "Attachment") -> None: ...


@define(eq=False)
class Attachment:
    """One socket and its tasks. ``owner`` is the connection that it serves now.

    ``owed_close_code`` is the close code that a client which broke RFC 6455 still has to get. ``closed`` is set when
    the stream is closed.
    """

    stream: trio.abc.Stream
    owner: Owner
    config: Config
    owed_close_code: int | None = None
    shared: SharedStream = field(init=False)
    outbox: Outbox = field(init=False)
    websocket: WebSocketConnection = field(init=False)
    closed: trio.Event = field(factory=trio.Event)
    _unread: UnreadShare = field(init=False)
    _accepted: bool = False
    _tasks: trio.CancelScope = field(factory=trio.CancelScope)
    _goodbye: trio.CancelScope = field(factory=trio.CancelScope)
    _reported: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self._unread = UnreadShare(self.owner.unread, lambda: self.report(end_reasons.TOO_BIG, limit="unread_bytes"))
        self.shared = SharedStream(
            self.stream,
            lambda: UNFINISHED_MESSAGE_FACTOR * self.owner.max_message_bytes,
            lambda: self.report(end_reasons.TOO_BIG, limit=self.owner.limit_of_messages),
            lambda: self.owner.debt,
            self._unread.change,
        )
        config = self.config
        self.outbox = Outbox(config.outbox_bytes, config.outbox_age, self.shared.send_now, self.owner.send_budget)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Accept the upgrade request, and move bytes while the block runs. Raises ``NotAcceptedError``."""
        # The tasks that move bytes run shielded from the cancellation of the session and of the gateway. So they still
        # work after every end of the session: the writer sends the goodbye, and the reader sees the client's close
        # frame. Leaving this block cancels them.
        async with open_shielded_nursery(self._failed, self._close) as io:
            self._tasks = io.cancel_scope
            self.websocket = await accept(
                io,
                self.shared,
                max_size=2 * self.config.max_message_bytes,
                max_seconds=self.config.websocket_handshake_timeout,
            )
            self._accepted = True
            io.start_soon(self.read)
            io.start_soon(self.write)
            io.start_soon(self._keep_alive)
            yield

    def abort(self) -> None:
        """End the tasks and close the stream, without a goodbye. Does not wait."""
        self.shared.reset_on_close()
        self._tasks.cancel()

    def detach(self) -> None:
        """End the tasks and close the stream. Does not wait."""
        self._tasks.cancel()

    async def _close(self) -> None:
        try:
            await self._close_stream()
            await self.owner.wait_resumed(self)
        finally:
            # A cancellation may come before the wait. Without this, the session would live on without a socket.
            self.owner.stop_waiting(self)

    async def _close_stream(self) -> None:
        try:
            # After a violation of RFC 6455, trio-websocket has mostly closed its stream without a close frame. Its
            # tasks are gone now, so no other frame can get in between.
            if self.owed_close_code is not None:
                with trio.move_on_after(self.config.goodbye_timeout, shield=True):
                    await self.shared.send_close_frame(self.owed_close_code)
            await trio.aclose_forcefully(self.stream)
        finally:
            # The session may live on for long over another socket, and its task keeps this object.
            self.shared.release()
            self._unread.close()
            self.outbox.discard()
            self.closed.set()
            if self._accepted:
                self.report(end_reasons.DISCONNECTED, broken=True)

    # Moving bytes.

    async def read(self) -> None:
        """Read all messages, even while the session is busy. So the gateway notices the end of the socket at once."""
        while True:
            try:
                message = await self.websocket.get_message()
            except ConnectionClosed as closed:
                self._websocket_closed(closed)
                return
            self.shared.bytes_since_message = 0
            if isinstance(message, bytes):
                self.report(end_reasons.NOT_TEXT)
            elif (size := len(message.encode())) > self.owner.max_message_bytes:
                self.report(end_reasons.TOO_BIG, limit=self.owner.limit_of_messages)
            else:
                self.owner.receive(self, message, size)

    async def write(self) -> None:
        """Send the frames of the outbox."""
        try:
            await self.outbox.send_all(self.shared.send_frames)
        except SEND_ERRORS:
            # A client may send a close frame and close its socket at once. Then the send fails while the frame still
            # waits to be read, and the frame says why the client left.
            if self.websocket.closed is None:
                with trio.move_on_after(LAST_READ_SECONDS):
                    await self._reported.wait()
            if self.websocket.closed is not None:  # The reader has not seen the close frame yet.
                self._websocket_closed(ConnectionClosed(self.websocket.closed))
            self._lost()

    async def _keep_alive(self) -> None:
        """Ping a quiet client. Report a silent client, and one that stopped reading."""
        config = self.config
        liveness = Liveness(
            self.shared,
            self.outbox,
            config.ping_interval,
            config.ping_timeout,
            config.media_grace,
            lambda: self.owner.media_heard_at(),
        )
        gone = await liveness.wait_gone()
        self.report(gone, limit="outbox_age" if gone is end_reasons.TOO_SLOW else None)

    # The end.

    def report(self, end_reason: EndReason, *, broken: bool = False, limit: str | None = None) -> None:
        """Report to the connection that this socket is of no use any more. ``broken`` says that the socket ended
        without a close frame, so the client may come back with another one. ``limit`` is the setting that the client
        has reached."""
        self._reported.set()
        self.owner.attachment_ended(self, end_reason, broken=broken, limit=limit)

    def _websocket_closed(self, closed: ConnectionClosed) -> None:
        """Report that the WebSocket closed. Both the reader and the writer may notice this first."""
        code = None if closed.reason is None else closed.reason.code
        end_reason = end_reason_of(closed)
        too_big = end_reason is end_reasons.BROKE_WEBSOCKET and code == CloseCode.TOO_BIG
        limit = self.owner.limit_of_messages if too_big else None
        self.report(end_reason, broken=code == CloseCode.ABNORMAL, limit=limit)
        if self.owner.end_reason is end_reasons.BROKE_WEBSOCKET:
            self.owed_close_code = code or CloseCode.PROTOCOL_ERROR

    def _lost(self) -> None:
        """The stream is broken, so no goodbye can be sent."""
        self._goodbye.cancel()
        self.report(end_reasons.DISCONNECTED, broken=True)

    def _failed(self, errors: ExceptionGroup[Exception]) -> None:
        """Handle an exception in a task that moves bytes. Most come from trio-websocket after a protocol violation."""
        if errors.split(SEND_ERRORS)[1] is not None:
            self.owner.attachment_failed(self, errors)
        self._lost()

    @property
    def can_say_goodbye(self) -> bool:
        """Whether the WebSocket is still open."""
        return self.websocket.closed is None

    async def say_goodbye(self, closing: Frame, code: CloseCode, *, keep_queued: bool) -> None:
        """Send the queued frames and ``closing``, then close with the code. The caller bounds the time."""
        self.outbox.close(closing, keep_queued=keep_queued)
        with self._goodbye:
            await self.outbox.wait_empty()
            await self.websocket.aclose(code)
