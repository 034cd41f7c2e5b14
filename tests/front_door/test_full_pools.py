"""Connections that send little or nothing shut nobody out: neither clients nor health checks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from starlette.types import Receive, Scope, Send
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from gateway.config import Config
from gateway.http.half_open import Displaced, HalfOpen
from gateway.http.routes import make_app
from gateway.ops.metrics import Metrics
from gateway.server import open_server
from tests.front_door.memory_front_door import Door, connect_tcp, parse, read_all, request, upgrade
from tests.front_door.stand_ins import no_channels
from tests.front_door.test_http_refusals import happened

MANY = 1000


def make_door(config: Config) -> Door:
    """Make a front door with the routes of a gateway."""
    door = Door(config)
    door.front._app = make_app(config, Metrics(), no_channels(), lambda: door.front.is_ready)
    return door


@asynccontextmanager
async def held(door: Door, number: int, data: bytes) -> AsyncIterator[list[trio.abc.Stream]]:
    """Hold this many connections that have sent ``data`` and wait."""
    async with trio.open_nursery() as nursery:
        clients: list[trio.abc.Stream] = []
        for _ in range(number):
            client, server = memory_stream_pair()
            nursery.start_soon(door.front.serve, server, "attacker:1")  # noqa: ASYNC113: the block waits for all below
            await client.send_all(data)
            clients.append(client)
        await wait_all_tasks_blocked()
        yield clients
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sent", [b"", b"G", request()[:-1]], ids=["nothing", "one byte", "all but one byte"])
async def test_a_thousand_connections_that_do_not_finish_their_request_shut_nobody_out(
    autojump_clock: MockClock, sent: bytes
) -> None:
    door = make_door(Config())
    async with held(door, MANY, sent):
        assert len(door.front.half_open) == Config().max_half_open_connections
        assert (await door.ask(request("/healthz"))).status == 200
        assert (await door.ask(request("/readyz"))).status == 200
        assert (await door.ask(request("/metrics"))).status == 200
        assert (await door.raw(upgrade())).startswith(b"HTTP/1.1 204 ")
    assert trio.current_time() == 0
    assert len(door.front.half_open) == 0


async def test_health_and_websockets_need_no_place_among_requests_that_are_being_answered(
    autojump_clock: MockClock,
) -> None:
    door = make_door(Config())
    async with held(door, MANY, request("/", "POST", {"Content-Length": "1"})):
        assert door.front.http_connections == Config().max_http_connections
        for path in ("/healthz", "/readyz"):
            assert (await door.ask(request(path))).status == 200
            assert (await door.ask(request(path, "HEAD"), "HEAD")).status == 200
        assert (await door.raw(upgrade())).startswith(b"HTTP/1.1 204 ")
        assert (await door.ask(request("/metrics"))).status == 503
    assert trio.current_time() == 0


async def test_health_checks_that_do_not_end_cannot_occupy_the_way_around_the_pool(autojump_clock: MockClock) -> None:
    door = make_door(Config())
    async with held(door, MANY, request("/healthz", "POST", {"Content-Length": "1"})):
        assert (await door.ask(request("/healthz"))).status == 200
        answer = await door.ask(request("/healthz", headers={"Transfer-Encoding": "chunked"}))
        assert answer.status == 503


async def test_health_checks_that_get_no_answer_are_bounded_and_given_up_soon(autojump_clock: MockClock) -> None:
    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.sleep_forever()

    door = Door(app=stuck)
    async with held(door, 100, request("/healthz")) as clients:
        answer = await door.ask(request("/healthz"))
        assert (answer.status, answer.text) == (503, "too many health checks\n")
        for client in clients:
            assert await read_all(client) == b""
        assert trio.current_time() == pytest.approx(1)
        assert len(door.front.half_open) == door.front.http_connections == 0
    assert happened(door) == {"too_many_connections": 1}


async def test_the_oldest_half_open_connection_makes_room_and_learns_why(autojump_clock: MockClock) -> None:
    door = make_door(Config(max_half_open_connections=2))
    with structlog.testing.capture_logs() as log:
        async with held(door, 2, b"GET /page") as (oldest, newer):
            assert (await door.ask(request("/healthz"))).status == 200
            answer = parse(await read_all(oldest))
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert "wait for their request" in answer.text
            await newer.send_all(b".json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert parse(await read_all(newer)).status == 200
    assert happened(door) == {"half_open": 1}
    (line,) = [line for line in log if line["event"] == "request refused"]
    assert (line["reason"], line["setting"]) == ("half_open", "max_half_open_connections")


async def test_a_spare_connection_makes_room_without_an_answer(autojump_clock: MockClock) -> None:
    """A browser would take the answer for that of its next request."""
    door = make_door(Config(max_half_open_connections=1))
    async with held(door, 1, b"") as (spare,):
        assert (await door.ask(request("/healthz"))).status == 200
        assert await read_all(spare) == b""
    assert happened(door) == {"half_open": 1}


async def test_a_full_front_door_answers_health_over_real_sockets() -> None:
    config = Config(port=0, media_port=0, planes=1, max_half_open_connections=20, max_http_connections=20)
    async with open_server(config) as server:
        sockets = [await connect_tcp(server) for _ in range(100)]
        for number, stream in enumerate(sockets):
            await stream.send_all(b"G" if number % 2 else request("/", "POST", {"Content-Length": "1"}))
        for path in ("/healthz", "/readyz"):
            async with await connect_tcp(server) as probe:
                await probe.send_all(request(path))
                with trio.fail_after(5):
                    assert parse(await read_all(probe)).status == 200
        for stream in sockets:
            await trio.aclose_forcefully(stream)


async def test_a_place_is_free_again_however_its_block_ends() -> None:
    places = HalfOpen(1)
    with places.place():
        assert len(places) == 1
    with pytest.raises(KeyError), places.place():
        raise KeyError
    with trio.CancelScope() as scope, places.place():
        scope.cancel()
        await trio.sleep_forever()
    assert len(places) == 0
    with pytest.raises(Displaced), places.place(), places.place():
        await trio.sleep_forever()
    assert len(places) == 0
