"""A WebSocket server for tests of the client: it runs a test's script over a stream in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio_websocket
from trio.testing import memory_stream_pair
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection
from wsproto.events import Request as WebSocketRequest

from protocol import decode_request, encode
from protocol.client import Client, Timeouts, connect_over
from protocol.declarations import OkData
from protocol.limits import SUBPROTOCOL
from protocol.requests import Request
from protocol.responses import Done, Ok

WebSocket = trio_websocket.WebSocketConnection
StreamPair = Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]]
Script = Callable[[WebSocket], Awaitable[None]]
TIMEOUTS = Timeouts(connect=5, request=5, goodbye=1, ping_interval=None)


async def next_request(websocket: WebSocket) -> Request:
    """Return the next request of the client."""
    return decode_request(await websocket.get_message())


async def answer(websocket: WebSocket, request: Request, data: OkData | None = None) -> None:
    """Answer a request with ``ok``."""
    await websocket.send_message(encode(Ok(request.id, data or Done())))


async def answer_everything(websocket: WebSocket) -> None:
    """Answer each request with an empty ``ok`` until the client disconnects."""
    try:
        while True:
            await answer(websocket, await next_request(websocket))
    except trio_websocket.ConnectionClosed:
        pass


async def until_gone(websocket: WebSocket) -> int:
    """Read until the connection is closed, and return the close code."""
    try:
        while True:
            await websocket.get_message()
    except trio_websocket.ConnectionClosed as closed:
        return closed.reason.code if closed.reason else 1006


async def stay(websocket: WebSocket) -> None:
    """Read until the client disconnects."""
    await until_gone(websocket)


async def serve(
    stream: trio.abc.Stream,
    script: Script,
    subprotocol: str | None = SUBPROTOCOL,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept one WebSocket on ``stream`` and run ``script`` on it."""
    task_status.started()
    async with trio.open_nursery() as nursery:
        request = await trio_websocket.wrap_server_stream(nursery, stream, max_message_size=2**20)
        websocket = await request.accept(subprotocol=subprotocol)
        await script(websocket)
        nursery.cancel_scope.cancel()


async def serve_deaf(stream: trio.abc.Stream) -> None:
    """Accept one WebSocket on ``stream``, and never read or write again."""
    connection = WSConnection(ConnectionType.SERVER)
    while True:
        connection.receive_data(bytes(await stream.receive_some()))
        if any(isinstance(event, WebSocketRequest) for event in connection.events()):
            await stream.send_all(connection.send(AcceptConnection(subprotocol=SUBPROTOCOL)))
            await trio.sleep_forever()


@asynccontextmanager
async def client_of(
    script: Script,
    timeouts: Timeouts = TIMEOUTS,
    stream_pair: StreamPair = memory_stream_pair,
    **options: Any,
) -> AsyncIterator[Client]:
    """Connect a client to a server that runs ``script``. Leaving the block requires that the script ended well."""
    ours, theirs = stream_pair()
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, theirs, script)
        async with connect_over(ours, timeouts=timeouts, **options) as client:
            yield client
