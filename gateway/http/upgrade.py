"""The checks of a WebSocket handshake on ``/ws`` (RFC 6455 section 4.2.1).

They all run before the WebSocket library sees the request, because the library waits for ever for a handshake that it
cannot read.
"""

import binascii
from collections.abc import Sequence
from http import HTTPStatus

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.events import RejectConnection, Request
from wsproto.utilities import RemoteProtocolError

from gateway.config.origins import parse_origin
from gateway.http.http1 import HttpError, has_body
from protocol.limits import PATH, SUBPROTOCOL


def handshake_of(request: h11.Request) -> bytes:
    """Return the head of the request again, reduced to the handshake.

    The WebSocket library keeps every header while the connection lives, and cookies alone may be 32 KiB.
    """
    start = b"%s %s HTTP/%s\r\n" % (request.method, request.target, request.http_version)
    kept = (b"%s: %s\r\n" % item for item in request.headers.raw_items() if _is_of_handshake(item[0].lower()))
    return start + b"".join(kept) + b"\r\n"


def _is_of_handshake(name: bytes) -> bool:
    return name in {b"host", b"connection", b"upgrade", b"origin"} or name.startswith(b"sec-websocket-")


def check_upgrade(request: h11.Request, allowed_origins: Sequence[str], *, is_secure: bool = False) -> None:
    """Check that a WebSocket may begin. ``is_secure`` says whether the request came over TLS.

    Raises :exc:`HttpError` 400, 403, 405 or 426, with the reason in words.
    """
    if request.method not in {b"GET", b"HEAD"}:
        raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, f"{PATH} is for WebSockets only", [(b"allow", b"GET")])
    names = dict(request.headers)
    if b"upgrade" not in names:
        raise HttpError(
            HTTPStatus.UPGRADE_REQUIRED,
            f"{PATH} is for WebSockets only (RFC 6455), subprotocol {SUBPROTOCOL}",
            [(b"upgrade", b"websocket")],
        )
    if has_body(request):
        raise HttpError(HTTPStatus.BAD_REQUEST, "a WebSocket handshake must have no body")
    if request.http_version < b"1.1":
        raise HttpError(HTTPStatus.BAD_REQUEST, "a WebSocket handshake needs HTTP/1.1")
    keys = [value for name, value in request.headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HttpError(HTTPStatus.BAD_REQUEST, "the request must have one Sec-WebSocket-Key, 16 bytes in base64")
    handshake = _parse_handshake(handshake_of(request))
    if handshake.subprotocols and SUBPROTOCOL not in handshake.subprotocols:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"this gateway speaks only the subprotocol {SUBPROTOCOL}")
    for name, value in request.headers:  # A request should have one origin. Each of several must be allowed.
        if name == b"origin":
            _check_origin(value, names.get(b"host", b""), allowed_origins, is_secure=is_secure)


def _is_key(value: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(value, strict_mode=True)) == 16
    except binascii.Error:
        return False


def _parse_handshake(head: bytes) -> Request:
    """Parse the handshake as the WebSocket library will."""
    connection = WSConnection(ConnectionType.SERVER)
    try:
        connection.receive_data(head)
        event = next(iter(connection.events()), None)
    except UnicodeError:
        raise HttpError(HTTPStatus.BAD_REQUEST, "a header of the WebSocket handshake is not text") from None
    except RemoteProtocolError as error:
        hint = error.event_hint
        status, headers = (hint.status_code, hint.headers) if isinstance(hint, RejectConnection) else (400, [])
        raise HttpError(status, f"this is not a WebSocket handshake: {error}", headers) from None
    if not isinstance(event, Request):
        raise HttpError(HTTPStatus.BAD_REQUEST, "this is not a WebSocket handshake")
    return event


def _check_origin(header: bytes, host: bytes, allowed: Sequence[str], *, is_secure: bool) -> None:
    """Check the site of the page, as the browser states it."""
    if "*" in allowed:
        return
    named = header.decode("latin-1")
    try:
        origin = parse_origin(named)
    except ValueError:
        pass
    else:
        is_own = not allowed and origin.matches_host(host.decode("latin-1"), is_secure=is_secure)
        if is_own or origin in map(parse_origin, allowed):
            return
    shown = ", ".join(allowed) if allowed else "this gateway's own host"
    raise HttpError(HTTPStatus.FORBIDDEN, f"pages from {named!r} may not connect, only those from {shown}")
