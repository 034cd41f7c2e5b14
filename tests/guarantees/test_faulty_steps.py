"""A step of an exit goes wrong.

The gateway logs and counts it, runs all other steps in time, keeps the list right, and leaves nothing behind.
"""

import math

import pytest

from tools.harness import HarnessClient, World, run_scenario
from tools.harness.steps import EXIT_STEPS, is_async
from tools.harness.ways import handler_raised, removed, reset, sent_dtls_alert

SLOW = [(step, seconds) for step in EXIT_STEPS if is_async(step) for seconds in (0.5, math.inf)]
# The harness cannot tell which client these steps serve, so the first such step fails.
OWNERLESS = {
    "remove consumer",
    "remove producer",
    "remove transport",
    "forget transport",
    "count leave",
    "time leave",
    "close outbox",
}
# These steps change other clients' consumers, notices and lists.
OF_OTHERS = {"notify", "say consumer closed"}


# Eve's way to die, for each step that does not happen after a removal.
WAYS = {"end": reset, "say transport changed": sent_dtls_alert}


async def eve_dies(world: World, ben: HarnessClient, step: str) -> None:
    WAYS.get(step, removed)(world, "eve")
    await ben.event("voice_state", type="user_left", userId="eve")


@pytest.mark.parametrize("after", [False, True], ids=["instead of its work", "after its work"])
@pytest.mark.parametrize("step", EXIT_STEPS)
def test_a_step_that_raises_is_logged_and_everything_else_still_happens(step: str, after: bool) -> None:
    client = None if step in OWNERLESS else "ada" if step in OF_OTHERS else "eve"

    async def scenario(world: World) -> None:
        _ada, ben, _eve = await world.call("ada", "ben", "eve")
        fault = world.faults.raises(step, client, after=after)
        await eve_dies(world, ben, step)
        await world.settle()
        assert fault.happened == 1
        assert [line for line in world.log if line["level"] == "error"]

    run_scenario(scenario)


@pytest.mark.parametrize("step", ["close consumer", "close producer", "close transport", "close peer"])
def test_media_whose_cleanup_fails_is_still_removed(step: str) -> None:
    async def scenario(world: World) -> None:
        world.faults.raises(step, "eve")
        await world.call("ada", "ben", "eve")
        reset(world, "eve")
        await world.settle()
        assert world.router.context.failed_cleanups == 1
        assert world.router.context.plane.totals().transports == 4
        assert world.router.context.plane.totals().routes == 2

    run_scenario(scenario)


@pytest.mark.parametrize(("step", "seconds"), SLOW)
def test_a_step_that_takes_too_long_is_cut_off_and_counted(step: str, seconds: float) -> None:
    async def scenario(world: World) -> None:
        _ada, ben, _eve = await world.call("ada", "ben", "eve")
        fault = world.faults.is_slow(step, seconds, "eve", times=math.inf)
        await eve_dies(world, ben, step)
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


def test_a_stalled_handshake_ends_the_transport_but_not_the_session() -> None:
    async def scenario(world: World) -> None:
        (ada, ben) = await world.joined("ada", "ben")
        transport_id = await ada.transport("send", wait=False)
        ada.cut_media()
        await ada.event("transport_state", transportId=transport_id, state="failed")
        assert ada.current_stay is not None
        assert world.router.counts().transports == 0
        handler_raised(world, "ada")
        assert (await ben.event("voice_state", type="user_left"))["reason"] == "failed"

    run_scenario(scenario)
