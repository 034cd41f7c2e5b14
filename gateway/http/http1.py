"""One HTTP/1.1 request and its response on one stream, with limits of size and time for every step (RFC 9112)."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import h11
import trio

from gateway.config import Config
from gateway.ops.http_refusal import HttpRefusal

HeaderFields = Iterable[tuple[bytes, bytes]]

_PIECE: Final = 64 * 1024
_REASONS: Final = {int(status): status.phrase.encode() for status in HTTPStatus}
_LINGER_BYTES: Final = 1024 * 1024
_LINGER_SECONDS: Final = 1


_REFUSALS: Final = {
    HTTPStatus.BAD_REQUEST: HttpRefusal.MALFORMED,
    HTTPStatus.NOT_IMPLEMENTED: HttpRefusal.MALFORMED,
    HTTPStatus.MISDIRECTED_REQUEST: HttpRefusal.HOST,
    HTTPStatus.FORBIDDEN: HttpRefusal.ORIGIN,
    HTTPStatus.METHOD_NOT_ALLOWED: HttpRefusal.NOT_A_WEBSOCKET,
    HTTPStatus.UPGRADE_REQUIRED: HttpRefusal.NOT_A_WEBSOCKET,
    HTTPStatus.REQUEST_TIMEOUT: HttpRefusal.TOO_SLOW,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: HttpRefusal.BODY_TOO_LARGE,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: HttpRefusal.HEAD_TOO_LARGE,
}


class HttpError(Exception):
    """A request gets ``status`` and ``message`` as its answer. The client sees the message, so it must hold no secret.

    ``refusal`` is the reason for the operator's log. It is None if there is no such reason, as for a fault of our own.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        refusal: HttpRefusal | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)
        self.refusal = refusal or _REFUSALS.get(HTTPStatus(status))


class ClientGone(OSError):
    """The client closed the connection or reads too slowly: no answer can reach it."""


