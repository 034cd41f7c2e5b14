"""Which encodings a sender is asked for: those that somebody wants, at once, and for a while after that."""

import math

import pytest
import trio
from attrs import define, evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import sfu
from sfu.demand import OFF_AFTER, EncodingDemand
from tests.media.camera import FRAME
from tests.media.conftest import Notices
from tests.media.rtp import opus
from tests.media.test_simulcast import Scene, is_key, layer_of, open_scene
from tools.light.transport import Identity

ALL, NONE = (True, True, True), (False, False, False)


def wanted_by(*bests: int | None, at: float = 0.0) -> EncodingDemand:
    """The demand of consumers that want encodings up to these, after the first update."""
    demand = EncodingDemand(3)
    for best in bests:
        demand.change(None, best)
    demand.update(at)
    return demand


def test_a_stream_that_nobody_wants_is_off_after_a_while() -> None:
    demand = wanted_by()
    assert (demand.active, demand.get_timer()) == (ALL, OFF_AFTER)
    assert not demand.update(OFF_AFTER - 0.001)
    assert demand.update(OFF_AFTER)
    assert (demand.active, demand.get_timer()) == (NONE, None)


def test_an_encoding_that_becomes_wanted_is_on_at_once_with_those_below() -> None:
    demand = wanted_by()
    demand.update(OFF_AFTER)
    assert demand.change(None, 1)
    assert demand.get_timer() == -math.inf
    assert demand.update(9.0)
    assert (demand.active, demand.get_timer()) == ((True, True, False), None)


def test_the_best_encoding_is_off_while_all_receivers_want_less() -> None:
    demand = wanted_by(2, 0)
    demand.change(2, 1)
    assert not demand.update(10.0)
    assert demand.update(10.0 + OFF_AFTER)
    assert demand.active == (True, True, False)


def test_the_lowest_encoding_stays_while_anybody_watches() -> None:
    demand = wanted_by(0)
    assert demand.update(OFF_AFTER)
    assert (demand.active, demand.get_timer()) == ((True, False, False), None)


def test_two_consumers_at_once_are_one_change_to_come() -> None:
    demand = wanted_by()
    demand.update(OFF_AFTER)
    assert demand.change(None, 1)
    assert demand.change(None, 0)
    assert demand.get_timer() == -math.inf


def test_a_receiver_that_looks_away_for_a_moment_changes_nothing() -> None:
    demand = wanted_by(2)
    for second in range(20):
        demand.change(2, None)
        assert not demand.update(10.0 * second)
        demand.change(None, 2)
        assert not demand.update(10.0 * second + OFF_AFTER - 0.1)
    assert demand.get_timer() is None


def test_an_encoding_that_rests_while_nobody_wants_it_leaves_nothing_to_do() -> None:
    demand = wanted_by(2)
    demand.change(2, 1)
    demand.update(10.0)
    assert demand.update(12.0, resting={2})
    demand.update(14.0)
    assert (demand.active, demand.get_timer()) == ((True, True, False), None)
    demand.change(1, 2)
    assert demand.update(20.0)
    assert demand.active == ALL


def test_each_encoding_has_its_own_time() -> None:
    demand = wanted_by(2)
    demand.change(2, 1)
    demand.update(10.0)
    demand.change(1, 0)
    demand.update(13.0)
    assert demand.get_timer() == 10.0 + OFF_AFTER
    assert demand.update(15.0)
    assert (demand.active, demand.get_timer()) == ((True, True, False), 13.0 + OFF_AFTER)
    assert demand.update(18.0)
    assert demand.active == (True, False, False)


def test_a_consumer_that_changes_nothing_leaves_nothing_to_do() -> None:
    demand = wanted_by(2, 1)
    assert not demand.change(None, 1)
    assert not demand.change(1, None)
    assert demand.get_timer() is None


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 2), st.floats(0, 8)), max_size=30))
def test_an_encoding_is_active_if_it_was_wanted_within_the_last_seconds(
    changes: list[tuple[int, int | None, float]],
) -> None:
    """Four consumers change what they want at random times."""
    demand, wants, now = wanted_by(), dict[int, int | None](), 0.0
    last_wanted = [0.0] * 3
    for consumer, best, pause in changes:
        now += pause
        while (due := demand.get_timer()) is not None and due <= now:
            demand.update(due)
        demand.change(wants.get(consumer), best)
        for encoding in range(3):
            if any(before is not None and encoding <= before for before in wants.values()):
                last_wanted[encoding] = now
        wants[consumer] = best
        demand.update(now)
        wanted = [any(one is not None and encoding <= one for one in wants.values()) for encoding in range(3)]
        assert all(active for active, is_wanted in zip(demand.active, wanted, strict=True) if is_wanted)
        assert all(
            is_wanted or now < last_wanted[encoding] + OFF_AFTER
            for encoding, (active, is_wanted) in enumerate(zip(demand.active, wanted, strict=True))
            if active
        )


