"""The whole gateway over its TCP port: moderators and metrics see the real state."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from gateway.config import Config
from gateway.server import Server, open_server
from tests.front_door.memory_front_door import Answer, connect_tcp, open_websocket, parse, read_all, request

CONFIG = Config(port=0, media_port=0, admin_token="open-sesame")
ADMIN = {"Authorization": "Bearer open-sesame"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with open_server(CONFIG) as running:
        yield running


async def ask(server: Server, data: bytes) -> Answer:
    async with await connect_tcp(server) as stream:
        await stream.send_all(data)
        return parse(await read_all(stream))


async def figures(server: Server) -> dict[str, float]:
    """Return the metrics without labels."""
    lines = (await ask(server, request("/metrics"))).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name.isidentifier()}


@asynccontextmanager
async def joined(server: Server, user: str) -> AsyncIterator[WebSocketConnection]:
    """Connect a client that joins the kitchen."""
    async with await connect_tcp(server) as stream, trio.open_nursery() as nursery:
        websocket = await open_websocket(nursery, stream)
        join = {"id": 1, "type": "join", "data": {"channelId": "kitchen", "username": user, "userId": user}}
        await websocket.send_message(json.dumps(join))
        answer: dict[str, Any] = json.loads(await websocket.get_message())
        assert answer["type"] == "ok", answer
        yield websocket
        await websocket.aclose()
        nursery.cancel_scope.cancel()


async def close_code(websocket: WebSocketConnection) -> int | None:
    """Read until the connection is closed."""
    try:
        while True:
            await websocket.get_message()
    except ConnectionClosed as closed:
        return closed.reason.code if closed.reason else None


async def test_the_subprotocol_is_agreed_on(server: Server) -> None:
    async with joined(server, "alice") as websocket:
        assert websocket.subprotocol == "trio-sfu.v1"


async def test_the_metrics_count_the_clients_and_return_to_zero(server: Server) -> None:
    names = ("sfu_sessions", "sfu_channels", "sfu_members", "sfu_peers", "sfu_transports")
    async with joined(server, "alice"), joined(server, "bob"):
        now = await figures(server)
        assert [now[name] for name in names] == [2, 1, 2, 2, 0]
        assert now["sfu_joins_total"] == 2
    with trio.fail_after(5):
        await server.front_door.wait_empty()
    now = await figures(server)
    assert [now[name] for name in names] == [0, 0, 0, 0, 0]
    assert now["sfu_leave_to_told_seconds_count"] == 2


async def test_a_moderator_sees_a_participant_and_removes_it_with_4403(server: Server) -> None:
    async with joined(server, "alice") as alice, joined(server, "bob") as bob:
        listed = await ask(server, request("/api/channels", headers=ADMIN))
        assert listed.json == {"channels": [{"channelId": "kitchen", "members": 2, "locked": False}]}
        removed = await ask(server, request("/api/channels/kitchen/participants/alice", "DELETE", ADMIN))
        assert removed.status == 204
        assert await close_code(alice) == 4403
        received: dict[str, Any] = json.loads(await bob.get_message())
        assert (received["type"], received["data"]["type"], received["data"]["reason"]) == (
            "voice_state",
            "user_left",
            "removed",
        )
        gone = await ask(server, request("/api/channels/kitchen/participants/alice", "DELETE", ADMIN))
        assert gone.status == 404
