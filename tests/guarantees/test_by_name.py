"""What this project began with, each by its name."""

from typing import Any

import pytest

from tools.harness import Attempt, World, run_scenario
from tools.harness.ways import closed_tab, left, reset


def order_of(attempt: Attempt, whom: str) -> list[str]:
    """Media closed, off the list, the others told: what became of this client, in order, each kind once."""
    steps = {"close peer": "media cleaned up", "take off list": "off the list"}
    found = []
    for entry in attempt.trace.entries:
        if entry.whom == whom and entry.what in steps:
            found.append(steps[entry.what])
        elif entry.what == "tell" and '"type":"user_left"' in entry.detail["text"]:
            found.append("told")
    return list(dict.fromkeys(found))


def test_on_disconnect_media_is_cleaned_up_then_the_list_changes_then_user_left_says_who_remains() -> None:
    told: list[Any] = []

    async def scenario(world: World) -> None:
        _ada, ben, _cleo = await world.call("ada", "ben", "cleo")
        reset(world, "ada")
        told.append(await ben.event("voice_state", type="user_left"))

    attempt = run_scenario(scenario)
    # The list's step ends when the others have been told: it is one step.
    assert order_of(attempt, "ada") == ["media cleaned up", "told", "off the list"]
    begins = {entry.what: entry.order for entry in attempt.trace.entries if entry.whom == "ada"}
    assert begins["close peer"] < begins["begin: take off list"]
    assert [one["userId"] for one in told[0]["participants"]] == ["ben", "cleo"]
    assert (told[0]["userId"], told[0]["reason"], told[0]["count"]) == ("ada", "disconnected", 2)


@pytest.mark.parametrize("step", ["close consumer", "close producer", "close transport", "say goodbye on transport"])
def test_a_cleanup_of_media_that_fails_is_logged_and_the_list_is_right_all_the_same(step: str) -> None:
    async def scenario(world: World) -> None:
        world.faults.raises(step, "ada")
        _ada, ben = await world.call("ada", "ben")
        reset(world, "ada")
        told = await ben.event("voice_state", type="user_left")
        assert [one["userId"] for one in told["participants"]] == ["ben"]
        assert [line["event"] for line in world.log if line["level"] == "error"]
        assert world.port.context.failed_cleanups == 1

    run_scenario(scenario)


def test_a_user_in_no_channel_disconnects_and_nobody_hears_of_it() -> None:
    async def scenario(world: World) -> None:
        (ben,) = await world.joined("ben")
        await world.connected("ada")
        heard = len(ben.transcript)
        reset(world, "ada")
        await world.settle()
        assert len(ben.transcript) == heard
        assert [line for line in world.log if line["level"] in ("error", "warning")] == []

    run_scenario(scenario)


@pytest.mark.parametrize("step", ["say goodbye", "close outbox"])
def test_an_error_on_close_does_not_hurt_the_server(step: str) -> None:
    async def scenario(world: World) -> None:
        fault = world.faults.raises(step)
        await world.joined("ada", "ben")
        world.excuse("ada")
        assert world.gateway.channels.remove("lobby", "ada")
        await world.settle()
        assert fault.happened == 1
        (cleo,) = await world.joined("cleo")
        assert await cleo.ask("ping") == {}

    run_scenario(scenario)


def test_an_explicit_leave_and_a_dropped_connection_end_alike() -> None:
    stories = []
    for way in (left, closed_tab, reset):

        async def scenario(world: World, way: Any = way) -> None:
            _ada, ben = await world.call("ada", "ben")
            way(world, "ada")
            await ben.event("voice_state", type="user_left", userId="ada")
            await world.settle()

        attempt = run_scenario(scenario)
        ended = next(entry.order for entry in attempt.trace.entries if entry.what == "begin: close peer")
        stories.append(
            [
                (entry.what, entry.whom)
                for entry in attempt.trace.entries
                if entry.order >= ended and entry.what.removeprefix("begin: ") in ALIKE and entry.whom in ("ada", "ben")
            ][: len(ALIKE) + 6]
        )
    assert stories[0] == stories[1] == stories[2]


ALIKE = {
    "close peer",
    "close consumer",
    "close producer",
    "close transport",
    "take off list",
    "say goodbye on transport",
}
