"""A client's link to the gateway: requests, answers and events over one WebSocket, and over the next one if it breaks.

A session survives its WebSocket (docs/protocol.md#resuming). If the WebSocket breaks without a close frame, the link
opens another one and resumes the session there. Meanwhile requests wait. No event is missed, and no request is served
twice.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar, cast

import trio
from attrs import define, field, frozen

from protocol import limits
from protocol.client_websocket import ClientWebSocket, ConnectError, Headers, Timeouts
from protocol.codec import encode, encode_value, split_sequence
from protocol.declarations import Event, OkData, RequestData
from protocol.errors import CloseCode, ErrorCode, ProtocolError, RequestError
from protocol.event_buffer import ConnectionClosed, EventBuffer, StateLost
from protocol.events import Closing, VoiceState
from protocol.requests import Joined, Leave, Moved, Ping, Request, ResumeSession, SessionResumed
from protocol.responses import Error, Ok

_MAX_UNANSWERED: Final = 256
_ATTEMPT_SECONDS: Final = 2.0
"""The longest attempt to open another WebSocket. TCP repeats a lost first packet after 1 s, 3 s and 7 s, so a new
attempt is faster than a long wait."""
_DELAYS: Final = (0.0, 0.3, 0.6, 1.2)

A = TypeVar("A", bound=OkData)
Decode = Callable[[bytes | str, Mapping[int, type[RequestData[Any]]]], Ok | Error | Event]
"""Decodes a frame, as :func:`protocol.codec.decode_from_gateway` does."""
OpenStream = Callable[[], Awaitable[trio.abc.Stream]]


class AnswerLost(Exception):
    """The gateway served the request, but had to drop the answer while the client had no connection."""


@define
class _Answer:
    """The place for the answer to one request. ``text`` is the request's frame."""

    text: str
    sent: bool = False
    came: trio.Event = field(factory=trio.Event)
    response: Ok | Error | None = None
    lost: bool = False


@frozen
class _Session:
    id: str
    secret: str = field(repr=False)


@frozen
class _Serve:
    """Moves the bytes of each WebSocket in a task of its own."""

    tasks: trio.Nursery
    host: str
    path: str
    headers: Headers

    def __call__(self, websocket: ClientWebSocket, stream: trio.abc.Stream, gone: trio.Event) -> None:
        self.tasks.start_soon(self._run, websocket, stream, gone)

    async def _run(self, websocket: ClientWebSocket, stream: trio.abc.Stream, gone: trio.Event) -> None:
        try:
            await websocket.run(stream, self.host, self.path, self.headers)
        finally:
            gone.set()


