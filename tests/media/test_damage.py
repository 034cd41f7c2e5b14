"""An encoding that its sender's network has no room for: the receivers get a lower one, and the sender may stop it."""

import pytest
import trio
from trio.testing import MockClock

from sfu.damage import GIVEN_UP, LOOK, PATIENCE, REST, DamagedEncodings
from sfu.dataplane.core import ENCODING_IDLE
from sfu.dataplane.values import RepairFailed
from sfu.keyframes import BURST
from tests.media.camera import FRAME
from tests.media.test_simulcast import Scene, is_key, layer_of, open_scene
from tools.light.transport import Identity

ALL, REDUCED = (True, True, True), (True, True, False)


def never(encoding: int) -> int:
    return 3


def test_an_encoding_whose_key_frame_does_not_come_is_damaged() -> None:
    damaged = DamagedEncodings()
    assert not damaged.on_repair_failed(2, 3, PATIENCE, 9.0)
    assert damaged.get_timer() is None, "the sender has not been asked"
    damaged.on_asked(2, 10.0)
    assert damaged.get_timer() == 10.0 + PATIENCE
    damaged.on_asked(2, 10.1)
    damaged.on_repair_failed(2, 3, PATIENCE, 10.2)
    assert not damaged.update(never, 10.0 + PATIENCE - 0.01)
    assert damaged.update(never, 10.0 + PATIENCE)
    assert (2 in damaged, 1 in damaged, damaged.resting(10.5)) == (True, False, {2})


def test_a_key_frame_in_time_leaves_it_whole() -> None:
    damaged = DamagedEncodings()
    damaged.on_repair_failed(2, 3, PATIENCE, 10.0)
    damaged.on_asked(2, 10.0)
    assert not damaged.update(lambda _: 4, 10.0 + PATIENCE)
    assert (2 in damaged, damaged.get_timer()) == (False, None)


def test_a_failure_whose_request_never_left_leaves_nothing_behind() -> None:
    damaged = DamagedEncodings()
    damaged.on_repair_failed(2, 3, PATIENCE, 10.0)
    damaged.on_repair_failed(2, 4, PATIENCE, 20.0)
    damaged.on_asked(2, 20.0)
    assert damaged.update(lambda _: 4, 20.0 + PATIENCE), "the key frame between the two is no answer to the second"


def test_an_encoding_that_begins_anew_is_whole_and_a_paused_sender_is_not_waited_for() -> None:
    damaged = DamagedEncodings()
    damaged.on_repair_failed(1, 3, 0.0, 10.0)
    damaged.on_repair_failed(2, 3, PATIENCE, 10.0)
    damaged.on_asked(2, 10.0)
    damaged.await_none()
    damaged.forget(1)
    assert (1 in damaged, damaged.get_timer()) == (False, None)


def test_without_patience_it_is_damaged_at_once_but_not_the_lowest() -> None:
    damaged = DamagedEncodings()
    assert damaged.on_repair_failed(1, 3, 0.0, 10.0)
    assert damaged.on_repair_failed(1, 3, PATIENCE, 10.1), "it stays so"
    assert not damaged.on_repair_failed(0, 3, 0.0, 10.0)
    assert (damaged.resting(10.0 + REST - 0.01), damaged.resting(10.0 + REST)) == ({1}, set())


@pytest.mark.parametrize(("key_frame_at", "ends"), [(1.0, GIVEN_UP), (REST + LOOK / 2, REST + LOOK)])
def test_the_next_key_frame_after_its_rest_or_a_long_time_ends_it(key_frame_at: float, ends: float) -> None:
    damaged = DamagedEncodings()
    damaged.on_repair_failed(1, 3, 0.0, 10.0)
    for look in range(1, 100):
        timer = damaged.get_timer()
        assert timer is not None
        assert timer == pytest.approx(10.0 + look * LOOK)
        frames = 4 if timer >= 10.0 + key_frame_at else 3
        if damaged.update(lambda _, frames=frames: frames, timer):  # type: ignore[misc]
            break
    assert timer == pytest.approx(10.0 + ends)
    assert (1 in damaged, damaged.get_timer()) == (False, None)


