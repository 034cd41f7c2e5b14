"""VP9 with spatial layers in one stream, from a client to a receiver with bounds.  In virtual time."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field, frozen
from trio.testing import MockClock

import sfu
from sfu.layers import Layers
from sfu.parameters import RtpCodecParameters, RtpEncodingParameters, RtpParameters
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory_network import Client, open_network
from tests.media.rtp import FIR, PLI, Rtp, read
from tools.light.transport import Identity
from tools.light.wire import rtcp

SSRC = 7000
SPATIAL_LAYERS = 3
PICTURE = 0.05
"""Seconds from one picture to the next."""

SVC = RtpParameters(
    codecs=(RtpCodecParameters("video/VP9", 96, 90000, parameters={"profile-id": 0}, rtcp_feedback=(PLI, FIR)),),
    encodings=(RtpEncodingParameters(ssrc=SSRC, scalability_mode="L3T2_KEY"),),
)


@define
class Camera:
    """Sends pictures of one packet for each spatial layer, and key pictures on request."""

    client: Client
    hears: bool = True
    weights: tuple[int, ...] = (0, 0, 0)
    asked: int = 0
    sequence: int = 65500
    key_wanted: bool = True

    async def run(self) -> None:
        begun_at, picture = trio.current_time(), 0
        while True:
            self._hear()
            for spatial in range(SPATIAL_LAYERS):
                self._send(picture, spatial)
            self.key_wanted = False
            self.client.flush()
            picture += 1
            await trio.sleep_until(begun_at + picture * PICTURE)

    def _send(self, picture: int, spatial: int) -> None:
        key, temporal = self.key_wanted, 0 if self.key_wanted else picture % 2
        # RFC 9628 section 4.2, with I, L, B and E set; P unless it is a key picture.
        first, layer = 0xAC | (0 if key else 0x40), temporal << 5 | (temporal == 0) << 4 | spatial << 1
        descriptor = bytes([first, 0x80 | picture >> 8 & 0x7F, picture & 0xFF, layer | (key and spatial > 0), 0])
        payload = descriptor + bytes(self.weights[spatial]) + bytes([picture & 0xFF, temporal, spatial, key])
        packet = Rtp(96, self.sequence & 0xFFFF, picture * 4500, SSRC, payload, spatial == SPATIAL_LAYERS - 1)
        self.sequence += 1
        self.client.transport.send_rtp(bytes(packet))

    def _hear(self) -> None:
        for packet in self.client.transport.rtcp:
            asked = [one for one in rtcp.parse_untrusted(packet) if isinstance(one, rtcp.PictureLossIndication)]
            self.asked += len(asked)
            self.key_wanted = self.key_wanted or (bool(asked) and self.hears)
        self.client.transport.rtcp.clear()


@define
class Updates(Notices):
    layers: list[Layers | None] = field(factory=list)

    def consumer_updated(self, consumer: sfu.Consumer) -> None:
        self.layers.append(consumer.layers)


@frozen
class Scene:
    """Ada's camera, Bob's screen."""

    bob: sfu.Peer
    camera: Camera
    screen: Client
    consumer: sfu.Consumer
    notices: Updates

    def take_seen(self) -> list[Rtp]:
        packets, self.screen.transport.rtp[:] = list(self.screen.transport.rtp), []
        return [read(packet) for packet in packets]

    async def bound(self, spatial: int, temporal: int = 255) -> None:
        self.bob.set_layers(self.consumer.id, spatial, temporal)
        await trio.sleep(1)


@asynccontextmanager
async def open_scene(identity: Identity) -> AsyncIterator[Scene]:
    notices = Updates()
    async with (
        open_network(sfu.MediaSettings()) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, notices, name="bob") as bob,
        trio.open_nursery() as nursery,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        producer = ada.produce(sending.id, "video", SVC)
        consumer = bob.consume(receiving.id, producer, network.router.context.capabilities, stream="ada", paused=False)
        clients = network.client(sending, identity), network.client(receiving, identity)
        for peer, transport, client in zip((ada, bob), (sending, receiving), clients, strict=True):
            peer.connect_transport(transport.id, client.transport.dtls_parameters)
        await eventually(lambda: all(client.transport.connected for client in clients))
        camera = Camera(clients[0])
        nursery.start_soon(camera.run)
        yield Scene(bob, camera, clients[1], consumer, notices)
        nursery.cancel_scope.cancel()


def spatial_layers(packets: list[Rtp]) -> set[int]:
    return {packet.payload[-2] for packet in packets}


def is_whole(packets: list[Rtp]) -> bool:
    """Whether no number is missing, and the marker is on the last packet of each picture alone."""
    pairs = list(itertools.pairwise(packets))
    return all((two.sequence - one.sequence) % 2**16 == 1 for one, two in pairs) and all(
        one.marker == (one.timestamp != two.timestamp) for one, two in pairs
    )


async def test_bounds_choose_among_the_spatial_layers_of_one_encoding(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(2)
        seen = scene.take_seen()
        assert spatial_layers(seen) == {0, 1, 2}
        assert scene.consumer.layers == Layers(2, 1)
        for spatial in (0, 1, 255, 0):
            await scene.bound(spatial)
            scene.take_seen()
            await trio.sleep(0.5)
            settled = scene.take_seen()
            top = min(spatial, 2)
            assert spatial_layers(settled) == set(range(top + 1))
            assert is_whole(settled)
            assert scene.consumer.layers == Layers(top, 1)


async def test_down_takes_no_key_frame_and_up_takes_one(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(2)
        asked = scene.camera.asked
        await scene.bound(1)
        await scene.bound(0)
        assert scene.camera.asked == asked
        await scene.bound(2)
        assert scene.camera.asked == asked + 1
        await scene.bound(1, 0)
        assert scene.camera.asked == asked + 1
        assert scene.notices.layers[-4:] == [Layers(1, 1), Layers(0, 1), Layers(2, 1), Layers(1, 0)]


async def test_a_key_frame_for_higher_layers_is_requested_until_one_comes(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(2)
        await scene.bound(0)
        scene.camera.hears, asked = False, scene.camera.asked
        await scene.bound(2)
        await trio.sleep(5)
        assert scene.consumer.layers == Layers(0, 1)
        assert scene.camera.asked - asked >= 3
        scene.camera.hears = True
        await trio.sleep(5)
        assert scene.consumer.layers == Layers(2, 1)


async def test_a_paused_receiver_asks_for_higher_layers_only_when_it_resumes(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await scene.bound(0)
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        asked = scene.camera.asked
        await scene.bound(2)
        assert scene.camera.asked == asked
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(1)
        assert scene.camera.asked == asked + 1
        assert scene.consumer.layers == Layers(2, 1)