class Link:
    """Carries the requests and events of one client.

    ``open_stream`` opens another stream to the same gateway. Without it, the session ends with its first WebSocket.
    """

    def __init__(self, timeouts: Timeouts, event_buffer: int, decode: Decode, open_stream: OpenStream | None) -> None:
        self._timeouts = timeouts
        self._decode = decode
        self._open_stream = open_stream
        self.events = EventBuffer(event_buffer)
        self._websocket = ClientWebSocket(timeouts, self._receive, self._on_end)
        # WebSockets that the client has left, although the gateway may take one of them for the present one. They stay
        # open until another one serves the session, because the gateway ends a session whose WebSocket ends.
        self._left: list[ClientWebSocket] = []
        self._gone = trio.Event()  # The present WebSocket has ended, or was left.
        self._ids = itertools.count(1)
        self._asked: dict[int, type[RequestData[Any]]] = {}
        self._answers: dict[int, _Answer] = {}
        self._unanswered = trio.Semaphore(_MAX_UNANSWERED)
        self._closing: Closing | None = None
        self._ended: ConnectionClosed | None = None
        self._leaving = False
        self._session: _Session | None = None
        # Whether requests may be sent now, and whether the present WebSocket serves the session.
        self._is_up = self._is_introduced = True
        self._last_event = 0
        self._last_answer = 0
        self._unacknowledged = 0
        self._something_came = trio.Event()
        self._much_came = trio.Event()
        self._scope = trio.CancelScope()
        self._acknowledging = trio.CancelScope()

    # Requests.

    async def request(self, data: RequestData[A]) -> A:
        """Send a request and return its answer, an object of the class that the request declares."""
        with trio.fail_after(self._timeouts.request):
            await self._unanswered.acquire()
            answer = await self._send(data)
        if answer.lost:
            raise AnswerLost("the gateway served the request, but its answer is lost")
        if answer.response is None:
            raise self._closed()
        if isinstance(answer.response, Error):
            error = answer.response.data
            raise RequestError(error.code, error.message, error.path, error.reference, error.retry_after_ms)
        return cast(A, answer.response.data)  # decoding has checked the class

    async def _send(self, data: RequestData[Any]) -> _Answer:
        request = Request(next(self._ids), data)
        answer = _Answer("")
        self._asked[request.id] = type(data)
        self._answers[request.id] = answer
        try:
            if self._ended is not None:
                raise self._closed()
            answer.text = encode(request)
            if len(answer.text.encode()) > limits.MAX_REQUEST_BYTES:
                raise ValueError(f"a request may have at most {limits.MAX_REQUEST_BYTES} bytes")
            if self._is_up:
                await self._send_text(answer)
            await answer.came.wait()
        finally:
            # A request that was not sent gets no answer. The gateway serves one that was sent, even a cancelled one.
            if not answer.sent:
                self._forget(request.id)
        return answer

    async def _send_text(self, answer: _Answer) -> None:
        try:
            await self._websocket.send(answer.text)
            answer.sent = True
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # If the session can be resumed, the next WebSocket takes the request.
            if self._ended is not None:
                raise self._closed() from None

    def _forget(self, request_id: int) -> _Answer | None:
        # `resume_session` takes no place: the requests that wait for it may have them all.
        if self._asked.pop(request_id, ResumeSession) is not ResumeSession:
            self._unanswered.release()
        return self._answers.pop(request_id, None)

    # What the gateway sends.

    def _receive(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            raise ProtocolError(ErrorCode.MALFORMED, "the frame is not text")
        sequence = split_sequence(frame)[0]
        if sequence is not None:
            self._last_event = sequence
        try:
            message = self._decode(frame, self._asked)
        except ProtocolError as error:
            if error.code is ErrorCode.UNKNOWN_TYPE and error.request_id is None:
                return  # an event of a later version
            raise
        if not isinstance(message, Ok | Error):
            if isinstance(message, Closing):
                self._closing = message
            self._count(_kept_size(message, len(frame)))
            self.events.put(message, len(frame))
        elif message.id is None:
            raise ProtocolError(ErrorCode.MALFORMED, "an error about a frame that was never sent")
        else:
            self._take_answer(message.id, message, len(frame))

    def _take_answer(self, request_id: int, message: Ok | Error, size: int) -> None:
        kind = self._asked.get(request_id)
        if kind is not ResumeSession:
            self._last_answer = request_id
        if kind is not Ping:
            self._count(size)
        if isinstance(message, Ok):
            self._follow_session(kind, message.data)
        if answer := self._forget(request_id):
            answer.response = message
            answer.came.set()

    def _follow_session(self, kind: type[RequestData[Any]] | None, data: OkData) -> None:
        if isinstance(data, Joined) and not isinstance(data, Moved):
            self._session = _Session(data.session_id, data.session_secret)
            self._last_event = 0
        elif kind is Leave:
            self._session = None
        elif isinstance(data, SessionResumed) and data.lost:
            self._last_event = data.last_event
            self.events.put(StateLost(data), 0)

    # Acknowledging, so that the gateway need not keep what has arrived.

    def _count(self, size: int) -> None:
        self._unacknowledged += size
        self._something_came.set()
        if self._unacknowledged >= limits.ACKNOWLEDGE_BYTES:
            self._much_came.set()

    async def acknowledge(self) -> None:
        """Acknowledge what has come, as ``limits`` says, until :meth:`end`."""
        with self._acknowledging:
            while True:
                await self._something_came.wait()
                with trio.move_on_after(limits.ACKNOWLEDGE_SECONDS):
                    await self._much_came.wait()
                self._unacknowledged = 0
                self._something_came, self._much_came = trio.Event(), trio.Event()
                if self._session is not None and self._ended is None:
                    await self._send_acknowledgement()

    async def _send_acknowledgement(self) -> None:
        # If this one fails, the next one has newer numbers.
        with suppress(RequestError, ConnectionClosed, AnswerLost, trio.TooSlowError):
            await self.request(Ping(self._last_event, self._last_answer))

    # The WebSockets, one after the other.

    async def run(self, stream: trio.abc.Stream, host: str, path: str, headers: Headers) -> None:
        """Move bytes over ``stream``, and over further ones while the session can be resumed. Raises nothing."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                serve = _Serve(nursery, host, path, headers)
                serve(self._websocket, stream, self._gone)
                await self._gone.wait()
                while self._ended is None and await self._resume(serve):
                    await self._gone.wait()
                self._end_left()
        self._finish(CloseCode.ABNORMAL, "the connection broke")

    async def opened(self) -> None:
        """Wait until the first WebSocket is open. Raises :exc:`ConnectError`."""
        await self._websocket.opened()

    def _on_end(self, code: int, reason: str) -> None:
        if not self._is_introduced:
            return  # an attempt that failed
        self._is_up = False
        if code != CloseCode.ABNORMAL or not self._can_resume:
            self._finish(code, reason)

    @property
    def _can_resume(self) -> bool:
        if self._leaving or self._closing is not None or self._session is None:
            return False
        return self._open_stream is not None and self._timeouts.resume > 0

    async def _resume(self, serve: "_Serve") -> bool:
        """Resume the session over another WebSocket. Return whether one came up."""
        deadline = trio.current_time() + self._timeouts.resume
        for delay in _delays():
            if trio.current_time() + delay > deadline:
                return False
            await trio.sleep(delay)
            outcome = await self._try_to_resume(serve)
            if outcome != "failed":
                return outcome == "resumed"
        raise AssertionError("unreachable")

    async def _try_to_resume(self, serve: "_Serve") -> Literal["failed", "refused", "resumed"]:
        stream: trio.abc.Stream | None = None
        assert self._open_stream is not None
        with trio.move_on_after(_ATTEMPT_SECONDS) as attempt:
            try:
                stream = await self._open_stream()
            except (OSError, trio.BrokenResourceError):
                return "failed"
        if stream is None:
            return "failed"
        self._is_introduced = False
        websocket = self._websocket = ClientWebSocket(self._timeouts, self._receive, self._on_end)
        self._gone = trio.Event()
        serve(websocket, stream, self._gone)
        response: Ok | Error | None = None
        try:
            with trio.move_on_at(attempt.deadline):
                response = await self._introduce(websocket)
        finally:
            if not isinstance(response, Ok):
                websocket.detach()
                self._left.append(websocket)
        if not isinstance(response, Ok):
            return self._refused(response)
        await self._send_again(cast(SessionResumed, response.data))
        return "resumed"

    async def _introduce(self, websocket: ClientWebSocket) -> Ok | Error | None:
        """Name the session on a new WebSocket. Return the answer, or None if none came."""
        session = self._session
        assert session is not None
        data = ResumeSession(session.id, session.secret, self._last_event, self._last_answer)
        request = Request(next(self._ids), data)
        answer = self._answers[request.id] = _Answer(encode(request), sent=True)
        self._asked[request.id] = ResumeSession
        try:
            await websocket.opened()
            await websocket.send(answer.text)
            await answer.came.wait()
        except (ConnectError, trio.BrokenResourceError, trio.ClosedResourceError):
            return None
        finally:
            self._forget(request.id)
        return answer.response

    def _refused(self, response: Error | None) -> Literal["failed", "refused"]:
        if response is None or response.data.code != ErrorCode.NOT_FOUND:
            return "failed"
        self._finish(CloseCode.ABNORMAL, "the connection broke, and the gateway has ended the session")
        return "refused"

    async def _send_again(self, resumed: SessionResumed) -> None:
        """Send again what the gateway has not received."""
        self._is_introduced = True
        self._end_left()
        last = resumed.last_request
        if resumed.lost:
            for request_id in [number for number in self._answers if number <= last]:
                if answer := self._forget(request_id):
                    answer.lost = True
                    answer.came.set()
        # Requests of this program may come meanwhile. They wait behind the older ones, since ids must rise.
        while waiting := [number for number in self._answers if number > last]:
            last = waiting[0]
            await self._send_text(self._answers[last])
        self._is_up = self._ended is None

    # The end.

    def reconnect(self) -> None:
        """Leave the present WebSocket without a close frame, and resume the session over another one."""
        if self._can_resume and self._is_up:
            self._is_up = False
            self._websocket.detach()
            self._left.append(self._websocket)
            self._gone.set()

    def _end_left(self) -> None:
        for websocket in self._left:
            websocket.end()
        self._left.clear()

    async def say_goodbye(self) -> None:
        """Send the queued frames and close the WebSocket with 1000. The caller bounds the time."""
        self._leaving = True
        if self._is_introduced:
            await self._websocket.say_goodbye()

    def end(self) -> None:
        """Make :meth:`run` and :meth:`acknowledge` return at once."""
        self._leaving = True
        self._websocket.end()
        self._end_left()
        self._scope.cancel()
        self._acknowledging.cancel()

    def _finish(self, code: int, reason: str) -> None:
        """Record the end for good. Only the first call counts."""
        if self._ended is not None:
            return
        self._is_up = False
        self._ended = ConnectionClosed(code, reason, self._closing)
        for request_id in list(self._asked):
            if answer := self._forget(request_id):
                answer.came.set()
        self.events.end(self._ended)

    def _closed(self) -> ConnectionClosed:
        return ConnectionClosed(*self._ended.args) if self._ended else ConnectionClosed(CloseCode.NORMAL)


def _delays() -> Iterator[float]:
    """Seconds to wait before each attempt."""
    yield from _DELAYS
    yield from itertools.repeat(2.0)


def _kept_size(event: Event, size: int) -> int:
    """The size of an event as the gateway keeps it."""
    if not isinstance(event, VoiceState):
        return size
    return min(size, limits.VOICE_STATE_BYTES + len(encode_value(event.participant)))
