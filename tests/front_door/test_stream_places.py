"""One address may have only so many media streams, however many the gateway takes.

The tests give connections over loopback the addresses of other machines.
"""

import errno
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import pytest
import structlog
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

import sfu
from gateway.config import Config
from gateway.http import stream_places
from gateway.http.media_streams import MediaStreams
from gateway.http.stream_places import LOOK_EVERY, StreamPlaces
from gateway.server import Server
from tests.eventually import eventually
from tests.front_door.memory_front_door import Door
from tests.front_door.test_media_streams import Adopting, check, logged, metrics, refusals, running, transport_of
from tests.media.stream_client import framed
from tests.media.test_bad_datagrams import binding_request

SETTING = "max_media_streams_per_address"
FRAME = framed(binding_request("some:body", "password"))


@asynccontextmanager
async def connect_from(server: Server, remote: str) -> AsyncIterator[trio.SocketStream]:
    """A TCP connection that the gateway takes for one from this address."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        client = await trio.testing.open_stream_to_socket_listener(listener)
        nursery.start_soon(server.serve_stream, await listener.accept(), remote)
        async with client:
            yield client
        nursery.cancel_scope.cancel()


async def gets_in(server: Server, transport: sfu.Transport, remote: str) -> bool:
    """Whether a media stream from this address gets an answer. The stream closes again."""
    async with connect_from(server, remote) as stream:
        await stream.send_all(check(transport))
        try:
            return await stream.receive_some() != b""
        except trio.BrokenResourceError:  # closed with bytes that nobody read
            return False


@pytest.mark.parametrize(
    ("of_one_site", "others"),
    [
        (["203.0.113.7:1", "203.0.113.7:2", "[::ffff:203.0.113.7]:3", "203.0.113.7:4"], ["203.0.113.8:1"]),
        # Whoever has one address of a site has all of them.
        (
            ["[2001:db8:1:2::3]:1", "[2001:db8:1:2::4]:1", "[2001:db8:1:2:ffff::1]:1", "[2001:db8:1:2:8000::]:1"],
            ["[2001:db8:1:3::3]:1", "203.0.113.7:1"],
        ),
    ],
)
async def test_one_address_gets_its_places_and_others_still_get_in(of_one_site: list[str], others: list[str]) -> None:
    *allowed, one_too_many = of_one_site
    async with running(max_media_streams_per_address=3) as server, transport_of(server) as transport:
        async with trio.open_nursery() as nursery:
            leave = trio.Event()

            async def stay(remote: str, task_status: trio.TaskStatus[None]) -> None:
                async with connect_from(server, remote) as stream:
                    await stream.send_all(check(transport))
                    assert await stream.receive_some()
                    task_status.started()
                    await leave.wait()

            for remote in allowed:
                await nursery.start(stay, remote)
            with logged() as log:
                assert not await gets_in(server, transport, one_too_many)
            assert [(line["reason"], line["setting"]) for line in log] == [("address_full", SETTING)]
            assert refusals(server) == {"address_full": 1}
            assert metrics(server, "sfu_limits_reached_total") == {f'{{setting="{SETTING}"}}': 1}
            assert metrics(server, "sfu_media_streams") == {"": 3}
            for other in others:
                assert await gets_in(server, transport, other)
            leave.set()
        # The data plane has closed the streams, and the address may open others.
        await eventually(lambda: metrics(server, "sfu_media_streams") == {})
        await trio.sleep(LOOK_EVERY)
        assert await gets_in(server, transport, one_too_many)


async def test_streams_that_the_gateway_closes_give_their_places_back() -> None:
    remote = "203.0.113.7:1"
    async with running(max_media_streams_per_address=1) as server, connect_from(server, remote) as stream:
        async with transport_of(server) as transport:
            await stream.send_all(check(transport))
            assert await stream.receive_some()
            assert not await gets_in(server, transport, remote)
        # The client keeps its end open.
        await eventually(lambda: metrics(server, "sfu_media_streams") == {})
        await trio.sleep(LOOK_EVERY)
        async with transport_of(server) as transport:
            assert await gets_in(server, transport, remote)


# Without a data plane.


@contextmanager
def door_with(router: Adopting, **settings: object) -> Iterator[Door]:
    """A front door that gives media streams to this router."""
    door = Door(Config(**settings))  # type: ignore[arg-type]  # attrs checks the names
    door.front._media_streams = MediaStreams(door.config, [router], door.metrics)
    yield door
    for descriptor in router.taken:
        os.close(descriptor)


async def send_frame(door: Door, remote: str) -> None:
    """Open a media stream and close the client's end."""
    ours, theirs = trio.socket.socketpair()
    with theirs:
        await theirs.send(FRAME)
        await door.front.serve(trio.SocketStream(ours), remote)


