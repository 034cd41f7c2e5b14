"""Closing over real sockets, where closing with unread bytes loses the last message."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio_websocket

from gateway.config import Config
from gateway.server import Server, open_server
from protocol.limits import SUBPROTOCOL
from tests.session.memory_gateway import RawClient

MESSAGE = json.dumps({"id": 1, "type": "message", "data": {"data": 1}})


@asynccontextmanager
async def connected(server: Server, user: str) -> AsyncIterator[RawClient]:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:
        wrap: Any = trio_websocket.wrap_client_stream  # the annotations of trio-websocket know sockets only
        client = RawClient(await wrap(nursery, stream, "localhost", "/ws", subprotocols=[SUBPROTOCOL]), stream)
        nursery.start_soon(client.read)
        await client.join(user)
        yield client
        nursery.cancel_scope.cancel()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with open_server(Config(port=0, media_port=0)) as running:
        yield running


async def send_all(client: RawClient, *frames: str | bytes) -> None:
    """The client gets the reason although it still sends after the close."""
    try:
        for frame in frames:
            await client.raw(frame)
    except trio_websocket.ConnectionClosed:
        pass


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (["x" * (256 * 1024 + 1)], 1009),
        (["x" * (2 * 1024 * 1024)], 1009),
        ([b"binary", *[MESSAGE] * 200], 1003),
        ([b"x" * 300_000], 1003),
        (["nonsense"] * 500, 4400),
    ],
)
async def test_the_close_code_arrives_while_the_client_is_still_sending(
    server: Server, frames: list[str | bytes], code: int
) -> None:
    async with connected(server, "ada") as ada:
        await send_all(ada, *frames)
        with trio.fail_after(5):
            assert await ada.wait_closed() == code
        if len(frames[0]) <= 512 * 1024:  # a far too long message closes as a protocol fault, without a message
            assert ada.frames[-1]["type"] == "closing"
            assert ada.frames[-1]["data"]["code"] == code


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x81\x82\0\0\0\0\xff\xff", 1007), (b"\x83\x82\0\0\0\0xx", 1002), (b"\x81\x02xx", 1002), (b"GET / HTTP", 1002)],
)
async def test_a_client_that_breaks_the_websocket_protocol_gets_a_close_code(
    server: Server, data: bytes, code: int
) -> None:
    async with connected(server, "ada") as ada, connected(server, "ben") as ben:
        assert isinstance(ada.stream, trio.abc.Stream)
        await ada.stream.send_all(data + bytes(100_000))
        with trio.fail_after(5):
            assert await ada.wait_closed() == code
            assert await ben.ok("ping") == {}


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_that_ends_is_seen_at_once(server: Server, reset: bool) -> None:
    async with connected(server, "ben") as ben:
        async with connected(server, "ada") as ada:
            await ben.voice_state("user_joined")
            if reset:
                await ada.request("message", data=1)
            await trio.aclose_forcefully(ada.stream)
            with trio.fail_after(1):
                while (frame := await ben.next())["type"] != "voice_state":
                    pass
        assert (frame["data"]["type"], frame["data"]["reason"]) == ("user_left", "disconnected")
