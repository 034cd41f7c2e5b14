"""One address has only so many places, however many the gateway has."""

import pytest
import structlog
import trio
from starlette.types import Receive, Scope, Send
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from gateway.config import Config
from gateway.http.http1 import HttpError
from gateway.http.places import Places
from tests.front_door.memory_front_door import Answer, Clients, Door, hello_app, request, upgrade
from tests.front_door.test_http_refusals import happened


async def stay(_: trio.abc.Stream) -> None:
    await trio.sleep_forever()


async def connect(nursery: trio.Nursery, door: Door, remote: str, data: bytes) -> trio.abc.Stream:
    """Open a connection from this address that stays, and send this."""
    client, server = memory_stream_pair()
    nursery.start_soon(door.front.serve, server, remote)
    await client.send_all(data)
    await wait_all_tasks_blocked()
    return client


async def ask(door: Door, data: bytes) -> Answer:
    """The answer of a request that must be refused. One that gets in would wait for ever."""
    with trio.fail_after(60):
        return await door.ask(data)


async def test_an_address_with_all_its_places_is_refused_and_others_are_not(autojump_clock: MockClock) -> None:
    door = Door(Config(max_connections_per_address=2), clients=Clients(stay))
    with structlog.testing.capture_logs() as log:
        async with trio.open_nursery() as nursery:
            for port in (1, 2):
                await connect(nursery, door, f"203.0.113.7:{port}", upgrade())
            assert len(door.clients.came) == 2
            for remote in ("203.0.113.7:3", "[::ffff:203.0.113.7]:3"):
                door.remote = remote
                for data in (upgrade(), request("/")):
                    answer = await ask(door, data)
                    assert (answer.status, answer.headers["retry-after"]) == (429, "5")
                    assert answer.text == "too many connections from this address\n"
                assert (await ask(door, request("/healthz"))).status == 200
            for other in ("203.0.113.8:1", "[2001:db8::1]:1", "memory"):
                await connect(nursery, door, other, upgrade())
            assert len(door.clients.came) == 5
            nursery.cancel_scope.cancel()
    assert happened(door)["address_full"] == 4
    assert {line.get("setting") for line in log if line.get("reason") == "address_full"} == {
        "max_connections_per_address"
    }
    # All places are free again.
    assert len(door.front.places) == 0


async def test_a_site_of_ipv6_has_one_account_of_places(autojump_clock: MockClock) -> None:
    door = Door(Config(max_connections_per_address=1), clients=Clients(stay))
    async with trio.open_nursery() as nursery:
        await connect(nursery, door, "[2001:db8:1:2::3]:1", upgrade())
        door.remote = "[2001:db8:1:2:ffff::1]:1"
        assert (await ask(door, upgrade())).status == 429
        nursery.cancel_scope.cancel()


async def test_loopback_has_no_bound(autojump_clock: MockClock) -> None:
    door = Door(Config(max_connections_per_address=1), clients=Clients(stay))
    async with trio.open_nursery() as nursery:
        for number in range(5):
            await connect(nursery, door, f"127.0.0.1:{number}", upgrade())
        assert len(door.clients.came) == 5
        nursery.cancel_scope.cancel()


async def test_behind_a_trusted_proxy_the_address_that_it_reports_counts(autojump_clock: MockClock) -> None:
    config = Config(max_connections_per_address=1, trusted_proxies=("192.0.2.1",))
    door = Door(config, clients=Clients(stay), remote="192.0.2.1:9")
    async with trio.open_nursery() as nursery:
        await connect(nursery, door, "192.0.2.1:1", upgrade(x_forwarded_for="203.0.113.7"))
        assert (await ask(door, upgrade(x_forwarded_for="203.0.113.7"))).status == 429
        await connect(nursery, door, "192.0.2.1:2", upgrade(x_forwarded_for="203.0.113.8"))
        assert len(door.clients.came) == 2
        nursery.cancel_scope.cancel()


async def test_requests_that_are_being_answered_count(autojump_clock: MockClock) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.sleep(10)
        await hello_app(scope, receive, send)

    door = Door(Config(max_connections_per_address=1), slow, remote="203.0.113.7:2")
    async with trio.open_nursery() as nursery:
        await connect(nursery, door, "203.0.113.7:1", request("/"))
        assert (await ask(door, upgrade())).status == 429
        nursery.cancel_scope.cancel()


async def test_one_address_gets_a_quarter_of_the_places_for_requests(autojump_clock: MockClock) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.sleep(10)
        await hello_app(scope, receive, send)

    door = Door(Config(max_http_connections=8), slow, remote="203.0.113.7:3")
    async with trio.open_nursery() as nursery:
        for port in (1, 2):
            await connect(nursery, door, f"203.0.113.7:{port}", request("/"))
        answer = await ask(door, request("/"))
        assert (answer.status, answer.headers["retry-after"]) == (429, "5")
        assert answer.text == "too many requests from this address\n"
        assert door.front.http_connections == 2
        for other in ("203.0.113.8:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"):
            await connect(nursery, door, other, request("/"))
        assert door.front.http_connections == 6
        await trio.sleep(10)
        assert (await ask(door, request("/"))).status == 200
        nursery.cancel_scope.cancel()
    assert happened(door) == {"too_many_connections": 1}
    assert len(door.front.requests) == 0


async def test_refusals_take_no_more_places_than_answers(autojump_clock: MockClock) -> None:
    """A refused client may go on sending for a moment, and keep its place."""
    door = Door(Config(max_http_connections=8), remote="203.0.113.7:3")
    async with trio.open_nursery() as nursery:
        for port in range(5):
            await connect(nursery, door, f"203.0.113.7:{port}", request("/", "POST", {"Content-Length": "100"}, b"x"))
        assert door.front.http_connections == 2
        nursery.cancel_scope.cancel()


def test_each_place_is_free_again_after_its_block() -> None:
    places = Places(1)
    with pytest.raises(KeyError), places.hold("203.0.113.7:1"):
        with pytest.raises(HttpError):
            places.require("203.0.113.7:2")
        raise KeyError
    places.require("203.0.113.7:2")
    assert len(places) == 0
