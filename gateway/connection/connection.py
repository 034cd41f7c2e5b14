"""One client's connection: the only link between a session and a socket. Reading never pauses, and writing never
blocks.

The bytes move in an :class:`~gateway.connection.attachment.Attachment`. The connection outlives it if the client
resumes its session over another socket. Leaving :func:`open_connection` ends the attachment on every path, and the
client still gets its goodbye after the scope of its session was cancelled.
"""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NoReturn

import trio
from attrs import define, field
from structlog.typing import FilteringBoundLogger

from gateway.config import Config
from gateway.connection import end_reasons
from gateway.connection.accounts import Account
from gateway.connection.attachment import Attachment
from gateway.connection.end_reasons import EndReason
from gateway.connection.inbox import Inbox, ReceivedMessage
from gateway.connection.liveness import no_media
from gateway.connection.outbox import Frame, Outbox, SendBudget
from gateway.connection.rates import ErrorBudget, TokenBucket
from gateway.connection.replay_log import ReplayLog
from gateway.connection.unread import UnreadBudget, UnreadShare
from gateway.ops.log import new_reference
from gateway.ops.metrics import Metrics
from protocol import limits
from protocol.declarations import Event
from protocol.errors import ErrorCode
from protocol.events import Closing
from protocol.responses import Error, Ok

RESUMES_PER_SECOND = 1
RESUMES_AT_ONCE = 20
"""How often a session may change its socket, in the long run and at once."""


