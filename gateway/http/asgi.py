"""A small ASGI server: one request and one response (ASGI 3, HTTP connection scope 2.4)."""

import re
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import h11
import trio
from starlette.types import ASGIApp, Message

from gateway.http.http1 import ClientGone, Exchange, HttpError

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~/-]")


async def respond(app: ASGIApp, exchange: Exchange) -> None:
    """Read the request's body, run ``app`` on it, and send the response while ``app`` produces it.

    Raises ``HttpError`` for a bad body, and ``ClientGone`` if the client has disconnected. Raises ``RuntimeError`` if
    the application ends without a whole response. Lets every exception of the application through.
    """
    scope = connection_scope(exchange.request, is_secure=exchange.is_secure)
    body = await exchange.read_body()
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if unread:
            await trio.lowlevel.checkpoint()
            return unread.pop()
        # Only a send notices that the client has disconnected. Then ``send`` raises OSError.
        await trio.sleep_forever()
        raise AssertionError("unreachable")

    gone: list[ClientGone] = []

    async def send(message: Message) -> None:
        try:
            await _send(exchange, message)
        except ClientGone as error:
            gone.append(error)
            raise

    try:
        await app(scope, receive, send)
    except Exception as error:
        if gone:  # even if the app has turned it into another exception
            raise ClientGone from error
        raise
    if gone:
        raise ClientGone from gone[0]
    if not exchange.response_complete:
        raise RuntimeError("the application ended without a whole response")


async def _send(exchange: Exchange, message: Message) -> None:
    if message["type"] == "http.response.start":
        await exchange.start(message["status"], message.get("headers", ()))
    elif message["type"] == "http.response.body":
        await exchange.write(message.get("body", b""))
        if not message.get("more_body", False):
            await exchange.finish()


def split_target(request: h11.Request) -> tuple[str, bytes, bytes]:
    """Return the decoded path, the raw path, and the query of a request's target (RFC 9112 section 3.2).

    Rules of proxies name paths such as ``/metrics`` or ``/api/``. So no other spelling of the first segment may lead to
    these paths. Raises :exc:`HttpError` 400 for a target without a path, such as ``*``, or with control characters.
    Raises 404 if the first segment hides plain characters or a slash behind ``%``.
    """
    target = request.target
    if b"#" in target:
        raise HttpError(400, "the target of a request must have no fragment")
    if not target.startswith(b"/"):  # the absolute form, which proxies receive
        try:
            parts = urlsplit(target)
        except ValueError:
            raise HttpError(400, "the target of a request must be a path or an address") from None
        if parts.scheme not in {b"http", b"https"} or not parts.netloc:
            raise HttpError(400, "the target of a request must begin with /")
        target = (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")
    raw_path, _, query = target.partition(b"?")
    path = unquote(raw_path.decode("ascii"))
    if _CONTROL.search(path):
        raise HttpError(400, "the path of a request must have no control characters")
    if _is_disguised(raw_path.split(b"/", 2)[1].decode("ascii")):
        raise HttpError(404, "the first segment of a path must not escape characters that need no escape")
    return path, raw_path, query


def _is_disguised(segment: str) -> bool:
    """Whether a segment escapes a character that needs no escape (RFC 3986 section 2.3), or a slash."""
    return any(_PLAIN.fullmatch(unquote(escape)) for escape in _ESCAPE.findall(segment))


def connection_scope(request: h11.Request, *, is_secure: bool = False) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    path, raw_path, query = split_target(request)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii"),
        "scheme": "https" if is_secure else "http",
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(bytes(name), bytes(value)) for name, value in request.headers],
        "client": None,
        "server": None,
        "state": {},
    }
