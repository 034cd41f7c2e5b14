"""Media over the page's TCP port (ICE-TCP): calls without UDP, and connections of strangers."""

import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
import structlog
import trio
from attrs import define, field
from structlog.typing import EventDict
from trio.testing import MockClock, memory_stream_pair

import sfu
from gateway.config import Config
from gateway.http.media_streams import MediaStreams
from gateway.http.sockets import open_listeners
from gateway.ops.metrics import Metrics
from gateway.server import Server, open_server
from sfu.streams import Connection
from sfu.wire.certificate import generate_certificate
from tests.eventually import eventually
from tests.front_door.memory_front_door import Door, connect_tcp, parse, read_all, request
from tests.media.conftest import Notices
from tests.media.rtp import Rtp, opus, read
from tests.media.stream_client import StreamClient, connect_stream, framed
from tests.media.test_bad_datagrams import binding_request
from tools.light.transport import Identity

CONFIG = Config(port=0, media_port=0, planes=2)


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.of(generate_certificate(datetime.now(UTC)))


@asynccontextmanager
async def running(host: str = "127.0.0.1", **settings: object) -> AsyncIterator[Server]:
    config = attrs.evolve(CONFIG, host=host, **settings)  # type: ignore[arg-type]  # attrs checks the names
    async with open_server(config, listeners=await open_listeners(host, 0)) as server:
        yield server


def address_of(server: Server) -> tuple[str, int]:
    host, _, port = server.url.partition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)


def metrics(server: Server, name: str) -> dict[str, float]:
    """The samples of one metric that are not 0, by their labels."""
    lines = server.gateway.metrics.render().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if line.startswith((name + " ", name + "{")))
    return {sample.removeprefix(name): float(value) for sample, _, value in samples if float(value)}


def refusals(server: Server) -> dict[str, float]:
    found = metrics(server, "sfu_media_stream_refusals_total")
    return {labels.removeprefix('{reason="').removesuffix('"}'): count for labels, count in found.items()}


async def says_ok(server: Server) -> None:
    """Whether the page's port still answers."""
    async with await connect_tcp(server) as stream:
        await stream.send_all(request("/healthz"))
        assert parse(await read_all(stream)).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("plane", [0, 1])
async def test_two_people_without_udp_call_each_other(identity: Identity, host: str, plane: int) -> None:
    async with running(host) as server:
        router = server.gateway.routers[plane]
        async with (
            sfu.open_peer(router, Notices(), name="ada") as ada,
            sfu.open_peer(router, Notices(), name="bob") as bob,
        ):
            sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
            async with (
                connect_stream(ada, sending, identity, address_of(server)) as microphone,
                connect_stream(bob, receiving, identity, address_of(server)) as speaker,
            ):
                await hears(ada, bob, sending, receiving, microphone, speaker)
                assert metrics(server, "sfu_media_streams") == {"": 2}
                assert metrics(server, "sfu_paths") == {"": 2}
                ada.close_transport(sending.id)
                await microphone.until(lambda: microphone.ended)
                await says_ok(server)
        await eventually(lambda: metrics(server, "sfu_media_streams") == {})
        assert refusals(server) == {}


async def hears(
    ada: sfu.Peer,
    bob: sfu.Peer,
    sending: sfu.Transport,
    receiving: sfu.Transport,
    microphone: StreamClient,
    speaker: StreamClient,
) -> None:
    """Check that Bob gets what Ada sends."""
    producer = ada.produce(sending.id, "audio", opus(ssrc=1111))
    bob.consume(receiving.id, producer, ada.context.capabilities, stream="ada", paused=False)
    for number in range(50):
        packet = Rtp(111, number, 960 * number, 1111, b"tone %d" % number)
        microphone.transport.send_rtp(bytes(packet))
    await microphone.send()
    await speaker.until(lambda: len(speaker.transport.rtp) == 50)
    assert [read(one).payload for one in speaker.transport.rtp] == [b"tone %d" % number for number in range(50)]


