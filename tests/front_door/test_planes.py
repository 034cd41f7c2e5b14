"""Several planes: each carries the media of some channels, and together they make one gateway."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import pytest
import trio

import sfu
from gateway.config import Config
from gateway.server import Server, StartError, open_server
from protocol.client import RequestError
from sfu.wire.certificate import generate_certificate
from tools.light import Identity, LightClient, open_light_client

OPUS = bytes.fromhex("806f0001000000000000002a") + b"voice"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.of(generate_certificate(datetime.now(UTC)))


@asynccontextmanager
async def people(server: Server, identity: Identity, names: Sequence[str]) -> AsyncIterator[list[LightClient]]:
    """Return clients, each in the channel before the colon of its name."""
    url = server.url.replace("http", "ws", 1) + "/ws"
    async with AsyncExitStack() as stack:
        opened = [open_light_client(url, name.partition(":")[0], name, identity) for name in names]
        yield [await stack.enter_async_context(one) for one in opened]


async def hear(speaker: LightClient, listener: LightClient) -> None:
    """Let a voice flow from one client to the other."""
    producer = await speaker.publish("audio", ssrc=42)
    await listener.subscribe(producer)
    sending, receiving = await speaker.transport("send"), await listener.transport("receive")
    heard = receiving.transport.rtp
    for number in range(1, 200):
        sending.transport.send_rtp(OPUS[:2] + number.to_bytes(2) + OPUS[4:])
        sending.send()
        await trio.sleep(0.01)
        if heard:
            return
    raise AssertionError("nothing was heard")


async def test_channels_are_spread_and_each_talks_on_its_own_plane(identity: Identity) -> None:
    async with (
        open_server(Config(port=0, media_port=0, planes=2)) as server,
        people(server, identity, ["red:ada", "blue:ben", "red:cleo", "blue:dora"]) as (ada, ben, cleo, dora),
    ):
        await hear(ada, cleo)
        await hear(ben, dora)
        for router in server.gateway.routers:
            assert router.counts() == sfu.RouterCounts(peers=2, transports=2, producers=1, consumers=1)
            assert router.context.plane.totals().packets_out > 0
        shown = server.gateway.metrics.render().decode().splitlines()
        assert {"sfu_peers 4.0", "sfu_transports 4.0", "sfu_producers 2.0", "sfu_consumers 2.0"} <= set(shown)
        totals = [router.context.plane.totals() for router in server.gateway.routers]
        assert f"sfu_routes {sum(plane.routes for plane in totals):.1f}" in shown
        assert {address for _, address in server.media_addresses} == {
            router.context.addresses[0][1] for router in server.gateway.routers
        }


async def test_a_channel_opens_on_the_least_loaded_plane(identity: Identity) -> None:
    async with (
        open_server(Config(port=0, media_port=0, planes=3)) as server,
        people(server, identity, ["busy:ada", "busy:ben"]) as (ada, ben),
    ):
        await hear(ada, ben)
        quiet = [f"quiet-{number}:somebody" for number in range(4)]
        async with people(server, identity, quiet):
            channels = server.gateway.channels.channels
            assert channels["busy"].plane == 0
            assert sorted(channels[f"quiet-{number}"].plane for number in range(4)) == [1, 1, 2, 2]


async def test_the_ports_are_in_a_row() -> None:
    first = random.Random().randrange(20_000, 30_000)
    async with open_server(Config(port=0, media_port=first, planes=3)) as server:
        assert sorted({port for _, port in server.media_addresses}) == [first, first + 1, first + 2]
        with pytest.raises(StartError, match=f"127.0.0.1:{first + 2} .*in use"):
            async with open_server(Config(port=0, media_port=first + 2, planes=1)):
                pass


def test_there_is_a_plane_for_each_core_and_four_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, planes in ((1, 1), (3, 3), (64, 4)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert [media.port for media in Config().media_of_planes] == list(range(40000, 40000 + planes))


def test_the_last_media_port_must_exist() -> None:
    with pytest.raises(ValueError, match="the last media port would be 65536"):
        Config(media_port=65533, planes=4)


async def test_a_full_plane_gets_no_new_channels_and_readyz_is_503_only_if_all_are_full(identity: Identity) -> None:
    async with open_server(Config(port=0, media_port=0, metrics_port=0, planes=2)) as server:
        room = server.gateway.room

        async def ready(url: str) -> bool:
            host, port = url.removeprefix("http://").split(":")
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                await stream.send_all(f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                return b" 200 " in b"".join([piece async for piece in stream]).splitlines()[0]

        room.planes[0].look(trio.current_time(), load=1.0, loss=0.0)
        async with people(server, identity, ["red:ada", "blue:ben"]):
            assert {channel.plane for channel in server.gateway.channels.channels.values()} == {1}
            assert await ready(server.url)
            room.planes[1].look(trio.current_time(), load=1.0, loss=0.0)
            assert not await ready(server.url)
            assert not await ready(server.metrics_url)
            with pytest.raises(RequestError, match="no room"):
                async with people(server, identity, ["green:cleo"]):
                    pass
