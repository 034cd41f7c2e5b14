"""A peer that may receive nothing: nothing comes, whatever it asks for, and all of it goes on as its own pauses say."""

import pytest
import trio
from trio.testing import MockClock

from sfu.consumer import Consumer
from sfu.demand import OFF_AFTER
from sfu.layers import Layers
from tests.media.camera import FRAME
from tests.media.rtp import opus
from tests.media.test_demand import ALL, NONE, obey
from tests.media.test_simulcast import is_key, layer_of, open_scene
from tools.light.transport import Identity


async def test_a_deaf_peer_gets_nothing_and_then_a_key_frame_at_once(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        assert scene.take_seen()
        scene.bob.set_deaf(True)
        await trio.sleep(1)
        # Neither pausing and resuming nor other layers make it flow.
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        scene.bob.set_layers(scene.consumer.id, 0, 255)
        scene.ada.set_producer_paused(scene.producer.id, True)
        scene.ada.set_producer_paused(scene.producer.id, False)
        await trio.sleep(1)
        assert scene.take_seen() == []
        asked = scene.camera.layers[0].asked
        scene.bob.set_deaf(False)
        await trio.sleep(4 * FRAME)
        packets = scene.take_seen()
        assert is_key(packets[0])
        assert layer_of(packets[0]) == 0
        assert scene.camera.layers[0].asked == asked + 1


async def test_a_consumer_that_a_deaf_peer_makes_flows_only_afterwards(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.bob.set_deaf(True)
        scene.bob.close_consumer(scene.consumer.id)
        (receiving,) = scene.bob.transports.values()
        capabilities = scene.network.router.context.capabilities
        scene.bob.consume(receiving.id, scene.producer, capabilities, stream="ada", paused=False)
        scene.screen.transport.rtp.clear()
        await trio.sleep(2)
        assert list(scene.screen.transport.rtp) == []
        scene.bob.set_deaf(False)
        await trio.sleep(1)
        assert list(scene.screen.transport.rtp)


@pytest.mark.parametrize("paused_while_deaf", [True, False])
async def test_a_pause_of_the_owner_outlasts_the_deafness(
    autojump_clock: MockClock, identity: Identity, paused_while_deaf: bool
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(1)
        for is_pause in (paused_while_deaf, not paused_while_deaf):
            if is_pause:
                scene.bob.set_deaf(True)
            else:
                scene.bob.set_consumer_paused(scene.consumer.id, True)
        scene.take_seen()
        scene.bob.set_deaf(False)
        await trio.sleep(1)
        assert (scene.take_seen(), scene.consumer.paused) == ([], True)
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(1)
        assert scene.take_seen()


async def test_a_deaf_peer_has_no_layers_and_wants_none(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        owner = obey(scene)
        await trio.sleep(5)
        scene.notices.updates.clear()
        scene.bob.set_deaf(True)
        scene.bob.set_deaf(True)
        assert scene.notices.updates == [(False, None)]
        await trio.sleep(OFF_AFTER + 0.1)
        assert owner.demands == [NONE]
        scene.bob.set_deaf(False)
        await trio.sleep(2)
        assert owner.demands == [NONE, ALL]
        assert scene.notices.updates[-1] == (False, Layers(2, 0))


async def test_an_exception_in_one_stream_stops_the_others_all_the_same(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = Consumer.set_held

    def fail_first(consumer: Consumer, held: bool, now: float) -> None:
        if consumer is first:
            raise RuntimeError("broken")
        hold(consumer, held, now)

    async with open_scene(identity) as scene:
        first = scene.consumer
        (sending,) = scene.ada.transports.values()
        (receiving,) = scene.bob.transports.values()
        voice = scene.ada.produce(sending.id, "audio", opus(1001))
        capabilities = scene.network.router.context.capabilities
        second = scene.bob.consume(receiving.id, voice, capabilities, stream="ada", paused=False)
        monkeypatch.setattr(Consumer, "set_held", fail_first)
        scene.bob.set_deaf(True)
        assert second.held
        assert [str(error) for error in scene.notices.errors] == ["broken"]