@asynccontextmanager
async def transport_of(server: Server) -> AsyncIterator[sfu.Transport]:
    async with sfu.open_peer(server.gateway.routers[1], Notices(), name="ada") as ada:
        yield ada.create_transport("send")


def check(transport: sfu.Transport, password: str | None = None) -> bytes:
    ice = transport.ice_parameters
    return framed(binding_request(f"{ice.username_fragment}:them", password or ice.password))


@contextmanager
def logged() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        found: list[EventDict] = []
        yield found
        found += [line for line in lines if line["event"] == "media stream refused"]


async def test_a_stranger_is_turned_away_with_a_reason() -> None:
    stun = binding_request("nobody:them", "a password of no transport")
    async with running() as server, transport_of(server) as transport:
        with logged() as log:
            for first in (
                framed(stun),
                check(transport, "another password"),
                framed(b"\x00\x11" + stun[2:]),  # an indication
                framed(stun[:2] + b"\x00\x04" + stun[4:]),  # another length
                framed(stun[:4] + bytes(4) + stun[8:]),  # another cookie
                framed(stun[:-4] + bytes(4)),  # another fingerprint
                framed(bytes(20)),
                framed(b"\x01" * 19),
                b"\x05\xff" + stun,  # more than the largest request
                b"\x00\x00",
            ):
                async with await connect_tcp(server) as stream:
                    await stream.send_all(first)
                    assert await read_all(stream) == b""
        await says_ok(server)
        assert refusals(server) == {"unknown_username": 1, "wrong_password": 1, "malformed": 8}
        assert metrics(server, "sfu_media_streams") == {}
    assert {(line["reason"], line["log_level"]) for line in log} == {
        ("unknown_username", "info"),
        ("wrong_password", "info"),
        ("malformed", "info"),
    }
    assert 7 <= len(log) <= 8


async def test_a_frame_of_65535_bytes_is_a_bad_request_like_everything_that_is_neither_http_nor_media() -> None:
    async with running() as server:
        for first in (b"\xff\xff" + bytes(100), b"\x16\x03\x01\x02\x00\x01\x00", b"\x80\x00"):
            async with await connect_tcp(server) as stream:
                await stream.send_all(first + b"\r\n\r\n")
                assert parse(await read_all(stream)).status == 400
        assert refusals(server) == {}


async def test_a_media_stream_may_come_byte_by_byte() -> None:
    async with running() as server, transport_of(server) as transport:
        async with await connect_tcp(server) as stream:
            for byte in check(transport):
                await stream.send_all(bytes([byte]))
                await trio.lowlevel.checkpoint()
            answer = await stream.receive_some()
            assert answer[2:4] == b"\x01\x01"
            assert metrics(server, "sfu_media_streams") == {"": 1}
        await eventually(lambda: metrics(server, "sfu_media_streams") == {})


async def test_http_may_come_byte_by_byte() -> None:
    async with running() as server, await connect_tcp(server) as stream:
        for byte in request("/healthz"):
            await stream.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()
        assert parse(await read_all(stream)).status == 200


async def test_without_media_over_tcp_the_port_knows_only_http() -> None:
    async with running(media_tcp=False) as server, transport_of(server) as transport:
        assert {one.protocol for one in transport.ice_candidates} == {"udp"}
        async with await connect_tcp(server) as stream:
            await stream.send_all(check(transport) + b"\r\n\r\n")
            assert parse(await read_all(stream)).status == 400


async def test_candidates_name_the_port_of_the_page() -> None:
    async with running() as server, transport_of(server) as transport:
        tcp = [(one.address, one.port) for one in transport.ice_candidates if one.protocol == "tcp"]
        assert tcp == [address_of(server)]


async def test_the_number_of_media_streams_is_bounded_and_the_log_names_the_setting() -> None:
    async with running(max_media_streams=2) as server, transport_of(server) as transport:
        streams = [await connect_tcp(server) for _ in range(3)]
        with logged() as log:
            for stream in streams:
                await stream.send_all(check(transport))
                await trio.testing.wait_all_tasks_blocked(0.05)
            assert await read_all(streams[2]) == b""
        assert [(line["reason"], line["setting"]) for line in log] == [("full", "max_media_streams")]
        assert metrics(server, "sfu_media_streams") == {"": 2}
        for stream in streams:
            await stream.aclose()
        await eventually(lambda: metrics(server, "sfu_media_streams") == {})