@pytest.mark.parametrize("remote", ["127.0.0.1", "192.0.2.1", "[::1]"])
async def test_loopback_and_trusted_proxies_have_no_bound(autojump_clock: MockClock, remote: str) -> None:
    """Nobody knows whose media comes from there."""
    router = Adopting()
    with door_with(router, max_media_streams_per_address=1, trusted_proxies=("192.0.2.1",)) as door:
        for port in range(5):
            await send_frame(door, f"{remote}:{port}")
        assert len(router.taken) == 5


async def test_streams_that_wait_for_their_first_frame_have_places(autojump_clock: MockClock) -> None:
    router = Adopting()
    with door_with(router, max_media_streams_per_address=2) as door:
        async with trio.open_nursery() as nursery:
            for port in (1, 2):
                client, server = memory_stream_pair()
                nursery.start_soon(door.front.serve, server, f"203.0.113.7:{port}")
                await client.send_all(FRAME[:1])
            await wait_all_tasks_blocked()
            await send_frame(door, "203.0.113.7:3")
            assert router.taken == []
            await send_frame(door, "203.0.113.8:1")
            assert len(router.taken) == 1
        # The time for the first frame is over.
        await send_frame(door, "203.0.113.7:3")
        assert len(router.taken) == 2


async def test_a_site_of_ipv6_has_256_streams_without_a_first_frame(autojump_clock: MockClock) -> None:
    router = Adopting()
    with door_with(router) as door:
        async with trio.open_nursery() as nursery:
            for host in range(300):
                client, server = memory_stream_pair()
                nursery.start_soon(door.front.serve, server, f"[2001:db8:1:2::{host:x}]:1")
                await client.send_all(FRAME[:1])
            await wait_all_tasks_blocked()
            assert door.front._media_streams is not None
            assert door.front._media_streams.waiting == 256
            await send_frame(door, "[2001:db8:1:2::ffff]:1")
            assert router.taken == []
            await send_frame(door, "[2001:db8:1:3::1]:1")
            assert len(router.taken) == 1


async def test_a_reload_changes_the_bound(autojump_clock: MockClock) -> None:
    router = Adopting()
    with door_with(router, max_media_streams_per_address=1) as door:
        await send_frame(door, "203.0.113.7:1")
        await send_frame(door, "203.0.113.7:2")
        assert len(router.taken) == 1
        door.front.reconfigure(Config(max_media_streams_per_address=2))
        await send_frame(door, "203.0.113.7:2")
        assert len(router.taken) == 2


async def test_what_is_remembered_of_streams_that_have_ended_is_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_places, "_SPARE", 10)
    places = StreamPlaces(5)
    for number in range(100):
        await trio.lowlevel.checkpoint()
        with socket.socket() as connection:
            places.take(connection, f"203.0.113.{number}:1")
        assert len(places) <= 10
    with ExitStack() as stack:
        for number in range(100):
            places.take(stack.enter_context(socket.socket()), f"203.0.113.{number}:1")
        assert len(places) >= 100


async def test_without_a_list_of_open_files_the_places_stay_taken_for_a_while(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = StreamPlaces(1)
    with socket.socket() as connection:
        places.take(connection, "203.0.113.7:1")

    def fail(_: str) -> object:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as log:
        patch.setattr(os, "scandir", fail)
        assert places.is_full("203.0.113.7:2")
    assert [line["event"] for line in log] == ["cannot list the open files"]
    assert places.is_full("203.0.113.7:2")
    await trio.sleep(LOOK_EVERY)
    assert not places.is_full("203.0.113.7:2")


def test_a_number_that_the_system_gives_again_takes_no_second_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_places, "_identity", lambda descriptor: (1, 1))
    places = StreamPlaces(2)
    with socket.socket() as connection:
        for remote in ("203.0.113.7:1", "203.0.113.8:1", "203.0.113.8:2"):
            places.take(connection, remote)
        assert len(places) == 1
        assert places._taken == {"203.0.113.8/32": 1}