# A camera that follows the notices.


@define
class ObedientOwner(Notices):
    """Switches the encodings of its camera as the notices say.  ``scene`` has the camera."""

    scene: Scene | None = None

    def demand_changed(self, producer: sfu.Producer) -> None:
        super().demand_changed(producer)
        assert self.scene is not None
        assert producer.wanted_encodings is not None
        for layer, active in zip(self.scene.camera.layers, producer.wanted_encodings, strict=True):
            layer.flows = active


def obey(scene: Scene) -> ObedientOwner:
    owner = scene.ada.observer = ObedientOwner(scene=scene)
    return owner


async def test_encodings_that_stopped_come_back_with_a_key_frame(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        owner = obey(scene)
        await trio.sleep(3)
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        await trio.sleep(OFF_AFTER + 0.1)
        assert owner.demands == [NONE]
        sent = [layer.sent for layer in scene.camera.layers]
        await trio.sleep(30)
        assert [layer.sent for layer in scene.camera.layers] == sent
        scene.take_seen()
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(4 * FRAME)
        assert owner.demands == [NONE, ALL]
        assert is_key(scene.take_seen()[0])
        await trio.sleep(1)
        assert layer_of(scene.take_seen()[-1]) == 2


async def test_a_bound_switches_the_encodings_above_off_and_on(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        owner = obey(scene)
        await trio.sleep(3)
        scene.bob.set_layers(scene.consumer.id, 0, 255)
        await trio.sleep(OFF_AFTER + 0.1)
        assert owner.demands == [(True, False, False)]
        scene.bob.set_layers(scene.consumer.id, 1, 255)
        await trio.sleep(1)
        assert owner.demands[1:] == [(True, True, False)]
        assert layer_of(scene.take_seen()[-1]) == 1


async def test_the_encoding_that_flows_does_not_decide_which_ones_are_wanted(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        owner = obey(scene)
        await trio.sleep(3)
        scene.camera.layers[2].flows = False  # its sender has too little bandwidth
        await trio.sleep(20)
        assert scene.consumer.layers is not None
        assert scene.consumer.layers.spatial == 1
        assert owner.demands == []


async def test_a_closed_consumer_wants_nothing(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        owner = obey(scene)
        await trio.sleep(1)
        scene.bob.close_consumer(scene.consumer.id)
        await trio.sleep(OFF_AFTER + 0.1)
        assert owner.demands == [NONE]


async def test_a_sender_that_ignores_the_notices_is_forwarded_as_before(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_scene(identity) as scene:
        await trio.sleep(3)
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        await trio.sleep(OFF_AFTER + 5)
        scene.bob.set_consumer_paused(scene.consumer.id, False)
        await trio.sleep(1)
        assert layer_of(scene.take_seen()[-1]) == 2


async def test_changes_of_one_step_make_one_notice(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        owner = obey(scene)
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        await trio.sleep(OFF_AFTER + 0.1)
        assert owner.demands == [NONE]
        for bound in (0, 1, 2, 0):
            scene.bob.set_consumer_paused(scene.consumer.id, bound == 1)
            scene.bob.set_layers(scene.consumer.id, bound, 255)
        await wait_all_tasks_blocked()
        assert owner.demands == [NONE, (True, False, False)]


async def test_a_microphone_is_always_wanted(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_scene(identity) as scene:
        owner = obey(scene)
        [transport] = scene.ada.transports.values()
        voice = scene.ada.produce(transport.id, "audio", evolve(opus(77), mid="voice"))
        await trio.sleep(2 * OFF_AFTER)
        assert voice.wanted_encodings is None
        assert owner.demands == []


async def test_an_exception_in_counting_the_demand_ends_only_the_sender(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(demand: EncodingDemand, before: int | None, after: int | None) -> bool:
        raise RuntimeError("a bug")

    async with open_scene(identity) as scene:
        failures: list[Exception] = []
        scene.ada.observer = scene.ada.guard.owner = Notices(errors=failures)
        monkeypatch.setattr(EncodingDemand, "change", fail)
        scene.bob.set_consumer_paused(scene.consumer.id, True)
        assert [str(error) for error in failures] == ["a bug"]
        assert scene.notices.errors == []
        monkeypatch.undo()