def fail_repair(scene: Scene, encoding: int, *, narrow: bool) -> None:
    event = RepairFailed(scene.producer.plane_id, encoding, narrow)
    scene.network.router.handle(event, trio.current_time())


def encodings(scene: Scene) -> list[int]:
    return [layer_of(packet) for packet in scene.take_seen()]


async def test_receivers_of_a_damaged_encoding_get_a_lower_one_until_it_begins_anew(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        best, middle = scene.camera.layers[2], scene.camera.layers[1]
        assert encodings(scene)[-1] == 2
        asked = best.asked
        # What the sender's queue still holds goes on to come.  Neither this nor further failures count.
        fail_repair(scene, 2, narrow=True)
        await trio.sleep(4 * FRAME)
        fail_repair(scene, 2, narrow=True)
        packets = scene.take_seen()
        assert [layer_of(packet) for packet in packets].count(2) <= 1, "nothing of it is sent any more"
        assert is_key(next(packet for packet in packets if layer_of(packet) == 1))
        assert scene.producer.wanted_encodings == REDUCED
        best.flows = False
        await trio.sleep(REST)
        assert (best.asked, middle.asked > 0) == (asked, True)
        assert scene.producer.wanted_encodings == ALL, "it may begin anew"
        scene.take_seen()
        await trio.sleep(1)
        assert set(encodings(scene)) == {1}
        best.flows = best.key_wanted = True
        await trio.sleep(1)
        assert encodings(scene)[-1] == 2


async def test_a_sender_with_room_has_time_for_a_key_frame(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        scene.take_seen()
        fail_repair(scene, 2, narrow=False)
        await trio.sleep(2 * PATIENCE)
        assert set(encodings(scene)) == {2}
        scene.camera.hears = False
        await trio.sleep(5)
        scene.take_seen()
        fail_repair(scene, 2, narrow=False)
        await trio.sleep(PATIENCE / 2)
        assert set(encodings(scene)) == {2}
        await trio.sleep(2 * PATIENCE)
        scene.camera.hears = True
        await trio.sleep(2)
        assert encodings(scene)[-1] == 1


async def test_the_time_for_a_key_frame_begins_with_the_request(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        best = scene.camera.layers[2]
        # After some key frames in a row, the next request waits for its turn.
        for _ in range(BURST):
            fail_repair(scene, 2, narrow=False)
            await trio.sleep(PATIENCE / 2)
        asked = best.asked
        scene.take_seen()
        fail_repair(scene, 2, narrow=False)
        await trio.sleep(1.2 * PATIENCE)
        assert best.asked == asked, "it still waits"
        await trio.sleep(3)
        assert best.asked > asked
        assert set(encodings(scene)) == {2}


async def test_a_paused_sender_is_not_damaged(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        scene.camera.hears = False
        fail_repair(scene, 2, narrow=False)
        await trio.sleep(PATIENCE / 2)
        scene.producer.set_paused(True, trio.current_time())
        await trio.sleep(1)
        scene.camera.hears = True
        scene.take_seen()
        scene.producer.set_paused(False, trio.current_time())
        await trio.sleep(1)
        assert encodings(scene)[-1] == 2


async def test_an_encoding_without_a_lower_one_that_flows_is_not_damaged(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        for layer in scene.camera.layers[:2]:
            layer.flows = False
        await trio.sleep(4)
        scene.take_seen()
        fail_repair(scene, 2, narrow=True)
        await trio.sleep(2)
        seen = scene.take_seen()
        assert {layer_of(packet) for packet in seen} == {2}
        assert any(is_key(packet) for packet in seen)


async def test_a_damaged_encoding_is_better_than_none(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        fail_repair(scene, 2, narrow=True)
        await trio.sleep(1)
        assert encodings(scene)[-1] == 1
        for layer in scene.camera.layers[:2]:
            layer.flows = False
        await trio.sleep(ENCODING_IDLE + 2)
        scene.take_seen()
        await trio.sleep(1)
        assert set(encodings(scene)) == {2}
