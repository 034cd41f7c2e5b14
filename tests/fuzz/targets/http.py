"""The head of an HTTP request, and everything that the gateway decides by it: path, host, origin, upgrade, body."""

from collections.abc import Sequence
from typing import Final

import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import Request

from gateway.config import Config
from gateway.config.hosts import AllowedHosts
from gateway.http import asgi
from gateway.http.host_check import check_host
from gateway.http.http1 import ClientGone, Exchange, HttpError, NotHttp, has_body
from gateway.http.upgrade import check_upgrade, handshake_of
from sfu.streams import may_begin

_CONFIG: Final = Config(max_request_head_bytes=1024, max_request_body_bytes=512)
_HOSTS: Final = AllowedHosts.of(["call.example.org"])
_ORIGINS: Final = ("https://call.example.org", "null")
_STATUS: Final = frozenset({400, 403, 404, 405, 408, 413, 421, 426, 431, 501})


class Pieces(trio.abc.Stream):
    """The client's bytes, at most so many at a time, and then the end of the stream.  It keeps the answer."""

    def __init__(self, data: bytes, piece: int) -> None:
        self.rest = data
        self.piece = piece
        self.answer = b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        size = min(self.piece, max_bytes or self.piece)
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.answer += data

    async def wait_send_all_might_not_block(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


def check(data: bytes) -> None:
    outcome = trio.run(_exchange, data, 1 << 16)
    # The result does not depend on where TCP cut the bytes, up to the limits.
    if outcome is not None and len(data) < _CONFIG.max_request_head_bytes:
        assert trio.run(_exchange, data, 7) == outcome


async def _exchange(data: bytes, piece: int) -> Sequence[object] | None:
    stream = Pieces(data, piece)
    exchange = Exchange(stream, _CONFIG, may_begin)
    try:
        if not await exchange.read_head():
            assert not data
            return None
        decided = await _decide(exchange)
    except NotHttp as other:
        assert may_begin(data[:1])
        assert data.startswith(other.data)
        return None
    except ClientGone:
        return None
    except HttpError as error:
        assert error.status in _STATUS, error
        await exchange.refuse(error)
        _check_answer(stream.answer, error.status)
        return (error.status,)  # its message may quote what came so far
    return decided


async def _decide(exchange: Exchange) -> Sequence[object]:
    """Decide as the front door does, but in both ways: as a WebSocket and as a request with a body."""
    request = exchange.request
    assert len(request.target) < _CONFIG.max_request_head_bytes
    asgi.connection_scope(request)
    path, *rest = asgi.split_target(request)
    assert path.startswith("/")
    assert path.isprintable() or not any(ord(character) < 32 for character in path)
    check_host(request, _HOSTS)
    try:
        check_upgrade(request, _ORIGINS)
    except HttpError as error:
        assert error.status in _STATUS, error
        upgrade = error.status
    else:
        upgrade = 101
        _check_handshake(handshake_of(request))
    body = await exchange.read_body()
    assert len(body) <= _CONFIG.max_request_body_bytes
    assert has_body(request) or not body
    return (path, *rest, upgrade, body)


def _check_handshake(head: bytes) -> None:
    """The reduced handshake is one that the WebSocket library accepts, and its reduction changes nothing more."""
    connection = WSConnection(ConnectionType.SERVER)
    connection.receive_data(head)
    [event] = connection.events()
    assert isinstance(event, Request)
    again = h11.Connection(h11.SERVER)
    again.receive_data(head)
    request = again.next_event()
    assert isinstance(request, h11.Request)
    assert handshake_of(request) == head


def _check_answer(answer: bytes, status: int) -> None:
    """A refusal is one well-formed response, whose message cannot add a header."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.receive_data(answer)
    while isinstance(response := client.next_event(), h11.InformationalResponse):
        pass
    assert isinstance(response, h11.Response)
    assert response.status_code == status
    known = {b"content-type", b"content-length", b"cache-control", b"x-content-type-options", b"date", b"connection"}
    assert {name for name, _ in response.headers} <= known | {b"allow", b"upgrade", b"sec-websocket-version"}