@define(eq=False)
class Connection:
    """One client's connection. :meth:`end` is the only way to end it: it cancels ``scope``.

    ``name`` and ``remote`` name the connection and its client in the log. ``attachment`` is the present socket. It is
    None while the connection waits for a client to resume, and after the socket went to another connection
    (``handed_over``). ``replay_log`` has what a resuming client may need, and ``in_session`` says whether it may resume
    now.

    ``end_reason`` and ``ended_at`` are the first reason and its time. ``reference`` finds a failure in the log.
    ``broadcast_budget`` bounds the messages that the client causes to other clients, ``resume_budget`` its changes of
    the socket. ``account`` pays for the time that the client's tasks use. ``unread`` bounds the bytes of all clients
    that nobody has read, and ``send_budget`` the frames that are sent at once. ``media_heard_at`` returns the time of
    the session's last media.
    """

    config: Config
    metrics: Metrics
    log: FilteringBoundLogger
    new_reference: Callable[[], str] = new_reference
    name: str = ""
    remote: str = ""
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    attachment: Attachment | None = None
    handed_over: bool = False
    replay_log: ReplayLog | None = None
    in_session: bool = False
    end_reason: EndReason | None = None
    ended_at: float | None = None
    reference: str | None = None
    account: Account | None = None
    unread: UnreadBudget = field(factory=lambda: UnreadBudget(sys.maxsize))
    send_budget: SendBudget = field(factory=SendBudget)
    media_heard_at: Callable[[], float] = no_media
    inbox: Inbox = field(init=False)
    _unread: UnreadShare = field(init=False)
    broadcast_budget: TokenBucket = field(init=False)
    resume_budget: TokenBucket = field(init=False)
    _errors: ErrorBudget = field(init=False)
    # The events that wait for the response to a request, each with the form to keep. None while no request is being
    # served.
    _held: list[tuple[Frame, Frame]] | None = None
    # The socket that broke, while the connection waits for the client to resume.
    _broken: Attachment | None = None
    _wait_is_over: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.broadcast_budget = TokenBucket(self.config.message_rate, self.config.message_burst)
        self.resume_budget = TokenBucket(RESUMES_PER_SECOND, RESUMES_AT_ONCE)
        self._errors = ErrorBudget(self.config.error_budget, self.config.error_window)
        self._unread = UnreadShare(self.unread, lambda: self.end(end_reasons.RATE_LIMITED, "unread_bytes"))
        self.inbox = Inbox(self.config.inbox_messages, self.config.inbox_bytes, self._unread.change)

    # Ending the connection.

    def end(self, end_reason: EndReason, limit: str | None = None) -> None:
        """Record the first reason and cancel the scope. The blocks inside the scope do all the cleanup.

        ``limit`` is the setting whose limit the client has reached.
        """
        if self.end_reason is None:
            self.ended_at = trio.current_time()
            self.end_reason = end_reason
            self.scope.cancel()
            self._wait_is_over.set()
            if limit is None:
                self.log.info("client disconnected", why=end_reason.text)
            else:
                self.metrics.limits.reached(limit)
                self.log.info("client disconnected", why=end_reason.text, setting=limit)

    @property
    def max_message_bytes(self) -> int:
        """How large a message may be. Strangers have little to say."""
        config = self.config
        return config.max_message_bytes if self.in_session else min(config.max_stranger_bytes, config.max_message_bytes)

    @property
    def limit_of_messages(self) -> str:
        """The setting that bounds the size of a message."""
        return "max_message_bytes" if self.in_session else "max_stranger_bytes"

    def forget_unread(self) -> None:
        """Nobody reads the inbox any more."""
        self._unread.close()

    @property
    def debt(self) -> float:
        """Seconds until the client, and the others at its address, have paid for the time that they have used."""
        return 0.0 if self.account is None else self.account.debt()

    @property
    def own_debt(self) -> float:
        """Seconds until the client has paid for the time that its own tasks have used."""
        return 0.0 if self.account is None else self.account.own_debt()

    async def wait_end(self) -> NoReturn:
        """Wait for the cancellation of the scope."""
        await trio.sleep_forever()
        raise AssertionError("unreachable")

    def end_guarded(self, end_reason: EndReason) -> None:
        """End the connection on behalf of somebody else, whom its exceptions do not concern."""
        try:
            self.end(end_reason)
        except Exception as error:
            self.fail(error)

    def fail(self, error: BaseException) -> str:
        """End the connection because code that ran for it raised ``error``. Return the log reference."""
        self.reference = self.reference or self.new_reference()
        self.end(end_reasons.INTERNAL)
        self.metrics.session_error()
        self.log.error("session failed", reference=self.reference, exc_info=error)
        return self.reference

    # Its session.

    def begin_session(self, request_id: int) -> None:
        """A session begins with the request ``join``. From now on messages are kept for a client that resumes."""
        self.replay_log = ReplayLog(min(limits.MAX_UNACKNOWLEDGED_BYTES, self.config.outbox_bytes // 2), request_id)
        self.in_session = True

    def end_session(self) -> None:
        """The session ends, so nobody can resume it any more."""
        self.in_session = False

    # Sending messages.

    @property
    def outbox(self) -> Outbox:
        """The frames that wait for the present socket. Only a connection with a socket has one."""
        assert self.attachment is not None
        return self.attachment.outbox

    @property
    def backlog(self) -> int:
        """Bytes of the frames that wait for the present socket."""
        return 0 if self.attachment is None else self.attachment.outbox.size

    def hold_events(self) -> None:
        """Hold events back until the next response, because a response precedes the events that its request causes."""
        self._held = []

    def respond(self, response: Ok | Error) -> None:
        """Send the response to a request, then the events that were held back."""
        if isinstance(response, Error):
            self._count_error(response.data.code)
        frame = Frame.of(response)
        if self.in_session and self.replay_log is not None and response.id is not None:
            self.replay_log.keep_answer(response.id, frame)
        held, self._held = self._held or [], None
        # After the session, an answer waits for the goodbye, so that both leave together. Otherwise the client might
        # close the connection between them.
        self._put(frame, at_once=self.in_session)
        for event, kept in held:
            self._put_event(event, kept)

    def repeat(self, answer: Frame) -> None:
        """Send a kept answer again."""
        self._put(answer, at_once=self.in_session)

    def _count_error(self, code: ErrorCode) -> None:
        self.metrics.request_error(code)
        if code.is_counted and not self._errors.spend(trio.current_time()):
            self.end(end_reasons.TOO_MANY_ERRORS, "error_budget")

    def send(self, frame: Frame, *, kept: Frame | None = None) -> bool:
        """Put an event into the outbox and return whether it was accepted. Does not wait.

        ``kept`` is a shorter form of the event, which a resuming client gets instead.
        """
        if self._held is not None:
            self._held.append((frame, kept or frame))
            return True
        return self._put_event(frame, kept or frame)

    def tell_watcher(self, frame: Frame) -> bool:
        """Like :meth:`send`, for an event of a channel that the client watches.

        The feed notifies few clients in each step. So its frames do not use the budget for frames that are sent at
        once.
        """
        if self._held is not None:
            self._held.append((frame, frame))
            return True
        return self._put_event(frame, frame, counted=False)

    def send_event(self, event: Event) -> bool:
        """Encode and send an event that only this client gets."""
        return self.send(Frame.of(event))

    def _put_event(self, event: Frame, kept: Frame, *, counted: bool = True) -> bool:
        replay_log = self.replay_log
        frame = event if replay_log is None else event.numbered(replay_log.keep_event(kept))
        return self._put(frame, at_once=True, counted=counted)

    def _put(self, frame: Frame, *, at_once: bool, counted: bool = True) -> bool:
        if self.attachment is None:  # The replay log has it for the next socket.
            return self.end_reason is None
        taken = self.attachment.outbox.put(frame, at_once=at_once and self.end_reason is None, counted=counted)
        if not taken:
            # A closed outbox also refuses, but then the connection has an end reason already.
            self.end(end_reasons.TOO_SLOW, "outbox_bytes")
        return taken

    # What its sockets report.

    def receive(self, attachment: Attachment, text: str, size: int) -> None:
        """Put a message into the inbox."""
        if attachment is self.attachment and self.end_reason is None:
            answers = 0 if self.replay_log is None else self.replay_log.answers
            self._enqueue(ReceivedMessage(text, size, answers))

    def _enqueue(self, message: ReceivedMessage) -> None:
        if not self.inbox.put(message):
            self.end(end_reasons.RATE_LIMITED, self.inbox.full_limit)

    def attachment_ended(
        self, attachment: Attachment, end_reason: EndReason, *, broken: bool, limit: str | None = None
    ) -> None:
        """The socket is of no use any more. This ends the connection, unless the client may come back."""
        if attachment is not self.attachment or self.end_reason is not None:
            return
        if not broken or not self.in_session or not self.config.resume_grace:
            self.end(end_reason, limit)
            return
        self.attachment, self._broken, self._wait_is_over = None, attachment, trio.Event()
        attachment.abort()
        self.log.info("socket broken", seconds_to_resume=self.config.resume_grace)

    def attachment_failed(self, attachment: Attachment, errors: ExceptionGroup[Exception]) -> None:
        """A task of the socket raised exceptions that the network does not explain."""
        if attachment is self.attachment:
            self.fail(errors)

    async def wait_resumed(self, attachment: Attachment) -> None:
        """Wait until the client resumes after this socket broke, or until the time for that is over."""
        if attachment is not self._broken:
            return
        config = self.config
        heard_at = max(attachment.shared.last_received_at, self.media_heard_at())
        silent_at = heard_at + config.ping_interval + config.ping_timeout
        with trio.move_on_at(min(trio.current_time() + config.resume_grace, silent_at)):
            await self._wait_is_over.wait()

    def stop_waiting(self, attachment: Attachment) -> None:
        """End the connection if it still waits for the client to resume after this socket broke."""
        if attachment is self._broken:
            self._broken = None
            self.end(end_reasons.DISCONNECTED)

    # Another socket.

    def hand_over(self) -> tuple[Attachment, list[ReceivedMessage]]:
        """Give up the socket, and the messages that came over it and were not read. Its task only waits from now on."""
        attachment = self.attachment
        assert attachment is not None
        self.attachment, self.handed_over = None, True
        self.scope.cancel()
        return attachment, self.inbox.take_all()

    def attach(self, attachment: Attachment, frames: Iterable[Frame], received: Iterable[ReceivedMessage]) -> None:
        """Use another socket from now on, and abort the present one. Nothing from the old socket counts any more.

        ``frames`` are the first ones to send, and ``received`` the first messages that came.
        """
        # One step without a checkpoint, so no task sees a connection with two sockets or none.
        former, self.attachment = self.attachment, attachment
        attachment.owner = self
        self._broken = None
        self._wait_is_over.set()
        if former is not None:
            former.abort()
        for frame in frames:
            self._put(frame, at_once=self.in_session)
        for message in received:
            self._enqueue(message)

    async def say_goodbye(self) -> None:
        """Send the queued frames and ``closing``, then close with the code. The caller bounds the time."""
        end_reason, attachment = self.end_reason, self.attachment
        if end_reason is None or end_reason.code is None or attachment is None or not attachment.can_say_goodbye:
            return
        self.metrics.closed(end_reason.code)
        why = f"{end_reason.text} (reference {self.reference})" if self.reference else end_reason.text
        closing = Frame.of(Closing(reason=why, code=end_reason.code, retry_after_ms=end_reason.retry_after_ms))
        if self.replay_log is not None:
            closing = closing.numbered(self.replay_log.keep_event(closing))
        await attachment.say_goodbye(closing, end_reason.code, keep_queued=end_reason.keep_queued)


@asynccontextmanager
async def open_connection(stream: trio.abc.Stream, connection: Connection) -> AsyncIterator[None]:
    """Accept the upgrade request in ``stream`` and serve the WebSocket while the block runs.

    The block runs in ``connection.scope``. An exception of the block ends here: it makes one line in the log and closes
    the WebSocket with 4500. Afterwards this function closes the stream by force, on every path. Raises
    ``NotAcceptedError`` before the block begins.

    If the connection hands its socket over, the block ends without a goodbye, and this function waits until the other
    connection needs the socket no longer.
    """
    config = connection.config
    own = connection.attachment = Attachment(stream, connection, config)
    try:
        async with own.open():
            connection.log.info("client connected")
            try:
                with connection.scope:
                    yield
            except* Exception as errors:
                connection.fail(errors)
            finally:
                if not connection.handed_over:
                    # This does nothing if the connection has an end reason. If it has none, the gateway itself was
                    # cancelled.
                    connection.end(end_reasons.DRAINING)
                    with trio.move_on_after(config.goodbye_timeout, shield=True) as late:
                        await connection.say_goodbye()
                    # trio-websocket may swallow the cancellation, so cancelled_caught can be False.
                    if late.cancel_called:
                        connection.metrics.forced_cleanup()
                        connection.log.info("goodbye cut off")
            if connection.handed_over:
                await own.closed.wait()
    finally:
        if connection.attachment is not None:
            connection.attachment.detach()
            # Break the reference cycle. Otherwise only a garbage collection would free both.
            connection.attachment = None
