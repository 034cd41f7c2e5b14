"""Receivers that wait for a key frame, and senders that cannot give one yet.  In virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

import sfu
from sfu.dataplane.interface import ProducerId
from sfu.dataplane.values import RepairFailed
from sfu.keyframes import BACKOFF, SPACING
from sfu.parameters import RtcpFeedback
from sfu.settings import TransportState
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory_network import Client, Network, open_network
from tests.media.rtp import FIR, PLI, VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, vp8
from tests.media.test_closing import transport_of
from tools.light.transport import Identity
from tools.light.wire import rtcp

SETTINGS = sfu.MediaSettings()
SSRC = 2222
FRAME = 0.05


@define(eq=False)
class Scene:
    """Ada's camera, and Bob's screen, whose consumer is still paused.

    ``asked`` has the times at which the camera got a request for a key frame.  While ``sends`` is True, the camera
    sends a frame every 50 ms.  If ``obeys`` is True, it answers each request with a key frame.
    """

    network: Network
    ada: sfu.Peer
    bob: sfu.Peer
    producer: sfu.Producer
    consumer: sfu.Consumer
    camera: Client
    screen: Client
    sends: bool = False
    obeys: bool = False
    ssrc: int = SSRC
    asked: list[float] = field(factory=list)
    _number: int = 0

    def hear(self) -> bool:
        """Read the camera's RTCP.  Return whether it contains a request for a key frame."""
        packets, self.camera.transport.rtcp[:] = list(self.camera.transport.rtcp), []
        parsed = [one for packet in packets for one in rtcp.parse_untrusted(packet)]
        requests = [one for one in parsed if isinstance(one, rtcp.PictureLossIndication | rtcp.FullIntraRequest)]
        self.asked += [trio.current_time()] * len(requests)
        return bool(requests)

    def show(self, *, key: bool) -> None:
        self._number += 1
        payload = VP8_KEY_FRAME if key else VP8_INTER_FRAME
        packet = Rtp(96, self._number & 0xFFFF, round(trio.current_time() * 90000) % 2**32, self.ssrc, payload, True)
        self.camera.transport.send_rtp(bytes(packet))
        self.camera.flush()

    async def film(self) -> None:
        while True:
            asked = self.hear()
            if self.sends:
                self.show(key=asked and self.obeys)
            await trio.sleep(FRAME)

    def complain(self) -> None:
        """Send a picture loss indication, as a screen that cannot decode does."""
        loss = rtcp.PictureLossIndication(1, self.consumer.ssrc)
        self.screen.transport.send_rtcp(rtcp.encode([*rtcp.receiver_reports(1, ()), loss]))
        self.screen.flush()

    async def asked_in(self, seconds: float) -> int:
        """How many requests for a key frame the camera gets in these seconds."""
        before = len(self.asked)
        await trio.sleep(seconds)
        return len(self.asked) - before

    async def begins_within(self, seconds: float) -> bool:
        await trio.sleep(seconds)
        return self.consumer.stats().encoding is not None


@asynccontextmanager
async def open_scene(identity: Identity, *feedback: RtcpFeedback) -> AsyncIterator[Scene]:
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, Notices(), name="bob") as bob,
        trio.open_nursery() as nursery,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        clients = network.client(sending, identity), network.client(receiving, identity)
        for peer, transport, client in zip((ada, bob), (sending, receiving), clients, strict=True):
            peer.connect_transport(transport.id, client.transport.dtls_parameters)
        await eventually(lambda: all(client.transport.connected for client in clients))
        producer = ada.produce(sending.id, "video", vp8(SSRC, *feedback))
        consumer = bob.consume(receiving.id, producer, network.router.context.capabilities, stream="ada", paused=True)
        scene = Scene(network, ada, bob, producer, consumer, *clients)
        nursery.start_soon(scene.film)
        await trio.sleep(1)
        yield scene
        nursery.cancel_scope.cancel()


SHORT = 2 * FRAME + 0.01


