"""Whether a request for ``/ws`` may become a WebSocket (RFC 6455 section 4.2.1).

Everything is checked here, before the WebSocket library sees it: a handshake that library cannot read makes it wait
for ever.
"""

import binascii
from collections.abc import Sequence
from http import HTTPStatus

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.events import RejectConnection, Request
from wsproto.utilities import RemoteProtocolError

from gateway.config.origins import parse_origin
from gateway.http.http1 import HttpError
from protocol.limits import PATH, SUBPROTOCOL


def handshake_of(request: h11.Request) -> bytes:
    """The head of the request again, with nothing in it but the handshake.

    The WebSocket library keeps every header for as long as the connection lives, and cookies alone may be 32 KiB.
    """
    start = b"%s %s HTTP/%s\r\n" % (request.method, request.target, request.http_version)
    kept = (b"%s: %s\r\n" % item for item in request.headers.raw_items() if _is_of_handshake(item[0].lower()))
    return start + b"".join(kept) + b"\r\n"


def _is_of_handshake(name: bytes) -> bool:
    return name in {b"host", b"connection", b"upgrade", b"origin"} or name.startswith(b"sec-websocket-")


def check_upgrade(request: h11.Request, allowed_origins: Sequence[str]) -> None:
    """Return when a WebSocket may begin.

    Raises :exc:`HttpError` 400, 403, 405 or 426, in words.
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
    if names.get(b"transfer-encoding") or int(names.get(b"content-length", b"0")):
        raise HttpError(HTTPStatus.BAD_REQUEST, "a WebSocket handshake has no body")
    if request.http_version < b"1.1":
        raise HttpError(HTTPStatus.BAD_REQUEST, "a WebSocket handshake needs HTTP/1.1")
    keys = [value for name, value in request.headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HttpError(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must be there once, 16 bytes in base64")
    handshake = _parse_handshake(handshake_of(request))
    if handshake.subprotocols and SUBPROTOCOL not in handshake.subprotocols:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"no subprotocol in common; spoken here: {SUBPROTOCOL}")
    for name, value in request.headers:  # there should be one; of several each must be let in
        if name == b"origin":
            _check_origin(value, names.get(b"host", b""), allowed_origins)


def _is_key(value: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(value, strict_mode=True)) == 16
    except binascii.Error:
        return False


def _parse_handshake(head: bytes) -> Request:
    """What the WebSocket library will make of the handshake."""
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


def _check_origin(header: bytes, host: bytes, allowed: Sequence[str]) -> None:
    """Browsers say from which site a page is; only those sites' pages may connect that we know."""
    if "*" in allowed:
        return
    named = header.decode("latin-1")
    try:
        origin = parse_origin(named)
    except ValueError:
        pass
    else:
        if origin in map(parse_origin, allowed) or (not allowed and origin.matches_host(host.decode("latin-1"))):
            return
    shown = ", ".join(allowed) if allowed else "this gateway's own host"
    raise HttpError(HTTPStatus.FORBIDDEN, f"pages from {named!r} may not connect, only those from {shown}")