async def test_a_thousand_half_open_streams_cost_the_others_nothing(identity: Identity) -> None:
    async with running() as server:
        strangers = [await connect_tcp(server) for _ in range(1000)]
        try:
            for number, stranger in enumerate(strangers):
                await stranger.send_all(b"\x00" if number % 2 else b"\x00\x40\x00\x01\x00\x2c")
            await eventually(lambda: refusals(server).get("too_many_of_address") == 1000 - 256)
            await says_ok(server)
        finally:
            for stranger in strangers:
                await stranger.aclose()
        router = server.gateway.routers[0]
        async with (
            sfu.open_peer(router, Notices(), name="ada") as ada,
            connect_stream(ada, ada.create_transport("send"), identity, address_of(server)),
        ):
            assert metrics(server, "sfu_media_streams") == {"": 1}


async def test_a_stream_that_is_reset_is_forgotten() -> None:
    async with running() as server, transport_of(server) as transport:
        stream = await connect_tcp(server)
        await stream.send_all(check(transport))
        await stream.receive_some()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()
        await eventually(lambda: metrics(server, "sfu_media_streams") == {})
        assert metrics(server, "sfu_paths") == {}


async def test_one_client_may_open_only_some_streams() -> None:
    async with running() as server, transport_of(server) as transport:
        streams = [await connect_tcp(server) for _ in range(20)]
        for stream in streams:
            await stream.send_all(check(transport))
        await eventually(lambda: refusals(server) == {"too_many_of_transport": 4})
        for stream in streams:
            await stream.aclose()


# Time and cancellation, without sockets of clients.


async def test_a_first_frame_that_does_not_end_is_given_up_after_some_seconds(autojump_clock: MockClock) -> None:
    door = Door()
    door.front._media_streams = MediaStreams(door.config, [], door.metrics)
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.front.serve, server, "somewhere:1")
        with logged() as log:
            await client.send_all(b"\x00\x40\x00\x01")
            assert await read_all(client) == b""
    assert trio.current_time() == pytest.approx(5)
    assert [(line["reason"], line["remote"]) for line in log] == [("too_slow", "somewhere:1")]
    assert door.front.http_connections == 0


@define
class Adopting:
    """A router that takes every stream, as the data plane does: with a descriptor of its own."""

    taken: list[int] = field(factory=list)

    def adopt_stream(self, connection: Connection, frame: bytes) -> None:
        self.taken.append(os.dup(connection.fileno()))

    def stream_counts(self) -> tuple[int, int]:
        return len(self.taken), 0


@pytest.mark.parametrize("bytes_sent", [0, 1, 2, 30, None])
async def test_a_cancelled_connection_is_closed_exactly_once(bytes_sent: int | None) -> None:
    """With ``None`` the whole frame is sent, so that the router has the connection."""
    frame = framed(binding_request("some:body", "password"))
    router, door = Adopting(), Door()
    door.front._media_streams = MediaStreams(door.config, [router], Metrics())
    for checkpoints in range(12):
        before = set(Path("/proc/self/fd").iterdir())
        ours, theirs = trio.socket.socketpair()
        server = trio.SocketStream(ours)
        await theirs.send(frame[:bytes_sent])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.front.serve, server, "somewhere:1")
            for _ in range(checkpoints):
                await trio.lowlevel.cancel_shielded_checkpoint()
            nursery.cancel_scope.cancel()
        assert server.socket.fileno() == -1
        if router.taken:
            os.close(router.taken.pop())
        with suppress(ConnectionResetError):  # if the front door has not read everything
            assert await theirs.recv(1) == b""
        theirs.close()
        assert set(Path("/proc/self/fd").iterdir()) == before
        assert (door.front._media_streams.waiting, door.front.http_connections) == (0, 0)
