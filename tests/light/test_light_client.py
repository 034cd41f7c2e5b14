"""Light clients of a real gateway on loopback count every packet."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from protocol.client import ConnectError, RequestError, Timeouts
from protocol.events import VoiceState
from protocol.requests import SetLayers
from protocol.vocabulary import MediaKind
from sfu.wire.certificate import generate_certificate
from tests.eventually import eventually
from tests.gateway_process import GatewayProcess, run_gateway
from tools.light import Identity, Layer, LightClient, PacketMeter, Poller, open_light_client
from tools.light.encoders import encode_audio, encode_simulcast, encode_video
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop
from tools.light.wide_arrivals import WIDE_URI


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_gateway(Path(tmp_path_factory.mktemp("gateway")) / "log") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.of(generate_certificate(datetime.now(UTC)))


@asynccontextmanager
async def running_poller() -> AsyncIterator[Poller]:
    async with trio.open_nursery() as nursery:
        poller = Poller()
        nursery.start_soon(poller.run)
        yield poller
        nursery.cancel_scope.cancel()


async def send(speaker: LightClient, loop: MediaLoop, seconds: float) -> LoopSender:
    sender = LoopSender(loop, await speaker.transport("send"), ssrc=4711, rng=random.Random(1))
    speaker.on_rtcp = sender.receive_rtcp_untrusted
    with trio.move_on_after(seconds):
        await sender.run()
    await trio.sleep(0.1)
    return sender


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_every_packet_is_counted_and_a_sample_gives_the_latency(
    gateway: GatewayProcess, identity: Identity, kind: MediaKind
) -> None:
    # Encode first.  On a busy machine it takes longer than the gateway waits for the answer to a ping.
    loop = encode_audio() if kind == "audio" else encode_video(500_000, 30)
    packet_meter = PacketMeter()
    async with (
        running_poller() as poller,
        open_light_client(gateway.websocket_url, "one", "speaker", identity, poller=poller) as speaker,
        open_light_client(
            gateway.websocket_url, "one", "listener", identity, poller=poller, packet_meter=packet_meter
        ) as listener,
    ):
        producer = await speaker.publish(kind, 4711)
        consumer = await listener.subscribe(producer)
        sender = await send(speaker, loop, 1)
        meter = listener.streams[consumer]
        assert meter.expect_until(sender.packets) == 0
        counts = packet_meter.counts(kind)
        assert (counts.lost, counts.duplicated, counts.reordered, counts.strange, counts.unopened) == (0, 0, 0, 0, 0)
        assert counts.packets == sender.packets
        latency = packet_meter.take_latency(kind).quantile(0.5)
        assert latency is not None
        assert 0 < latency < 0.1
        assert listener.endpoints["receive"].traffic.received_rtp == counts.packets


async def test_a_receiver_gets_the_encoding_of_simulcast_that_it_asks_for(
    gateway: GatewayProcess, identity: Identity
) -> None:
    loops, url = encode_simulcast(1_200_000, 20), gateway.websocket_url
    async with (
        running_poller() as poller,
        open_light_client(url, "layers", "speaker", identity, poller=poller) as speaker,
        open_light_client(
            url, "layers", "viewer", identity, poller=poller, packet_meter=PacketMeter(open_every=1)
        ) as viewer,
        trio.open_nursery() as tasks,
    ):
        endpoint, rng = await speaker.transport("send"), random.Random(1)
        senders = [LoopSender(loop, endpoint, number + 1, rng, "speaker") for number, loop in enumerate(loops)]

        def receive_rtcp(packet: bytes) -> None:
            for sender in senders:
                sender.receive_rtcp_untrusted(packet)

        endpoint.on_rtcp = receive_rtcp
        layers = [Layer(sender.ssrc, round(sender.loop.bitrate)) for sender in senders]
        consumer = await viewer.subscribe(await speaker.publish_layers("video", layers))
        for sender in senders:
            tasks.start_soon(sender.run)
        meter = viewer.streams[consumer]
        assert meter.simulcast
        for layer in (2, 0, 1):
            await viewer.signalling.request(SetLayers(consumer, layer, 255))
            await eventually(lambda wanted=layers[layer].ssrc: meter.source == wanted, 10)  # type: ignore[misc]
        assert (meter.counts.strange, meter.counts.lost, meter.counts.duplicated) == (0, 0, 0)
        tasks.cancel_scope.cancel()


async def test_a_client_with_feedback_numbers_its_packets_where_the_gateway_offers_it(
    gateway: GatewayProcess, identity: Identity
) -> None:
    async with open_light_client(gateway.websocket_url, "wide", "speaker", identity, feedback=True) as speaker:
        offered = {extension.uri: extension.preferred_id for extension in speaker.router_capabilities.header_extensions}
        assert speaker.wide_id == offered.get(WIDE_URI)
        speaker.feedback = False
        assert speaker.wide_id is None


async def test_a_killed_client_sends_no_close_frame(gateway: GatewayProcess, identity: Identity) -> None:
    async with open_light_client(gateway.websocket_url, "two", "witness", identity, user_id="witness") as witness:
        async with open_light_client(gateway.websocket_url, "two", "victim", identity, user_id="victim") as victim:
            await victim.transport("send")
            await victim.kill()
        with trio.fail_after(3):
            async for event in witness.signalling.events():
                if isinstance(event, VoiceState) and event.type == "user_left":
                    assert (event.user_id, event.reason) == ("victim", "disconnected")
                    break


async def test_clients_can_all_end_at_once(gateway: GatewayProcess, identity: Identity) -> None:
    async with trio.open_nursery() as nursery:
        poller = Poller()
        nursery.start_soon(poller.run)

        async def stay(name: str, there: trio.Event) -> None:
            async with open_light_client(gateway.websocket_url, "four", name, identity, poller=poller) as client:
                await client.publish("audio", 1)
                there.set()
                await trio.sleep_forever()

        for name in ("anna", "ben", "cleo"):
            there = trio.Event()
            nursery.start_soon(stay, name, there)
            await there.wait()
        nursery.cancel_scope.cancel()
    assert poller._readers == {}


async def test_a_closed_port_raises_one_clear_error(identity: Identity) -> None:
    with pytest.raises(ConnectError, match="cannot connect to"):
        async with open_light_client("ws://127.0.0.1:9/ws", "two", "nobody", identity):
            pass


async def test_exceptions_of_the_block_come_out_unchanged(gateway: GatewayProcess, identity: Identity) -> None:
    with pytest.raises(RequestError, match="not_found"):
        async with open_light_client(gateway.websocket_url, "three", "anna", identity) as anna:
            await anna.subscribe("nothing")


async def test_media_go_on_after_both_clients_changed_their_network(
    gateway: GatewayProcess, identity: Identity
) -> None:
    loop, url, resuming = encode_audio(), gateway.websocket_url, Timeouts(resume=5)
    async with (
        running_poller() as poller,
        open_light_client(url, "five", "speaker", identity, user_id="speaker", timeouts=resuming) as speaker,
        open_light_client(
            url, "five", "listener", identity, poller=poller, packet_meter=PacketMeter(), timeouts=resuming
        ) as listener,
        trio.open_nursery() as tasks,
    ):
        await listener.subscribe(await speaker.publish("audio", 4711))
        tasks.start_soon(send, speaker, loop, 60)
        endpoint = listener.endpoints["receive"]
        for client, host in ((listener, None), (speaker, "127.0.0.7"), (listener, "127.0.0.9")):
            with trio.fail_after(10):
                await client.change_network(host=host)
                for _ in range(20):
                    await endpoint.next_rtp()
        assert endpoint.socket.getsockname()[0] == "127.0.0.9"
        events = listener.signalling.events()
        while not (isinstance(event := await anext(events), VoiceState) and event.participant.producers):
            assert not isinstance(event, VoiceState) or event.type != "user_left"
        tasks.cancel_scope.cancel()
