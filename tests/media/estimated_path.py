"""A call whose receiver has a path of a made-up estimate, for tests in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field, frozen

import sfu
from sfu.allocation.allocator import TRIAL
from sfu.dataplane.interface import Crossing, TransportId
from sfu.dataplane.memory import MemoryDataPlane
from sfu.dataplane.values import BandwidthStats
from tests.eventually import eventually
from tests.media.camera import SIMULCAST, Camera, Layer
from tests.media.conftest import Notices
from tests.media.memory_network import Client, Network, open_network
from tests.media.rtp import Rtp, read
from tests.media.test_spatial_layers import SVC
from tests.media.test_spatial_layers import Camera as LayeredCamera
from tools.light.transport import Identity

SETTINGS = sfu.MediaSettings()
LOW, MIDDLE, HIGH = 60e3, 120e3, 190e3
"""About the bits a second of the camera's encodings, with the larger ones of :data:`WEIGHTS`."""
SETTLED = TRIAL + 6
"""Seconds.  At first the allocator only guesses the rates of a camera, and an upgrade that follows is no trial then."""
WEIGHTS = (300, 680, 1100)


class EstimatedPlane(MemoryDataPlane):
    """A data plane with a made-up ``estimate`` in bits a second, which records every :meth:`aim_bandwidth`."""

    estimate: float | None = None

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.aims: list[tuple[float, float | None, float]] = []

    def bandwidth_stats(self, transport: TransportId) -> BandwidthStats | None:
        return None if self.estimate is None else BandwidthStats(self.estimate, None, 0, None, 0)

    def aim_bandwidth(self, transport: TransportId, used: float, next_rate: float | None, wanted: float) -> None:
        self.aims.append((used, next_rate, wanted))


@define
class Starvings(Notices):
    """Whether a consumer was starved at each notice about it."""

    starved: list[bool] = field(factory=list)

    def consumer_updated(self, consumer: sfu.Consumer) -> None:
        self.starved.append(consumer.starved)


@frozen
class Scene:
    """Ada's camera and its consumer at Bob, who gives feedback."""

    network: Network
    plane: EstimatedPlane
    ada: sfu.Peer
    bob: sfu.Peer
    camera: Camera | LayeredCamera
    client: Client
    producer: sfu.Producer
    consumer: sfu.Consumer
    notices: Starvings

    @property
    def encodings(self) -> list[Layer]:
        assert isinstance(self.camera, Camera)
        return self.camera.layers

    def take_layers(self) -> list[int]:
        """The encodings of the packets that came since the last call."""
        return [packet.payload[-2] for packet in self.take_packets()]

    def take_packets(self) -> list[Rtp]:
        packets, self.client.transport.rtp[:] = list(self.client.transport.rtp), []
        return [read(packet) for packet in packets]

    def cross(self, why: Crossing, estimate: float) -> None:
        self.plane.estimate = estimate
        transport = self.consumer.transport
        assert isinstance(transport, sfu.Transport)
        transport.on_bandwidth_crossed(why)


def weighted(camera: Camera) -> Camera:
    for layer, weight in zip(camera.layers, WEIGHTS, strict=True):
        layer.weight = weight
    return camera


def takes_feedback(consumer: sfu.Consumer) -> bool:
    return any(one.type == "transport-cc" for one in consumer.plan.codecs[0].rtcp_feedback)


@asynccontextmanager
async def open_scene(
    identity: Identity, estimate: float | None = 10 * HIGH, *, layered: bool = False
) -> AsyncIterator[Scene]:
    """``layered``: one encoding with spatial layers inside, instead of simulcast."""
    notices = Starvings()
    async with (
        open_network(SETTINGS, plane_class=EstimatedPlane) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, notices, name="bob") as bob,
        trio.open_nursery() as nursery,
    ):
        plane = network.plane
        assert isinstance(plane, EstimatedPlane)
        plane.estimate = estimate
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        producer = ada.produce(sending.id, "video", SVC if layered else SIMULCAST)
        consumer = bob.consume(receiving.id, producer, network.router.context.capabilities, stream="ada", paused=False)
        assert takes_feedback(consumer)
        clients = network.client(sending, identity), network.client(receiving, identity)
        for peer, transport, client in zip((ada, bob), (sending, receiving), clients, strict=True):
            peer.connect_transport(transport.id, client.transport.dtls_parameters)
        await eventually(lambda: all(client.transport.connected for client in clients))
        camera = LayeredCamera(clients[0], weights=WEIGHTS) if layered else weighted(Camera(clients[0]))
        nursery.start_soon(camera.run)
        await trio.sleep(SETTLED)
        yield Scene(network, plane, ada, bob, camera, clients[1], producer, consumer, notices)
        assert notices.errors == []
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def add_camera(scene: Scene, identity: Identity, *, screen: bool = False) -> AsyncIterator[sfu.Consumer]:
    """Another client's camera, which Bob consumes as well."""
    router = scene.network.router
    async with sfu.open_peer(router, Notices(), name="cleo") as cleo, trio.open_nursery() as nursery:
        sending = cleo.create_transport("send")
        producer = cleo.produce(sending.id, "video", SIMULCAST, screen=screen)
        receiving = scene.consumer.transport
        assert isinstance(receiving, sfu.Transport)
        capabilities = router.context.capabilities
        consumer = scene.bob.consume(receiving.id, producer, capabilities, stream="cleo", paused=False)
        client = scene.network.client(sending, identity)
        cleo.connect_transport(sending.id, client.transport.dtls_parameters)
        await eventually(lambda: client.transport.connected)
        camera = weighted(Camera(client))
        nursery.start_soon(camera.run)
        await trio.sleep(SETTLED)
        yield consumer
        nursery.cancel_scope.cancel()
