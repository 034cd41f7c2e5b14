"""The beginning and the end of the Python client's connection: in bounded time, with nothing left behind."""

import math
import socket
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
import trio_websocket
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from protocol.client import ConnectError, ConnectionClosed, Timeouts, connect, connect_over
from protocol.limits import SUBPROTOCOL
from tests.protocol.scripted_server import (
    TIMEOUTS,
    StreamPair,
    WebSocket,
    answer_everything,
    client_of,
    next_request,
    serve,
    serve_deaf,
    stay,
    until_gone,
)


class BodyError(Exception):
    """The program raises this inside the block."""


def closes_seen(codes: list[int]) -> Callable[[WebSocket], Awaitable[None]]:
    async def script(websocket: WebSocket) -> None:
        codes.append(await until_gone(websocket))

    return script


async def test_leaving_the_block_closes_with_1000() -> None:
    codes: list[int] = []
    async with client_of(closes_seen(codes)):
        pass
    assert codes == [1000]


async def test_a_cancelled_block_still_says_goodbye_and_costs_no_time(autojump_clock: MockClock) -> None:
    codes: list[int] = []
    async with trio.open_nursery() as nursery:
        ours, theirs = memory_stream_pair()
        nursery.start_soon(serve, theirs, closes_seen(codes))
        started = trio.current_time()
        with trio.CancelScope() as program:
            async with connect_over(ours, timeouts=TIMEOUTS):
                program.cancel()
                await trio.sleep_forever()
        assert trio.current_time() == started
    assert codes == [1000]


async def test_requests_made_before_leaving_are_still_sent() -> None:
    leaving = trio.Event()
    seen = []

    async def script(websocket: WebSocket) -> None:
        await leaving.wait()  # until then the requests pile up in the client
        for _ in range(5):
            seen.append(await next_request(websocket))
        await stay(websocket)

    async with client_of(script, stream_pair=lockstep_stream_pair) as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(client.ping)
        await trio.testing.wait_all_tasks_blocked()
        leaving.set()
        nursery.cancel_scope.cancel()
    assert [request.type for request in seen] == ["ping"] * 5


async def test_an_exception_of_the_block_comes_out_unchanged() -> None:
    error = BodyError()
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, theirs, stay)
        with pytest.raises(BodyError) as caught:
            async with connect_over(ours, timeouts=TIMEOUTS):
                raise error
    assert caught.value is error
    assert caught.value.__context__ is None


@pytest.mark.parametrize("stream_pair", [memory_stream_pair, lockstep_stream_pair])
async def test_a_server_that_stopped_reading_costs_one_goodbye(
    stream_pair: StreamPair, autojump_clock: MockClock
) -> None:
    ours, theirs = stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_deaf, theirs)
        async with connect_over(ours, timeouts=TIMEOUTS) as client:
            with trio.move_on_after(1):
                await client.leave()
            started = trio.current_time()
        assert trio.current_time() - started == TIMEOUTS.goodbye
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")


@pytest.mark.parametrize(("timeouts", "seconds"), [(Timeouts(ping_interval=5, pong=2), 7), (Timeouts(), 20)])
async def test_a_server_that_does_not_answer_pings_is_given_up(
    autojump_clock: MockClock, timeouts: Timeouts, seconds: float
) -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_deaf, theirs)
        async with connect_over(ours, timeouts=timeouts) as client:
            started = trio.current_time()
            with pytest.raises(ConnectionClosed) as caught:
                await anext(client.events())
            assert trio.current_time() - started == seconds
            with pytest.raises(ConnectionClosed):
                await client.ping()
        assert trio.current_time() - started == seconds
        nursery.cancel_scope.cancel()
    assert caught.value.code == 1006
    assert "ping" in caught.value.reason


async def test_a_server_that_answers_pings_is_kept(autojump_clock: MockClock) -> None:
    async with client_of(answer_everything, Timeouts(ping_interval=5, pong=2)) as client:
        await trio.sleep(100)
        await client.ping()