class NotHttp(Exception):
    """The first bytes of the connection are ``data``, and no HTTP. They may begin a media stream."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class Exchange:
    """One HTTP request and its response. It reads the head, then the body, then sends the response.

    ``may_differ(first)`` says whether a first byte may begin another protocol.
    ``status`` is the status of the response, once it has begun. ``peer`` is the other end of the TCP connection, and
    ``remote`` the address of the client, which may be behind a proxy. ``stream`` carries the bytes, and ``is_secure``
    says whether it is a TLS stream.
    """

    def __init__(
        self, stream: trio.abc.Stream, config: Config, may_differ: Callable[[bytes], bool], remote: str = ""
    ) -> None:
        self.stream = stream
        self.is_secure = False
        self.peer = self.remote = remote
        self._config = config
        self._may_differ = may_differ
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=config.max_request_head_bytes)
        self._request: h11.Request | None = None
        self._head = bytearray()
        self.status: int | None = None

    @property
    def request(self) -> h11.Request:
        """The head. Only after :meth:`read_head` has returned True."""
        if self._request is None:
            raise RuntimeError("the head has not been read")
        return self._request

    def begin_tls(self) -> None:
        """The first bytes were those of a TLS handshake, so no byte of a request has come yet."""
        self._head.clear()
        self._may_differ = lambda first: False

    def continue_in_tls(self, stream: trio.abc.Stream) -> None:
        """Read the head from this TLS stream."""
        self.stream, self.is_secure = stream, True

    @property
    def head_begun(self) -> bool:
        """Whether a byte of the request has come."""
        return bool(self._head)

    @property
    def response_begun(self) -> bool:
        """Whether the head of a response is sent, so that no other response is possible."""
        return self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}

    @property
    def response_complete(self) -> bool:
        """Whether the response is complete."""
        return self._http.our_state in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED}

    @property
    def has_bytes_after_head(self) -> bool:
        """Whether bytes came right behind the head."""
        return bool(self._http.trailing_data[0])

    async def read_head(self) -> bool:
        """Read to the end of the head. Return False if the client disconnects before its first byte.

        Raises :exc:`HttpError` 400, 408, 431 or 501, and :exc:`NotHttp` if the connection may be a media stream.
        """
        with trio.move_on_after(self._config.request_head_timeout) as scope:
            self._head += await self._receive(1)
            if not self._head:
                return False
            if self._may_differ(bytes(self._head)):
                raise NotHttp(bytes(self._head))
            self._http.receive_data(bytes(self._head))
            while (event := self._next_event()) is h11.NEED_DATA:
                room = self._config.max_request_head_bytes - len(self._head)
                if not room:
                    raise HttpError(
                        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                        f"the head of a request may have at most {self._config.max_request_head_bytes} bytes",
                    )
                data = await self._receive(room)
                self._head += data
                self._http.receive_data(data)
        if scope.cancelled_caught:
            if not self._head:  # Browsers open spare connections, which stay silent.
                return False
            raise HttpError(HTTPStatus.REQUEST_TIMEOUT, "the head of the request took too long")
        if not isinstance(event, h11.Request):
            raise HttpError(HTTPStatus.BAD_REQUEST, "the connection ended before the request")
        self._request = event
        return True

    async def read_body(self) -> bytes:
        """Read the whole body. Raises :exc:`HttpError` 400, 408 or 413."""
        most = self._config.max_request_body_bytes
        declared = _header(self.request, b"content-length")
        if declared is not None and int(declared) > most:
            raise _too_large(most)
        body = bytearray()
        with trio.move_on_after(self._config.request_body_timeout) as scope:
            while not isinstance(event := await self._next_body_event(), h11.EndOfMessage):
                body += event.data
                if len(body) > most:
                    raise _too_large(most)
        if scope.cancelled_caught:
            raise HttpError(HTTPStatus.REQUEST_TIMEOUT, "the body of the request took too long")
        return bytes(body)

    async def _next_body_event(self) -> h11.Data | h11.EndOfMessage:
        while True:
            event = self._next_event()
            if isinstance(event, h11.Data | h11.EndOfMessage):
                return event
            if event is not h11.NEED_DATA:
                raise HttpError(HTTPStatus.BAD_REQUEST, "the body of the request ended early")
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[]))
            self._http.receive_data(await self._receive(_PIECE))

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise HttpError(error.error_status_hint, f"this is not a request of HTTP/1.1: {error}") from None

    async def _receive(self, most: int) -> bytes:
        try:
            return bytes(await self.stream.receive_some(most))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ClientGone from error

    async def start(self, status: int, headers: HeaderFields) -> None:
        """Send the head of the response, with ``Connection: close`` and ``Date``."""
        kept = [(name, value) for name, value in headers if name.lower() not in {b"connection", b"date"}]
        kept += [(b"date", formatdate(usegmt=True).encode()), (b"connection", b"close")]
        self.status = status
        await self._send(h11.Response(status_code=status, headers=kept, reason=_REASONS.get(status, b"")))

    async def write(self, data: bytes) -> None:
        """Send a part of the body. A response to HEAD has no body."""
        if self._request is not None and self._request.method == b"HEAD":
            return
        for start in range(0, len(data), _PIECE):
            await self._send(h11.Data(data=data[start : start + _PIECE]))

    async def finish(self) -> None:
        """Complete the response."""
        await self._send(h11.EndOfMessage())

    async def refuse(self, error: HttpError) -> None:
        """Answer with an error in plain text. Only before :meth:`start`."""
        body = f"{error.message}\n".encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), *error.headers]
        await self.start(error.status, headers)
        await self.write(body)
        await self.finish()

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if not data:
            return
        try:
            with trio.fail_after(self._config.response_timeout):
                await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            raise ClientGone from error

    async def wait_gone(self) -> None:
        """Wait until the client closes its end, or sends more than its request."""
        with suppress(ClientGone):
            await self._receive(1)

    async def linger(self) -> None:
        """Go on reading for a moment while the client still sends.

        Closing a TCP connection with unread bytes resets it, and the client may lose the response (RFC 9112 section
        9.6). If the whole request was read, this does nothing.
        """
        if self._http.their_state in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED}:
            return
        left = _LINGER_BYTES
        with trio.move_on_after(_LINGER_SECONDS):
            if isinstance(self.stream, trio.abc.HalfCloseableStream):
                await self.stream.send_eof()
            while left > 0 and (data := await self.stream.receive_some(_PIECE)):
                left -= len(data)


def has_body(request: h11.Request) -> bool:
    """Whether a request announces a body (RFC 9112 section 6.3)."""
    if _header(request, b"transfer-encoding"):
        return True
    return int(_header(request, b"content-length") or b"0") > 0


def _too_large(most: int) -> HttpError:
    return HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body of a request may have at most {most} bytes")


def _header(request: h11.Request, name: bytes) -> bytes | None:
    return next((value for key, value in request.headers if key == name), None)
