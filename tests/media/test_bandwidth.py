"""A receiver whose path is narrow gets what fits.  In virtual time, with estimates that the tests make up."""

import trio
from attrs import evolve
from trio.testing import MockClock

import sfu
from sfu.allocation import NO_LIMIT
from sfu.allocation.allocator import BACK_OFF, BUDGET_SHARE, CALM_INTERVAL, PAUSE
from sfu.bandwidth import FIRST_PROBES, SPACING
from sfu.dataplane.interface import Crossing
from sfu.layers import Layers
from sfu.parameters import RtcpFeedback
from tests.media.camera import FRAME
from tests.media.conftest import Notices
from tests.media.estimated_path import HIGH, LOW, MIDDLE, add_camera, open_scene, takes_feedback
from tests.media.test_spatial_layers import Camera as LayeredCamera
from tools.light.transport import Identity


async def test_without_an_estimate_the_best_encoding_flows(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity, estimate=None) as scene:
        assert scene.take_layers()[-1] == 2
        used, next_rate, wanted = scene.plane.aims[-1]
        assert abs(used - HIGH) < 10e3
        assert (next_rate, wanted) == (None, used)
        assert (scene.consumer.limit, scene.consumer.starved) == (NO_LIMIT, False)


async def test_the_first_estimate_counts_only_after_the_first_probes(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity, estimate=None) as scene:
        scene.cross(Crossing.BELOW_USED, LOW / 2)
        await trio.sleep(FIRST_PROBES - 0.1)
        assert not scene.consumer.starved
        await trio.sleep(0.2)
        assert scene.consumer.starved