@pytest.mark.parametrize("feedback", [(PLI, FIR), (PLI,), (FIR,)])
@pytest.mark.parametrize("silence", [0.5, 9.3, 61.3])
async def test_a_silent_camera_is_asked_again_and_at_once_when_it_flows(
    autojump_clock: MockClock, identity: Identity, silence: float, feedback: tuple[RtcpFeedback, ...]
) -> None:
    async with open_scene(identity, *feedback) as scene:
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        tries = await scene.asked_in(silence)
        assert 1 <= tries <= len(BACKOFF) + silence / BACKOFF[-1]
        scene.sends = scene.obeys = True
        assert await scene.begins_within(2 * FRAME + SHORT)


async def test_a_camera_that_ignores_requests_is_asked_as_long_as_a_receiver_waits(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.sends = True
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(120)
        assert await scene.asked_in(60) in {14, 15, 16}
        scene.obeys = True
        assert await scene.begins_within(BACKOFF[-1] + SHORT)
        assert await scene.asked_in(60) == 0


@pytest.mark.parametrize("away", [3, 9.3, 25])
async def test_a_reconnected_camera_is_asked_at_once(
    autojump_clock: MockClock, identity: Identity, away: float
) -> None:
    async with open_scene(identity) as scene:
        scene.sends = scene.obeys = True
        await trio.sleep(1)
        scene.camera.reachable = False
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(away)
        scene.camera.reachable = True
        assert await scene.begins_within(2 * FRAME + SHORT)
        assert transport_of(scene.producer).state is TransportState.CONNECTED


async def test_a_reconnected_camera_without_media_is_asked_at_its_first_sign_of_life(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.camera.reachable = False
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(14)
        assert transport_of(scene.producer).state is TransportState.DISCONNECTED
        scene.hear()
        scene.camera.reachable = True
        await eventually(lambda: transport_of(scene.producer).state is TransportState.CONNECTED, seconds=5)
        assert await scene.asked_in(SHORT) == 1


@pytest.mark.parametrize("paused", [0.5, 30])
async def test_a_resumed_camera_is_asked_at_once_even_if_it_ignored_requests(
    autojump_clock: MockClock, identity: Identity, paused: float
) -> None:
    async with open_scene(identity) as scene:
        scene.sends = True
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(30)
        scene.ada.set_producer_paused(scene.producer.id, True)
        assert await scene.asked_in(paused) == 0
        scene.obeys = True
        scene.ada.set_producer_paused(scene.producer.id, False)
        assert await scene.begins_within(SHORT)


async def test_an_intermittent_camera_is_asked_once_each_time_it_begins_to_flow(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(30)
        scene.sends = True
        await trio.sleep(5)
        scene.sends = False
        await trio.sleep(5)
        before = len(scene.asked)
        scene.sends = True
        await trio.sleep(SHORT)
        assert len(scene.asked) == before + 1, "once for each time that it begins to flow"


@pytest.mark.parametrize("end", ["consumer paused", "consumer closed", "producer paused", "producer closed"])
async def test_a_camera_that_no_receiver_waits_for_is_not_asked(
    autojump_clock: MockClock, identity: Identity, end: str
) -> None:
    ends: dict[str, Callable[[Scene], None]] = {
        "consumer paused": lambda scene: scene.bob.set_consumer_paused(scene.consumer.id, True),
        "consumer closed": lambda scene: scene.bob.close_consumer(scene.consumer.id),
        "producer paused": lambda scene: scene.ada.set_producer_paused(scene.producer.id, True),
        "producer closed": lambda scene: scene.ada.close_producer(scene.producer.id),
    }
    async with open_scene(identity) as scene:
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(10)
        ends[end](scene)
        scene.hear()
        assert await scene.asked_in(60) == 0
        assert scene.ada.observer.errors == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("every", [0.1, 1.0])
async def test_a_receiver_that_complains_without_end_gets_fewer_and_fewer_key_frames(
    autojump_clock: MockClock, identity: Identity, every: float
) -> None:
    async with open_scene(identity) as scene:
        scene.sends = scene.obeys = True
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(1)
        for _ in range(round(60 / every)):
            scene.complain()
            await trio.sleep(every)
        assert len(scene.asked) <= len(SPACING) + 60 / SPACING[-1]
        # After 30 s without complaints, the next two complaints each cause a request at once.
        await trio.sleep(30)
        for _ in range(2):
            scene.complain()
            assert await scene.asked_in(SHORT) == 1


async def test_a_receiver_that_pauses_and_resumes_without_end_does_not_get_a_key_frame_each_time(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.sends = scene.obeys = True
        for number in range(600):
            scene.bob.set_consumer_paused(scene.consumer.id, bool(number % 2))
            await trio.sleep(0.1)
        assert len(scene.asked) <= len(SPACING) + 60 / SPACING[-1]


async def test_a_receiver_that_closes_and_consumes_without_end_does_not_get_a_key_frame_each_time(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.sends = scene.obeys = True
        capabilities, transport = scene.network.router.context.capabilities, transport_of(scene.consumer)
        for _ in range(600):
            scene.bob.close_consumer(scene.consumer.id)
            scene.consumer = scene.bob.consume(transport.id, scene.producer, capabilities, stream="ada", paused=False)
            await trio.sleep(0.1)
        assert len(scene.asked) <= len(SPACING) + 60 / SPACING[-1]


async def test_a_key_frame_under_a_new_ssrc_answers_the_request(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.sends = scene.obeys = True
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(5)
        scene.obeys = False
        scene.complain()
        await trio.sleep(2 * SHORT)
        before = len(scene.asked)
        moved = Rtp(96, 1, 1, 2 * SSRC, VP8_KEY_FRAME, True, b"\x400")
        scene.ssrc = moved.ssrc
        scene.camera.transport.send_rtp(bytes(moved))
        scene.camera.flush()
        assert await scene.begins_within(SHORT)
        assert (len(scene.asked), await scene.asked_in(60)) == (before, 0)


async def test_a_receiver_that_lost_its_first_key_frame_gets_another_at_once(
    autojump_clock: MockClock, identity: Identity
) -> None:
    """Firefox drops the first packets, which come right after our Finished."""
    async with open_scene(identity) as scene:
        scene.sends = scene.obeys = True
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(SHORT)
        assert len(scene.asked) == 1
        scene.complain()
        assert await scene.asked_in(SHORT) == 1


async def test_a_camera_that_understands_neither_pli_nor_fir_is_not_asked(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity, RtcpFeedback("nack", "")) as scene:
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        assert await scene.asked_in(30) == 0
        scene.sends = True
        scene.show(key=True)
        await wait_all_tasks_blocked()
        assert await scene.begins_within(SHORT)


async def test_a_loss_that_cannot_be_repaired_makes_one_request_for_all_receivers(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene, sfu.open_peer(scene.network.router, Notices(), name="cy") as cy:
        screen = cy.create_transport("receive")
        client = scene.network.client(screen, identity)
        cy.connect_transport(screen.id, client.transport.dtls_parameters)
        await eventually(lambda: client.transport.connected)
        capabilities = scene.network.router.context.capabilities
        cy.consume(screen.id, scene.producer, capabilities, stream="ada", paused=False)
        scene.sends = scene.obeys = True
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        assert await scene.begins_within(5)
        await trio.sleep(5)
        scene.network.router.handle(RepairFailed(scene.producer.plane_id, 0, False), trio.current_time())
        assert await scene.asked_in(5) == 1


async def test_a_loss_that_no_receiver_sees_makes_no_request(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.sends = True
        for producer in (scene.producer.plane_id, ProducerId(999_999)):
            scene.network.router.handle(RepairFailed(producer, 0, False), trio.current_time())
        assert await scene.asked_in(5) == 0
        assert scene.network.router.context.slow_path_errors == 0
