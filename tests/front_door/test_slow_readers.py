"""A client that does not read its response uses resources for a short time only."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest
import trio
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from trio.testing import MockClock, lockstep_stream_pair

from gateway.config import Config
from tests.front_door.memory_front_door import Door, drip, parse, read_all, request

PIECE = 64 * 1024


async def large_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with one megabyte in one piece."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % 2**20)]})
    await send({"type": "http.response.body", "body": bytes(2**20)})


async def test_a_client_that_never_reads_is_dropped_after_the_time_of_one_send(autojump_clock: MockClock) -> None:
    door = Door(app=large_app)
    client, server = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, request())
        await door.front.serve(server, "somewhere:1")
    assert trio.current_time() == pytest.approx(door.config.response_timeout)
    assert door.front.http_connections == 0
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"still there?")


async def test_a_client_that_stops_reading_is_dropped_after_the_time_of_one_send(
    autojump_clock: MockClock,
) -> None:
    door = Door(app=large_app)
    client, server = lockstep_stream_pair()

    async def read_half() -> None:
        await client.send_all(request())
        received = 0
        while received < 2**19:
            received += len(await client.receive_some())
        await trio.sleep(3)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_half)
        await door.front.serve(server, "somewhere:1")
    assert trio.current_time() == pytest.approx(door.config.response_timeout)


async def test_a_slow_reader_is_dropped_when_the_whole_response_takes_too_long(
    autojump_clock: MockClock,
) -> None:
    door = Door(Config(response_total_timeout=60), app=large_app)
    client, server = lockstep_stream_pair()

    async def sip() -> None:
        await client.send_all(request())
        async for _ in client:
            await trio.sleep(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sip)
        await door.front.serve(server, "somewhere:1")
        assert trio.current_time() == pytest.approx(60)


async def test_a_client_that_reads_slowly_but_steadily_gets_all_of_it(autojump_clock: MockClock) -> None:
    door = Door(app=large_app)
    client, server = lockstep_stream_pair()
    received = bytearray()

    async def read_steadily() -> None:
        await client.send_all(request())
        while data := await client.receive_some(PIECE // 2):
            received.extend(data)
            await trio.sleep(4)
        await client.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_steadily)
        await door.front.serve(server, "somewhere:1")
    answer = parse(bytes(received))
    assert answer.complete
    assert len(answer.body) == 2**20


async def test_a_client_that_does_not_read_a_refusal_is_dropped_too(autojump_clock: MockClock) -> None:
    door = Door()
    client, server = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, b"no request\r\n\r\n")
        await door.front.serve(server, "somewhere:1")
    assert trio.current_time() == pytest.approx(door.config.response_timeout)


async def test_a_response_is_sent_as_it_comes() -> None:
    second_may_come = trio.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            await second_may_come.wait()
            yield b"second"

        await StreamingResponse(parts())(scope, receive, send)

    client, server = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Door(app=stream).front.serve, server, "somewhere:1")
        await client.send_all(request())
        received = b""
        while b"first" not in received:
            received += await client.receive_some()
        assert b"second" not in received
        second_may_come.set()
        received += await read_all(client)
    assert parse(received).body == b"firstsecond"


async def streaming_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with one megabyte in many pieces, through the framework."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for _ in range(16):
            yield bytes(PIECE)
            await trio.lowlevel.checkpoint()

    # the framework leaves it to the garbage collector, which may run at any time
    async with aclosing(pieces()) as body:
        await StreamingResponse(body)(scope, receive, send)


@pytest.mark.parametrize("app", [large_app, streaming_app])
async def test_a_client_that_disconnects_during_the_response_is_no_error(app: ASGIApp) -> None:
    door = Door(app=app)
    client, server = lockstep_stream_pair()

    async def go() -> None:
        await client.send_all(request())
        await client.receive_some()
        await client.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go)
        await door.front.serve(server, "somewhere:1")
    assert b"sfu_connection_errors_total 0.0" in door.metrics.render()


async def test_slow_senders_and_silent_readers_disturb_no_other_client(autojump_clock: MockClock) -> None:
    door = Door(app=large_app)
    deaf, deaf_server = lockstep_stream_pair()
    slow, slow_server = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        for server in (deaf_server, slow_server):
            nursery.start_soon(door.front.serve, server, "somewhere:1")
        nursery.start_soon(deaf.send_all, request())
        nursery.start_soon(drip, slow, b"GET /", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert len((await door.ask(request())).body) == 2**20
        assert trio.current_time() == 0
