"""Simulcast from a client that names its encodings by RID to a client that sees one stream.  In virtual time."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field, frozen
from trio.testing import MockClock

import sfu
from sfu.keyframes import BACKOFF
from sfu.layers import Layers
from tests.eventually import eventually
from tests.media.camera import FRAME, FRAME_TICKS, SIMULCAST, Camera
from tests.media.conftest import Notices
from tests.media.memory_network import Client, Network, open_network
from tests.media.rtp import Rtp, read
from tools.light.transport import Identity
from tools.light.wire import rtcp

SETTINGS = sfu.MediaSettings()


@define
class Updates(Notices):
    """The layers of a consumer at each notice."""

    updates: list[tuple[bool, Layers | None]] = field(factory=list)

    def consumer_updated(self, consumer: sfu.Consumer) -> None:
        self.updates.append((consumer.producer_paused, consumer.layers))


@frozen
class Scene:
    """Ada's camera, Bob's screen.  Bob consumes from the beginning."""

    network: Network
    ada: sfu.Peer
    bob: sfu.Peer
    camera: Camera
    screen: Client
    producer: sfu.Producer
    consumer: sfu.Consumer
    notices: Updates

    def take_seen(self) -> list[Rtp]:
        """The packets of the stream since the last call, without those that only measure the path."""
        packets, self.screen.transport.rtp[:] = list(self.screen.transport.rtp), []
        return [packet for packet in map(read, packets) if packet.ssrc == self.consumer.ssrc]

    def take_reports(self) -> list[rtcp.SenderReport]:
        packets, self.screen.transport.rtcp[:] = list(self.screen.transport.rtcp), []
        parsed = [one for packet in packets for one in rtcp.parse_untrusted(packet)]
        return [one for one in parsed if isinstance(one, rtcp.SenderReport)]


def layer_of(packet: Rtp) -> int:
    return packet.payload[-2]


def is_key(packet: Rtp) -> bool:
    return packet.payload[-1] == 1


def switches(packets: list[Rtp]) -> list[int]:
    """The positions at which another layer begins."""
    return [at for at in range(1, len(packets)) if layer_of(packets[at]) != layer_of(packets[at - 1])]


def is_one_stream(packets: list[Rtp]) -> bool:
    """Whether the packets look like one stream, although they come from several layers.

    Sequence numbers have no gap, and timestamps rise by the time of one frame.  At a switch a timestamp may repeat: the
    new layer's first frame can show the same picture as the old layer's last one.
    """
    pairs = list(itertools.pairwise(packets))
    steps = [(two.timestamp - one.timestamp) % 2**32 for one, two in pairs]
    at_switches = {at - 1 for at in switches(packets)}
    return (
        all((two.sequence - one.sequence) % 2**16 == 1 for one, two in pairs)
        and all(abs(step - FRAME_TICKS) <= 2 or (step <= 2 and at in at_switches) for at, step in enumerate(steps))
        and len({packet.ssrc for packet in packets}) == 1
    )


@asynccontextmanager
async def open_scene(identity: Identity) -> AsyncIterator[Scene]:
    notices = Updates()
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, notices, name="bob") as bob,
        trio.open_nursery() as nursery,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        producer = ada.produce(sending.id, "video", SIMULCAST)
        consumer = bob.consume(receiving.id, producer, network.router.context.capabilities, stream="ada", paused=False)
        clients = network.client(sending, identity), network.client(receiving, identity)
        for peer, transport, client in zip((ada, bob), (sending, receiving), clients, strict=True):
            peer.connect_transport(transport.id, client.transport.dtls_parameters)
        await eventually(lambda: all(client.transport.connected for client in clients))
        camera = Camera(clients[0])
        nursery.start_soon(camera.run)
        yield Scene(network, ada, bob, camera, clients[1], producer, consumer, notices)
        nursery.cancel_scope.cancel()


async def test_the_best_encoding_is_soon_forwarded_and_begins_with_a_key_frame(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        seen = scene.take_seen()
        assert scene.producer.ssrcs == [7000, 7001, 7002]
        assert layer_of(seen[-1]) == 2
        assert is_key(seen[0])
        assert all(is_key(seen[at]) for at in switches(seen))
        assert is_one_stream(seen)
        assert scene.consumer.layers == Layers(2, 0)
        assert scene.notices.updates == [(False, Layers(0, 0)), (False, Layers(2, 0))]


async def test_bounds_switch_down_and_up_and_the_stream_goes_on_as_one(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        for bound, expected in ((0, 0), (1, 1), (255, 2), (0, 0)):
            scene.bob.set_layers(scene.consumer.id, bound, 255)
            await trio.sleep(2)
            assert scene.consumer.layers == Layers(expected, 0)
        seen = scene.take_seen()
        assert [layer_of(seen[at]) for at in switches(seen)][-4:] == [0, 1, 2, 0]
        assert all(is_key(seen[at]) for at in switches(seen))
        assert is_one_stream(seen)
        # No receiver waits, so there is no request.
        assert sum(layer.asked for layer in scene.camera.layers) <= 6


async def test_a_switch_aligns_timestamps_by_capture_time_not_by_arrival(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.camera.layers[0].lag = 4
        await trio.sleep(5)
        scene.bob.set_layers(scene.consumer.id, 0, 255)
        await trio.sleep(2)
        scene.take_seen()
        scene.bob.set_layers(scene.consumer.id, 255, 255)
        await trio.sleep(2)
        seen = scene.take_seen()
        [at] = switches(seen)
        assert [layer_of(seen[at - 1]), layer_of(seen[at])] == [0, 2]
        # The lowest layer lagged by four frames.  The best layer has no lag.
        assert abs((seen[at].timestamp - seen[at - 1].timestamp) % 2**32 - 5 * FRAME_TICKS) <= FRAME_TICKS


async def test_reports_after_a_switch_are_about_the_timestamps_that_the_receiver_sees(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        scene.bob.set_layers(scene.consumer.id, 1, 255)
        await trio.sleep(3.02)
        newest, report = scene.take_seen()[-1], scene.take_reports()[-1]
        frames = int((trio.current_time() - scene.camera.begun_at) / FRAME)
        taken = 5000 + frames * FRAME  # when the newest picture was taken, on the sender's clock
        reported = newest.timestamp + (report.ntp / 2**32 - taken) * 90000
        assert abs((round(reported) - report.rtp_timestamp + 2**31) % 2**32 - 2**31) <= FRAME_TICKS


async def test_a_consumer_follows_a_sender_that_drops_its_best_encoding_and_resumes_it(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        best = scene.camera.layers[2]
        best.flows = False
        await trio.sleep(5)
        assert scene.consumer.layers == Layers(1, 0)
        best.flows = True
        await trio.sleep(3)
        assert scene.consumer.layers == Layers(2, 0)


async def test_a_consumer_goes_on_with_its_encoding_after_a_silence(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        asked = [layer.asked for layer in scene.camera.layers]
        for layer in scene.camera.layers:
            layer.flows = False
        await trio.sleep(10)
        scene.take_seen()
        for layer in scene.camera.layers:
            layer.flows = True
        await trio.sleep(3)
        assert {layer_of(packet) for packet in scene.take_seen()} == {2}
        assert [layer.asked for layer in scene.camera.layers] == asked


async def test_a_key_frame_is_requested_until_one_comes(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        scene.camera.hears = False
        scene.bob.set_layers(scene.consumer.id, 0, 0)
        asked = scene.camera.layers[0].asked
        await trio.sleep(20)
        assert scene.consumer.layers == Layers(2, 0)
        assert 7 <= scene.camera.layers[0].asked - asked <= 8
        scene.camera.hears = True
        await trio.sleep(BACKOFF[-1] + 0.5)
        assert scene.consumer.layers == Layers(0, 0)


async def test_a_receiver_that_cannot_decode_during_a_switch_gets_a_key_frame_of_the_old_encoding(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(15)
        scene.camera.hears = False
        scene.bob.set_layers(scene.consumer.id, 0, 0)
        await trio.sleep(10)
        asked = [layer.asked for layer in scene.camera.layers]
        loss = rtcp.PictureLossIndication(1, scene.consumer.ssrc)
        scene.screen.transport.send_rtcp(rtcp.encode([*rtcp.receiver_reports(1, ()), loss]))
        scene.screen.flush()
        await trio.sleep(2 * FRAME)
        assert [layer.asked - before for layer, before in zip(scene.camera.layers, asked, strict=True)][1:] == [0, 1]
        scene.camera.hears = True
        await trio.sleep(BACKOFF[-1] + 0.5)
        assert scene.consumer.layers == Layers(0, 0)
        asked = [layer.asked for layer in scene.camera.layers]
        await trio.sleep(20)
        assert [layer.asked for layer in scene.camera.layers] == asked


async def test_an_encoding_begins_anew_under_another_ssrc(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        best = scene.camera.layers[2]
        asked = best.asked
        # Another encoder with other timestamps.  Its first frame, a key frame, was lost.
        best.ssrc, best.base = 8002, 77
        await trio.sleep(0.5)
        assert scene.producer.ssrcs == [7000, 7001, 8002]
        assert best.asked == asked + 1
        await trio.sleep(3)
        seen = scene.take_seen()
        assert layer_of(seen[-1]) == 2
        [report, *_] = reversed(scene.take_reports())
        at_the_end = seen[-1].timestamp
        assert abs((at_the_end - report.rtp_timestamp + 2**31) % 2**32 - 2**31) <= 90000


async def test_a_paused_stream_has_no_layers(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(5)
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        assert scene.consumer.layers is None
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(2)
        assert scene.consumer.layers == Layers(2, 0)
        scene.notices.updates.clear()
        scene.ada.set_producer_paused(scene.producer.id, True)
        await trio.sleep(2)
        scene.ada.set_producer_paused(scene.producer.id, False)
        await trio.sleep(2)
        assert scene.notices.updates == [(True, None), (False, None), (False, Layers(2, 0))]
