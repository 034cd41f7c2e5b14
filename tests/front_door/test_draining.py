"""The stop of a gateway."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
import trio
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection

from gateway.config import Config
from gateway.presence.store import FILE_NAME
from gateway.server import Server, open_server
from tests.front_door.memory_front_door import Answer, connect_tcp, open_websocket, parse, read_all, request, upgrade

CONFIG = Config(port=0, media_port=0, join_timeout=1000)


@asynccontextmanager
async def connect(server: Server) -> AsyncIterator[WebSocketConnection]:
    """Connect a WebSocket client to this server without sockets."""
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, far)
        yield await open_websocket(nursery, near)
        nursery.cancel_scope.cancel()


async def ask(server: Server, data: bytes) -> Answer:
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, far)
        await near.send_all(data)
        received = await read_all(near)
        await near.aclose()
    return parse(received)


async def messages_until_closed(websocket: WebSocketConnection) -> tuple[list[Any], int | None]:
    """Return the remaining messages and the close code."""
    messages = []
    while True:
        try:
            messages.append(json.loads(await websocket.get_message()))
        except ConnectionClosed as closed:
            return messages, closed.reason.code if closed.reason else None


async def test_draining_without_clients_ends_at_once(autojump_clock: MockClock) -> None:
    async with open_server(CONFIG, listeners=()) as server:
        await server.drain()
    assert trio.current_time() == 0


async def test_draining_ends_when_the_last_client_has_left(autojump_clock: MockClock) -> None:
    async with open_server(CONFIG, listeners=()) as server, connect(server) as first, connect(server) as second:

        async def leave(websocket: WebSocketConnection, after: float) -> None:
            await trio.sleep(after)
            await websocket.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave, first, 2)
            nursery.start_soon(leave, second, 3)
            await server.drain()
            assert trio.current_time() == pytest.approx(3, abs=0.1)


async def test_clients_that_stay_are_closed_with_1001_when_the_time_is_up(autojump_clock: MockClock) -> None:
    async with open_server(CONFIG, listeners=()) as server, connect(server) as websocket:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain)
            messages, code = await messages_until_closed(websocket)
        assert trio.current_time() == pytest.approx(CONFIG.drain_timeout, abs=0.5)
        assert code == 1001
        assert [(message["type"], message["data"]["code"]) for message in messages] == [("closing", 1001)]


async def test_a_successor_gets_the_place_when_nobody_is_on_a_list_any_more(autojump_clock: MockClock) -> None:
    on_lists = []
    async with open_server(CONFIG, listeners=()) as server:
        async with connect(server) as websocket, trio.open_nursery() as nursery:
            join = {"id": 1, "type": "join", "data": {"channelId": "lobby", "username": "Ada"}}
            await websocket.send_message(json.dumps(join))
            await websocket.get_message()
            assert server.gateway.channels.counts().members == 1
            nursery.start_soon(
                server.hand_over, lambda: on_lists.append(server.gateway.channels.counts().members), name="hand over"
            )
            messages, code = await messages_until_closed(websocket)
        assert on_lists == [0]
        assert code == 1012
        assert messages[-1]["type"] == "closing"
        assert 250 <= messages[-1]["data"]["retryAfterMs"] <= 1000
        assert "url" not in messages[-1]["data"]


async def test_the_ports_are_free_as_soon_as_the_handover_begins() -> None:
    async with open_server(CONFIG) as server:
        host, port = server.doors._listening[0][1][0].socket.getsockname()
        server.doors.stop_listening()
        with trio.socket.socket() as taken:
            await taken.bind((host, port))


async def test_a_draining_gateway_refuses_clients_and_answers_http(autojump_clock: MockClock) -> None:
    async with open_server(CONFIG, listeners=()) as server, connect(server) as websocket:
        assert (await ask(server, request("/readyz"))).status == 200
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain)
            await trio.testing.wait_all_tasks_blocked()
            assert (await ask(server, request("/readyz"))).status == 503
            assert (await ask(server, request("/healthz"))).status == 200
            refused = await ask(server, upgrade())
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            assert "going away" in refused.text
            assert websocket.closed is None
            await websocket.aclose()


async def test_leaving_the_block_ends_every_client() -> None:
    async with trio.open_nursery() as nursery:
        async with open_server(CONFIG) as server:
            stream = await connect_tcp(server)
            websocket = await open_websocket(nursery, stream)
        async with stream:
            _, code = await messages_until_closed(websocket)
        nursery.cancel_scope.cancel()
    assert code == 1001
    assert server.front_door.clients == 0


async def test_cancelling_it_ends_every_client_with_its_goodbye(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    async with trio.open_nursery() as client_nursery:
        with trio.CancelScope() as scope:
            async with open_server(CONFIG, listeners=()) as server, trio.open_nursery() as nursery:
                nursery.start_soon(server.serve_stream, far)
                websocket = await open_websocket(client_nursery, near)
                scope.cancel()
        _, code = await messages_until_closed(websocket)
        client_nursery.cancel_scope.cancel()
    assert code == 1001
    assert trio.current_time() < 1


async def test_a_client_that_does_not_end_is_ended_by_force() -> None:
    events = []

    async def deaf(stream: trio.abc.Stream, *, gateway: object, remote: str) -> None:
        try:
            await stream.send_all(b"in")
            await trio.sleep_forever()
        finally:
            events.append("cancelled")

    config = attrs.evolve(CONFIG, exit_timeout=0.01, courtesy_timeout=0.01, goodbye_timeout=0.01)
    with structlog.testing.capture_logs() as logs:
        async with open_server(config, serve_client=deaf) as server:
            stream = await connect_tcp(server)
            await stream.send_all(upgrade())
            assert await stream.receive_some() == b"in"
        await stream.aclose()
    assert events == ["cancelled"]
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["clients ended by force"]


async def test_over_sockets_it_ends_with_the_listener_closed() -> None:
    async with open_server(CONFIG) as server:
        stream = await connect_tcp(server)
        await stream.send_all(request("/healthz"))
        assert parse(await read_all(stream)).text == "ok\n"
        await stream.aclose()
    with pytest.raises(OSError, match="connect"):
        await connect_tcp(server)


async def test_the_journal_is_closed_before_a_successor_gets_the_place(tmp_path: Path) -> None:
    released: list[bool] = []

    def release() -> None:
        # In this mode SQLite refuses whoever is not alone with the file.
        with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=0, isolation_level=None)) as successor:
            successor.execute("PRAGMA locking_mode = EXCLUSIVE")
            successor.execute("BEGIN EXCLUSIVE")
        released.append(True)

    async with open_server(attrs.evolve(CONFIG, state_dir=tmp_path), listeners=()) as server:
        await server.hand_over(release)
    assert released == [True]
