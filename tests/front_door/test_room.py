"""The load is measured, and a gate that has closed opens only when everything is well below its limit."""

from collections.abc import Callable

import pytest
import trio
from attrs import define, field
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from trio.testing import MockClock

from gateway.ops.loop_time import LoopTime
from gateway.ops.metrics import Metrics
from gateway.ops.room import CALM, WINDOW, Counters, Room, RoomLimits, watch_room

LIMITS = RoomLimits(loop_load=0.9, loop_delay=0.1, plane_load=0.8, receive_loss=0.01)
GONE = WINDOW + 1


def nobody() -> list[float]:
    return []


@pytest.mark.parametrize(("load", "delay"), [(0.91, 0.0), (0.0, 0.11)])
async def test_a_loop_that_is_busy_or_late_takes_no_newcomers_until_it_is_calm(
    autojump_clock: MockClock, load: float, delay: float
) -> None:
    await trio.lowlevel.checkpoint()
    room = Room(LIMITS, 2)
    with capture_logs() as lines:
        room.loop.look(0, load=0.9, delay=0.1)
        assert (room.is_anywhere, room.is_on(0, nobody)) == (True, True), "at the limit"
        room.loop.look(1, load=load, delay=delay)
        assert (room.is_anywhere, room.is_on(0, nobody), room.is_on(1, nobody)) == (False, False, False)
        room.loop.look(2, load=CALM * 0.91, delay=0.0)
        assert not room.is_anywhere, "below its limit, but not well below it"
        room.loop.look(3.5, load=CALM * 0.9, delay=CALM * 0.1)
        assert room.is_anywhere
    assert [line["event"] for line in lines] == ["no room for newcomers", "room for newcomers again"]
    assert (lines[0]["at"], lines[0]["load"], lines[0]["delay"]) == ("event loop", load, delay)
    assert lines[1]["seconds"] == 2.5


@pytest.mark.parametrize(("load", "loss"), [(0.81, 0.0), (0.0, 0.02)])
async def test_a_plane_that_is_busy_or_loses_datagrams_takes_no_newcomers_and_another_does(
    autojump_clock: MockClock, load: float, loss: float
) -> None:
    await trio.lowlevel.checkpoint()
    room = Room(LIMITS, 2)
    room.planes[1].look(0, load=load, loss=loss)
    assert (room.is_anywhere, room.is_on(0, nobody), room.is_on(1, nobody)) == (True, True, False)
    room.planes[0].look(0, load=load, loss=loss)
    assert not room.is_anywhere
    room.planes[1].look(1, load=0, loss=0)
    assert (room.is_anywhere, room.is_on(1, nobody)) == (True, True)


async def test_newcomers_count_before_their_load_shows() -> None:
    await trio.lowlevel.checkpoint()
    room = Room(LIMITS, 1)
    room.planes[0].look(0, load=0.5, loss=0)
    settled = [GONE] * 10
    admitted = [number for number in range(20) if room.is_on(0, lambda: settled + [0.0] * number)]  # noqa: B023
    assert admitted == list(range(7)), "ten use 0.5, so one more than sixteen would use more than 0.8"
    assert room.is_on(0, lambda: [GONE] * 30), "their load shows by now"


async def test_a_calm_plane_takes_any_number_at_once() -> None:
    await trio.lowlevel.checkpoint()
    room = Room(LIMITS, 1)
    room.planes[0].look(0, load=0.39, loss=0)
    assert room.is_on(0, lambda: [0.0] * 1000)


async def test_without_limits_there_is_always_room(autojump_clock: MockClock) -> None:
    await trio.lowlevel.checkpoint()
    room = Room(RoomLimits(), 1)
    room.loop.look(0, load=1.0, delay=60.0)
    room.planes[0].look(0, load=1.0, loss=1.0)
    assert room.is_anywhere
    assert room.is_on(0, lambda: [0.0] * 10)


def test_counters_know_their_rise_in_the_window() -> None:
    counters = Counters()
    assert counters.rise(0.0, 100, 5) is None
    assert counters.rise(1.0, 101, 5) is None, "too young"
    assert counters.rise(2.0, 102, 6) == (2.0, 2, 1)
    assert counters.rise(4.0, 110, 6) == (3.0, 9, 1)
    assert counters.rise(104.0, 111, 6) == (100.0, 1, 0), "after a stall"


async def test_the_loop_is_busy_whenever_it_does_not_wait() -> None:
    await trio.lowlevel.checkpoint()
    now = [10.0]
    steps = LoopTime(Metrics(), lambda: now[0])

    def after(seconds: float, hook: Callable[[float], None]) -> None:
        now[0] += seconds
        hook(0.0)

    after(1.0, steps.before_io_wait)
    after(5.0, steps.after_io_wait)
    now[0] += 0.5
    assert steps.busy_seconds() == 1.5
    after(0.5, steps.before_io_wait)
    after(1.0, steps.after_io_wait)
    assert steps.busy_seconds() == 2.0


@define
class Busy:
    """Stands in for the loop, or for a plane, that is busy for a part of its time."""

    share: float = 0.0
    seconds: float = 0.0
    drops: int = 0
    packets_in: int = 0
    clock: float = field(factory=trio.current_time)

    def busy_seconds(self) -> float:
        now = trio.current_time()
        self.seconds, self.clock = self.seconds + self.share * (now - self.clock), now
        return self.seconds

    def receive_drops(self) -> int:
        return self.drops

    def totals(self) -> "Busy":
        return self


async def test_the_watch_measures_the_loop_and_each_plane(autojump_clock: MockClock) -> None:
    room, loop, planes = Room(LIMITS, 2), Busy(0.3), [Busy(0.25), Busy(0.95)]
    metrics = Metrics()
    metrics.watch_room(room)

    def shown() -> dict[str, float]:
        families = text_string_to_metric_families(metrics.render().decode())
        samples = (sample for family in families for sample in family.samples)
        return {".".join([one.name, *one.labels.values()]): round(one.value, 3) for one in samples}

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_room, room, loop, planes, trio.current_time)
        await trio.sleep(GONE)
        assert room.loop.measured == pytest.approx({"load": 0.3, "delay": 0.0}, abs=1e-6)
        assert room.planes[0].measured == pytest.approx({"load": 0.25, "loss": 0.0})
        assert (room.is_on(0, nobody), room.is_on(1, nobody)) == (True, False)
        assert (shown()["sfu_loop_load"], shown()["sfu_plane_load.1"]) == (0.3, 0.95)
        assert (shown()["sfu_full.event loop"], shown()["sfu_full.plane 1"]) == (0, 1)
        planes[1].share = 0.0
        planes[0].drops, planes[0].packets_in = 2, 98
        await trio.sleep(1)
        assert room.planes[0].measured["loss"] == 0.02
        assert shown()["sfu_plane_receive_loss.0"] == 0.02
        assert not room.is_on(0, nobody)
        await trio.sleep(GONE)
        assert (room.is_on(0, nobody), room.is_on(1, nobody)) == (True, True)
        nursery.cancel_scope.cancel()
