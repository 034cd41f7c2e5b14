"""The bench sends requests to Janus over its WebSocket API. In these tests a few lines stand in for Janus."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from tools.bench.conference import open_pool
from tools.bench.janus.contestant import JanusError, JanusMember, Message
from tools.light import Identity

SESSION, HANDLE, FEED = 11, 22, 33
LEAVING: Message = {"janus": "event", "plugindata": {"data": {"leaving": FEED}}}
JSEP = {"type": "answer", "sdp": "v=0"}


def answers_to(asked: Message) -> list[Message]:
    """Return Janus' replies to a request. An acknowledgement comes before a plugin's answer."""
    transaction = {"transaction": asked["transaction"]}
    match asked:
        case {"janus": "create"}:
            return [{"janus": "success", "data": {"id": SESSION}} | transaction]
        case {"janus": "attach", "session_id": 11, "plugin": "videoroom"}:
            return [{"janus": "success", "data": {"id": HANDLE}} | transaction]
        case {"janus": "message", "session_id": 11, "handle_id": 22, "body": body}:
            data = {"error": "no such room"} if body["request"] == "destroy" else {"asked": body["request"]}
            event = {"janus": "event", "plugindata": {"data": data}, "jsep": JSEP} | transaction
            return [{"janus": "ack"} | transaction, LEAVING, event]
        case {"janus": "keepalive"}:
            return [{"janus": "ack"} | transaction]
    return [{"janus": "error", "error": {"reason": "no such session"}} | transaction]


@asynccontextmanager
async def open_stand_in() -> AsyncIterator[JanusMember]:
    async def serve(request: WebSocketRequest) -> None:
        connection = await request.accept(subprotocol="janus-protocol")
        try:
            while True:
                for answer in answers_to(json.loads(await connection.get_message())):
                    await connection.send_message(json.dumps(answer))
        except ConnectionClosed:
            pass

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, serve, "127.0.0.1", 0, ssl_context=None))
        address = ("127.0.0.1", server.port)
        async with open_pool(address) as pool:
            kind = partial(JanusMember, identity=Identity.new(), names={FEED: "Ada"}, tasks=nursery)
            member: JanusMember = await pool.open(kind)
            await member.begin()
            yield member
        nursery.cancel_scope.cancel()


async def test_a_plugins_answer_comes_with_its_description_and_other_events_are_handled() -> None:
    with trio.fail_after(10):
        async with open_stand_in() as member:
            handle = await member.attach("videoroom")
            answer = await member.ask(handle, {"request": "join"}, {"type": "offer", "sdp": "v=0"})
    assert answer == {"asked": "join", "jsep": JSEP}
    assert member.gone["Ada"].is_set()


async def test_refusals_of_janus_and_of_its_plugin_raise() -> None:
    with trio.fail_after(10):
        async with open_stand_in() as member:
            with pytest.raises(JanusError, match="attach: no such session"):
                await member.attach("no such plugin")
            with pytest.raises(JanusError, match="destroy: no such room"):
                await member.ask(HANDLE, {"request": "destroy"})


async def test_hanging_up_breaks_the_connection() -> None:
    with trio.fail_after(10):
        async with open_stand_in() as member:
            member.hang_up()
            assert member.close_code == 1006
