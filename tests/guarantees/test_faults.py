"""Any step of any exit goes wrong: it is logged and counted, the others still run, the list is right, nothing is left,
and all of it takes no longer than it may."""

import math

import pytest

from tools.harness import Client, World, run_scenario
from tools.harness.steps import EXIT_STEPS, is_async
from tools.harness.ways import alerted, hit_a_bug, removed, reset

SLOW = [(step, seconds) for step in EXIT_STEPS if is_async(step) for seconds in (0.5, math.inf)]
# Of these steps the gateway knows no owner: who takes them first is struck.
OWNERLESS = {
    "remove consumer",
    "remove producer",
    "remove transport",
    "forget transport",
    "count leave",
    "time leave",
    "close outbox",
}
# Those that are taken on behalf of others, with whom the others' consumers, notices and lists change.
AT_ANOTHERS = {"tell", "say consumer closed"}


# What Eve goes by, where it is not that she is removed, so that the step is taken.
WAYS = {"end": reset, "say transport changed": alerted}


async def eve_goes(world: World, ben: Client, step: str) -> None:
    WAYS.get(step, removed)(world, "eve")
    await ben.event("voice_state", type="user_left", userId="eve")


@pytest.mark.parametrize("after", [False, True], ids=["instead of its work", "after its work"])
@pytest.mark.parametrize("step", EXIT_STEPS)
def test_a_step_that_raises_is_logged_and_everything_else_still_happens(step: str, after: bool) -> None:
    whom = None if step in OWNERLESS else "ada" if step in AT_ANOTHERS else "eve"

    async def scenario(world: World) -> None:
        _ada, ben, _eve = await world.call("ada", "ben", "eve")
        fault = world.faults.raises(step, whom, after=after)
        await eve_goes(world, ben, step)
        await world.settle()
        assert fault.happened == 1
        assert [line for line in world.log if line["level"] == "error"]

    run_scenario(scenario)


@pytest.mark.parametrize("step", ["close consumer", "close producer", "close transport", "close peer"])
def test_media_whose_cleanup_fails_does_not_stay(step: str) -> None:
    async def scenario(world: World) -> None:
        world.faults.raises(step, "eve")
        await world.call("ada", "ben", "eve")
        reset(world, "eve")
        await world.settle()
        assert world.port.context.failed_cleanups == 1
        assert world.port.context.plane.totals().transports == 4
        assert world.port.context.plane.totals().routes == 2

    run_scenario(scenario)


@pytest.mark.parametrize(("step", "seconds"), SLOW)
def test_a_step_that_takes_too_long_is_cut_off_and_counted(step: str, seconds: float) -> None:
    async def scenario(world: World) -> None:
        _ada, ben, _eve = await world.call("ada", "ben", "eve")
        fault = world.faults.is_slow(step, seconds, "eve", times=math.inf)
        await eve_goes(world, ben, step)
        await world.settle()
        assert fault.happened
        text = world.gateway.channels.metrics.render().decode()
        counted = [line for line in text.splitlines() if line.startswith("sfu_forced_cleanups_total{")]
        assert any(not line.endswith(" 0.0") for line in counted) == (seconds > 1)

    run_scenario(scenario)


def test_ten_goodbyes_that_hang_take_no_longer_than_one() -> None:
    async def scenario(world: World) -> None:
        world.faults.hangs("say goodbye on transport", times=math.inf)
        await world.call(*(f"user-{number}" for number in range(6)))
        for number in range(5):
            reset(world, f"user-{number}")
        await world.clients["user-5"].event("voice_state", type="user_left", count=1)
        assert {entry.detail["seconds"] for entry in world.trace.of("begin: take off list")} == {1.0}

    run_scenario(scenario)


def test_a_handshake_that_stalls_ends_the_transport_and_not_the_session() -> None:
    async def scenario(world: World) -> None:
        (ada, ben) = await world.joined("ada", "ben")
        transport_id = await ada.transport("send", wait=False)
        ada.cut_media()
        await ada.event("transport_state", transportId=transport_id, state="failed")
        assert ada.present is not None
        assert world.port.counts().transports == 0
        hit_a_bug(world, "ada")
        assert (await ben.event("voice_state", type="user_left"))["reason"] == "failed"

    run_scenario(scenario)