async def test_a_narrow_path_gets_a_lower_encoding_at_once(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(4 * FRAME)
        scene.take_layers()
        await trio.sleep(1)
        assert set(scene.take_layers()) == {0}
        used, next_rate, wanted = scene.plane.aims[-1]
        assert abs(used - LOW) < 10e3
        assert next_rate is not None
        assert abs(BUDGET_SHARE * next_rate - MIDDLE) < 10e3
        assert abs(wanted - HIGH) < 10e3
        assert scene.consumer.layers == Layers(0, 0)


async def test_a_larger_encoding_stops_before_the_key_frame_of_the_smaller_one_comes(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.camera.hears = False
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(FRAME)
        scene.take_layers()
        await trio.sleep(0.5)
        assert scene.take_layers() == []
        assert not scene.consumer.starved
        scene.camera.hears = True
        await trio.sleep(2)
        packets = scene.take_packets()
        assert {packet.payload[-2] for packet in packets} == {0}
        assert packets[0].payload[-1] == 1, "it begins with a key frame"


async def test_a_smaller_picture_for_another_reason_lets_the_larger_one_go_on_until_then(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.camera.hears = False
        scene.bob.set_layers(scene.consumer.id, 0, 255)
        await trio.sleep(FRAME)
        scene.take_layers()
        await trio.sleep(0.5)
        assert set(scene.take_layers()) == {2}


async def test_a_path_without_room_pauses_the_video_and_says_so(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.notices.starved.clear()
        scene.cross(Crossing.BELOW_USED, LOW / 2)
        await trio.sleep(2 * FRAME)
        assert (scene.consumer.starved, scene.consumer.paused, scene.consumer.layers) == (True, False, None)
        assert scene.notices.starved == [True]
        scene.take_layers()
        await trio.sleep(3)
        assert scene.take_layers() == []
        scene.cross(Crossing.NEXT_PROVEN, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(1)
        packets = scene.take_packets()
        assert {packet.payload[-2] for packet in packets} == {0}
        assert packets[0].payload[-1] == 1, "it begins with a key frame"
        assert scene.notices.starved[1:] == [False, False], "it is back, and then it has layers"


async def test_an_owners_pause_and_a_starved_video_are_two_things(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.cross(Crossing.BELOW_USED, LOW / 2)
        await trio.sleep(1)
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        scene.plane.estimate = 10 * HIGH
        await trio.sleep(2 * CALM_INTERVAL)
        scene.take_layers()
        assert scene.take_layers() == []
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(1)
        assert scene.take_layers()[-1] == 2
        assert not scene.consumer.starved


async def test_a_proven_step_is_taken_and_an_unproven_one_waits(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(PAUSE + 0.1)
        scene.cross(Crossing.NEXT_PROVEN, MIDDLE / BUDGET_SHARE + 10e3)
        await trio.sleep(4 * FRAME)
        assert scene.consumer.layers == Layers(1, 0)
        scene.plane.estimate = 10 * HIGH
        await trio.sleep(PAUSE - 4 * FRAME)
        assert scene.consumer.layers == Layers(1, 0)
        await trio.sleep(PAUSE + 0.5)
        assert scene.consumer.layers == Layers(2, 0)


async def test_spatial_layers_inside_one_encoding_follow_the_path(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity, layered=True) as scene:
        camera = scene.camera
        assert isinstance(camera, LayeredCamera)
        assert set(scene.take_layers()) == {0, 1, 2}
        used, _, wanted = scene.plane.aims[-1]
        assert used == wanted
        scene.cross(Crossing.BELOW_USED, used / 2)
        await trio.sleep(3 * FRAME)
        scene.take_layers()
        asked = camera.asked
        await trio.sleep(1)
        assert set(scene.take_layers()) == {0}
        assert camera.asked == asked, "a lower layer needs no key frame"
        scene.cross(Crossing.NEXT_PROVEN, 2 * wanted)
        await trio.sleep(PAUSE + 1)
        assert camera.asked > asked
        assert set(scene.take_layers()[-6:]) == {0, 1, 2}


async def test_a_receiver_that_falls_blind_keeps_what_it_has(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(1)
        for estimate in (LOW / 10, 10 * HIGH):
            scene.cross(Crossing.BLIND, estimate)
            await trio.sleep(2 * CALM_INTERVAL)
            assert scene.consumer.layers == Layers(0, 0)
        scene.cross(Crossing.HEARD, 10 * HIGH)
        await trio.sleep(2 * PAUSE)
        assert scene.consumer.layers == Layers(2, 0)


async def test_an_encoding_that_goes_on_until_the_key_frame_of_another_stops_when_the_path_gets_narrow(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene, add_camera(scene, identity):
        scene.camera.hears = False
        scene.consumer.set_bounds(Layers(0, 0), trio.current_time())
        await trio.sleep(2)
        scene.take_layers()
        await trio.sleep(0.5)
        assert scene.consumer.stats().encoding == 2
        # What it may have is the same as before.  But what still comes takes the room of the other camera.
        scene.cross(Crossing.BELOW_USED, (LOW + MIDDLE) / BUDGET_SHARE + 10e3)
        await trio.sleep(FRAME)
        assert scene.consumer.stats().encoding is None


async def test_a_camera_that_its_owner_resumes_takes_no_more_than_fits(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.cross(Crossing.BELOW_USED, 160e3 / BUDGET_SHARE)
        await trio.sleep(1)
        assert scene.consumer.layers == Layers(1, 0)
        for pause in (2.5, 60):
            scene.ada.set_producer_paused(scene.producer.id, True)
            await trio.sleep(pause)
            scene.take_layers()
            scene.ada.set_producer_paused(scene.producer.id, False)
            await trio.sleep(15)
            assert set(scene.take_layers()) == {0, 1}


async def test_an_encoding_that_begins_again_counts_as_large_until_it_is_measured(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity, estimate=170e3 / BUDGET_SHARE) as scene:
        await trio.sleep(3)
        top = scene.encodings[2]
        # The encoding begins at different times between two measurements.
        for tenths in range(10):
            top.flows = False
            await trio.sleep(10 + tenths / 10)
            assert scene.consumer.layers == Layers(1, 0)
            top.flows = True
            scene.take_layers()
            await trio.sleep(10)
            assert set(scene.take_layers()) == {1}


async def test_bounds_and_limit_both_hold(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.bob.set_layers(scene.consumer.id, 1, 255)
        scene.cross(Crossing.NEXT_PROVEN, 10 * HIGH)
        await trio.sleep(1)
        assert scene.consumer.layers == Layers(1, 0)
        assert abs(scene.plane.aims[-1][2] - MIDDLE) < 10e3
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        scene.bob.set_layers(scene.consumer.id, 255, 255)
        await trio.sleep(1)
        assert scene.consumer.layers == Layers(0, 0)


async def test_a_pinned_person_takes_the_room_of_another(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene, add_camera(scene, identity) as other:
        scene.cross(Crossing.BELOW_USED, (LOW + MIDDLE) / BUDGET_SHARE + 20e3)
        await trio.sleep(1)
        assert (scene.consumer.layers, other.layers) == (Layers(1, 0), Layers(0, 0))
        scene.bob.set_priority(other.id, 255)
        await trio.sleep(1)
        assert (scene.consumer.layers, other.layers) == (Layers(0, 0), Layers(1, 0))


async def test_a_screen_comes_before_a_camera(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene, add_camera(scene, identity, screen=True) as other:
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(1)
        assert (scene.consumer.starved, other.starved) == (True, False)


async def test_a_video_that_its_owner_paused_takes_no_room(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene, add_camera(scene, identity, screen=True) as other:
        scene.cross(Crossing.BELOW_USED, LOW / BUDGET_SHARE + 10e3)
        await trio.sleep(1)
        assert (scene.consumer.starved, other.starved) == (True, False)
        scene.bob.set_consumer_paused(other.id, True)
        await trio.sleep(BACK_OFF + 1)
        assert not scene.consumer.starved
        used, _, wanted = scene.plane.aims[-1]
        assert used < 1.2 * LOW
        assert wanted < 1.2 * HIGH


async def test_a_video_without_room_asks_for_no_key_frame(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.cross(Crossing.BELOW_USED, LOW / 2)
        await trio.sleep(3)
        assert scene.consumer.starved
        asked = [layer.asked for layer in scene.encodings]
        await trio.sleep(20)
        assert [layer.asked for layer in scene.encodings] == asked


async def test_other_bounds_and_another_set_of_encodings_are_noticed_at_once(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.plane.estimate = 10 * HIGH
        await trio.sleep(2 * CALM_INTERVAL + 0.5)
        scene.plane.aims.clear()
        scene.bob.set_layers(scene.consumer.id, 0, 255)
        await trio.sleep(SPACING + 0.01)
        assert [round(used / LOW) for used, _, _ in scene.plane.aims] == [1]
        scene.bob.set_layers(scene.consumer.id, 1, 255)
        await trio.sleep(CALM_INTERVAL + 1)
        scene.encodings[1].flows = False
        await trio.sleep(4)
        assert [round(used / LOW) for used, _, _ in scene.plane.aims][-1] == 1


async def test_streams_that_come_and_go_are_noticed_at_once(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.plane.estimate = 10 * HIGH
        await trio.sleep(2 * CALM_INTERVAL + 0.5)
        scene.plane.aims.clear()
        scene.bob.close_consumer(scene.consumer.id)
        await trio.sleep(SPACING + 0.01)
        assert scene.plane.aims == [(0, None, 0)]
        receiving = scene.consumer.transport
        assert isinstance(receiving, sfu.Transport)
        capabilities = scene.network.router.context.capabilities
        scene.bob.consume(receiving.id, scene.producer, capabilities, stream="ada", paused=False)
        await trio.sleep(SPACING + 0.01)
        assert [used > HIGH / 2 for used, _, _ in scene.plane.aims] == [False, True]


async def test_many_changes_make_one_run(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        scene.plane.estimate = 10 * HIGH
        await trio.sleep(2 * CALM_INTERVAL)
        scene.plane.aims.clear()
        for number in range(50):
            scene.bob.set_priority(scene.consumer.id, 1 + number)
            await trio.lowlevel.checkpoint()
        assert len(scene.plane.aims) <= 1
        await trio.sleep(SPACING + 0.01)
        assert len(scene.plane.aims) == 2


async def test_a_steady_call_wakes_the_allocator_every_few_seconds(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        scene.plane.estimate = 10 * HIGH
        await trio.sleep(2 * CALM_INTERVAL)
        scene.plane.aims.clear()
        await trio.sleep(4 * CALM_INTERVAL)
        assert len(scene.plane.aims) == 4


async def test_a_receiver_without_feedback_costs_nothing(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        mute = scene.network.router.context.capabilities
        codecs = tuple(
            evolve(one, rtcp_feedback=tuple(kept for kept in one.rtcp_feedback if kept != RtcpFeedback("transport-cc")))
            for one in mute.codecs
        )
        async with sfu.open_peer(scene.network.router, Notices(), name="cleo") as cleo:
            receiving = cleo.create_transport("receive")
            consumer = cleo.consume(receiving.id, scene.producer, evolve(mute, codecs=codecs), stream="ada")
            assert not takes_feedback(consumer)
            assert not receiving.sharing.enabled
            consumer.set_priority(9)
            assert receiving.sharing.get_timer() == float("inf")
