"""A front door on in-memory streams, and a client that shows the answers."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import h11
import trio
import trio_websocket
from attrs import define, field, frozen
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from trio.testing import memory_stream_pair

from gateway.config import Config
from gateway.connection.accounts import Accounts
from gateway.http.front_door import FrontDoor
from gateway.ops.metrics import Metrics
from gateway.server import Server
from protocol.limits import SUBPROTOCOL

UPGRADE_HEADERS = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@frozen
class Answer:
    """A response as a client sees it. ``complete`` is False if the connection ended too early."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def parse(received: bytes, method: str = "GET") -> Answer:
    """Parse one response with nothing after it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.receive_data(received)
    client.receive_data(b"")
    while isinstance(event := client.next_event(), h11.InformationalResponse):
        pass
    assert isinstance(event, h11.Response), event
    body = bytearray()
    try:
        while isinstance(more := client.next_event(), h11.Data):
            body += more.data
    except h11.RemoteProtocolError:
        more = None
    headers = {name.decode(): value.decode() for name, value in event.headers}
    return Answer(event.status_code, headers, bytes(body), isinstance(more, h11.EndOfMessage))


def request(
    target: str = "/",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    host: str = "localhost",
) -> bytes:
    """Make the bytes of a request with exactly these headers and a Host."""
    lines = {"Host": host, **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def upgrade(target: str = "/ws", **changed: str | None) -> bytes:
    """Make a WebSocket handshake. ``changed`` replaces headers (with _ for -), or drops those that are None."""
    headers = dict(UPGRADE_HEADERS)
    for name, value in changed.items():
        known = next((key for key in headers if key.lower() == name.replace("_", "-").lower()), name.replace("_", "-"))
        headers.pop(known, None)
        if value is not None:
            headers[known] = value
    host = headers.pop("Host", None)
    data = request(target, headers=headers, host=host or "")
    return data if host is not None else data.replace(b"Host: \r\n", b"")


async def hello_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with a description of the request."""
    body = (await receive())["body"]
    text = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} {len(body)}"
    await PlainTextResponse(text)(scope, receive, send)


@define
class Clients:
    """Replaces the part that serves WebSockets: records the clients, and runs ``then`` on each."""

    then: Callable[[trio.abc.Stream], Awaitable[None]] | None = None
    came: list[str] = field(factory=list)
    heads: list[bytes] = field(factory=list)

    async def __call__(self, stream: trio.abc.Stream, remote: str) -> None:
        self.came.append(remote)
        if self.then is not None:
            await self.then(stream)
            return
        self.heads.append(bytes(await stream.receive_some()))
        await stream.send_all(b"HTTP/1.1 204 A client now\r\n\r\n")


@define
class Door:
    """A front door with its own application and clients."""

    config: Config = field(factory=Config)
    app: ASGIApp = hello_app
    clients: Clients = field(factory=Clients)
    metrics: Metrics = field(factory=Metrics)
    remote: str = "somewhere:1"
    accounts: Accounts = field(factory=lambda: Accounts(share=0.5, burst=10))
    front: FrontDoor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.front = FrontDoor(self.config, self.app, self.clients, self.metrics, accounts=self.accounts)

    async def raw(self, data: bytes) -> bytes:
        """Send these bytes on a new connection. Return the answer up to the close."""
        client, server = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.front.serve, server, self.remote)
            await client.send_all(data)
            received = await read_all(client)
            await client.aclose()
        return received

    async def ask(self, data: bytes, method: str = "GET") -> Answer:
        """Parse the answer of :meth:`raw` as a response."""
        return parse(await self.raw(data), method)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Return all bytes up to the end, which may be a reset."""
    received = bytearray()
    try:
        while data := await stream.receive_some():
            received += data
    except trio.BrokenResourceError:
        pass
    return bytes(received)


async def drip(stream: trio.abc.SendStream, data: bytes, every: float) -> None:
    """Send one byte at a time while the other side takes them."""
    with suppress(trio.BrokenResourceError):
        for byte in data:
            await stream.send_all(bytes([byte]))
            await trio.sleep(every)


async def open_websocket(nursery: trio.Nursery, stream: trio.abc.Stream) -> trio_websocket.WebSocketConnection:
    """Do the client's side of the handshake on this stream."""
    wrap: Any = trio_websocket.wrap_client_stream  # the annotations of trio-websocket know sockets only
    websocket: trio_websocket.WebSocketConnection = await wrap(
        nursery, stream, "localhost", "/ws", subprotocols=[SUBPROTOCOL]
    )
    return websocket


async def connect_tcp(server: Server) -> trio.SocketStream:
    """Connect through the server's listener."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    return await trio.open_tcp_stream(host.strip("[]"), int(port))


def put_in_debt(door: Door, address: str, seconds: float) -> None:
    """Let the clients of an address have used so much that it is paid in so many seconds."""
    account = door.accounts.of(address)
    assert account is not None
    account.charge(account.burst + seconds * account.rate, trio.current_time())
