"""On a narrow path the camera of a speaker comes first, and the quality of the connection shows what is missing."""

import trio
from trio.testing import MockClock

import sfu
from gateway.channel.connection_quality import QualityMeter
from sfu.allocation.allocator import BUDGET_SHARE, CALM_INTERVAL
from sfu.bandwidth import SPACING
from sfu.dataplane.interface import Crossing
from sfu.layers import Layers
from tests.media.camera import FRAME
from tests.media.estimated_path import HIGH, LOW, MIDDLE, add_camera, open_scene
from tools.light.transport import Identity


def speak(consumer: sfu.Consumer) -> None:
    """The person whose camera it is begins to speak."""
    assert isinstance(consumer.producer, sfu.Producer)
    consumer.producer.set_speaking(True)


async def test_a_speaker_takes_the_room_of_another_until_the_owner_pins_somebody(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene, add_camera(scene, identity) as other:
        scene.cross(Crossing.BELOW_USED, (LOW + MIDDLE) / BUDGET_SHARE + 20e3)
        await trio.sleep(1.5)
        assert (scene.consumer.layers, other.layers) == (Layers(1, 0), Layers(0, 0))
        speak(other)
        await trio.sleep(SPACING + 4 * FRAME)
        assert (scene.consumer.layers, other.layers) == (Layers(0, 0), Layers(1, 0))
        assert other.priority == scene.consumer.priority == 1
        scene.bob.set_priority(scene.consumer.id, 2)
        await trio.sleep(1.5)
        assert (scene.consumer.layers, other.layers) == (Layers(1, 0), Layers(0, 0))


async def test_a_starved_speaker_is_seen_instead_of_another(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene, add_camera(scene, identity) as other:
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(1.5)
        assert (scene.consumer.starved, other.starved) == (False, True)
        speak(other)
        await trio.sleep(SPACING + 0.01)
        assert (scene.consumer.starved, other.starved) == (True, False)


async def test_speakers_cost_a_receiver_with_enough_room_nothing(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.plane.estimate = 10 * HIGH
        await trio.sleep(2 * CALM_INTERVAL)
        scene.plane.aims.clear()
        for number in range(20):
            scene.producer.set_speaking(number % 2 == 0)
            await trio.sleep(SPACING)
        assert len(scene.plane.aims) <= 1
        assert scene.consumer.layers == Layers(2, 0)


async def test_the_measurement_of_a_receiver_shows_what_its_videos_lack(
    autojump_clock: MockClock, identity: Identity
) -> None:
    def shares() -> tuple[float, float]:
        (one,) = sfu.measure_peers([scene.bob])
        assert one is not None
        return one.video_share, one.least_share

    def quality() -> str:
        meter = QualityMeter()
        for _ in range(2):
            (one,) = sfu.measure_peers([scene.bob])
            assert one is not None
            meter.update(one)
        return meter.measured

    async with open_scene(identity) as scene, add_camera(scene, identity) as other:
        assert (shares(), quality()) == ((1, 1), "excellent")
        scene.cross(Crossing.BELOW_USED, (LOW + MIDDLE) / BUDGET_SHARE + 20e3)
        await trio.sleep(1)
        together, least = shares()
        assert abs(together - (LOW + MIDDLE) / (2 * HIGH)) < 0.05
        assert abs(least - LOW / HIGH) < 0.05
        assert quality() == "good"
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(1)
        assert other.starved
        assert (shares()[1], quality()) == (0, "poor")
        scene.bob.set_consumer_paused(other.id, True)
        scene.bob.set_layers(scene.consumer.id, 0, 255)
        await trio.sleep(1)
        assert (shares(), quality()) == ((1, 1), "excellent"), "nothing is missing that the owner does not ask for"