async def test_a_connection_that_breaks_ends_with_1006() -> None:
    ours, theirs = memory_stream_pair()

    async def script(_: WebSocket) -> None:
        await trio.aclose_forcefully(theirs)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, theirs, script)
        async with connect_over(ours, timeouts=TIMEOUTS) as client:
            with pytest.raises(ConnectionClosed) as caught:
                await anext(client.events())
    assert caught.value.code == 1006


async def test_both_sides_closing_at_once_is_no_error() -> None:
    async def script(websocket: WebSocket) -> None:
        await websocket.aclose(1001)

    for _ in range(5):
        async with client_of(script):
            await trio.lowlevel.checkpoint()


async def test_a_refusal_carries_its_status_and_body() -> None:
    async def refuse(stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, stream)
            assert request.proposed_subprotocols == (SUBPROTOCOL,)
            await request.reject(400, body=b"speaks trio-sfu.v2")
            nursery.cancel_scope.cancel()

    with pytest.raises(ConnectError) as caught:
        await _connect_to(refuse)
    assert (caught.value.status, caught.value.body) == (400, b"speaks trio-sfu.v2")


async def test_a_refusal_without_a_body_is_understood() -> None:
    async def refuse(stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, stream)
            await request.reject(503)
            nursery.cancel_scope.cancel()

    with pytest.raises(ConnectError) as caught:
        await _connect_to(refuse)
    assert (caught.value.status, caught.value.body) == (503, b"")


async def test_a_refused_connection_is_reported_as_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectError, match="Connection refused"):
        async with connect(f"ws://127.0.0.1:{port}/ws"):
            pass


async def test_a_server_that_closes_instead_of_answering_is_noticed_at_once(autojump_clock: MockClock) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.aclose()

    started = trio.current_time()
    with pytest.raises(ConnectError):
        await _connect_to(hang_up)
    assert trio.current_time() == started


async def test_a_server_that_never_answers_is_given_up(autojump_clock: MockClock) -> None:
    async def say_nothing(_: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    started = trio.current_time()
    with pytest.raises(ConnectError):
        await _connect_to(say_nothing)
    assert trio.current_time() - started == TIMEOUTS.connect


async def test_a_server_that_speaks_no_http_is_refused() -> None:
    async def chatter(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"220 mail.example.org ESMTP\r\n\r\n" * 100)
        await trio.sleep_forever()

    with pytest.raises(ConnectError):
        await _connect_to(chatter)


async def test_a_server_that_does_not_choose_the_subprotocol_is_refused() -> None:
    async def serve_without(stream: trio.abc.Stream) -> None:
        await serve(stream, stay, subprotocol=None)

    with pytest.raises(ConnectError, match="trio-sfu"):
        await _connect_to(serve_without)


async def _connect_to(server: Callable[[trio.abc.Stream], Awaitable[object]]) -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server, theirs)
        try:
            async with connect_over(ours, timeouts=TIMEOUTS):
                pass
        except ConnectError as error:
            refusal = error
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")
    raise refusal


async def test_a_url_leads_to_the_server_over_tcp() -> None:
    async with trio.open_nursery() as nursery:

        async def serve_one(stream: trio.SocketStream) -> None:
            await serve(stream, answer_everything)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve_one, listeners)
        port = listeners[0].socket.getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/ws?x=1", timeouts=TIMEOUTS) as client:
            await client.ping()
        nursery.cancel_scope.cancel()


async def test_a_port_without_a_listener_is_a_connect_error() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(ConnectError):
        async with connect(f"ws://127.0.0.1:{port}/ws"):
            pass


@pytest.mark.parametrize("url", ["http://127.0.0.1/ws", "ws:///ws", "127.0.0.1:8080", ""])
async def test_a_url_of_another_scheme_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        async with connect(url):
            pass


async def test_nothing_is_left_of_a_connection() -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    for _ in range(3):
        async with client_of(answer_everything) as client:
            await client.ping()
    assert trio.lowlevel.current_statistics().tasks_living == before


def test_every_wait_has_a_bound_by_default() -> None:
    assert all(0 < value < math.inf for value in attrs.astuple(Timeouts()))
