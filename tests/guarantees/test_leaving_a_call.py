"""Leaving a call: the order of its steps, failing cleanups, and the same end for every way to leave."""

from typing import Any

import pytest

from gateway.channel.moderation import ADMIN
from tools.harness import Attempt, World, run_scenario
from tools.harness.ways import closed_tab, left, reset


def order_of(attempt: Attempt, client: str) -> list[str]:
    """The steps of this client's end, in order, each kind once."""
    steps = {"close peer": "media cleaned up", "take off list": "off the list"}
    found = []
    for entry in attempt.trace.entries:
        if entry.client == client and entry.step in steps:
            found.append(steps[entry.step])
        elif entry.step == "notify" and '"type":"user_left"' in entry.detail["text"]:
            found.append("others notified")
    return list(dict.fromkeys(found))


def test_on_disconnect_media_closes_then_the_list_changes_then_user_left_names_who_remains() -> None:
    leave: list[Any] = []

    async def scenario(world: World) -> None:
        _ada, ben, _cleo = await world.call("ada", "ben", "cleo")
        reset(world, "ada")
        leave.append(await ben.event("voice_state", type="user_left"))

    attempt = run_scenario(scenario)
    # Changing the list and notifying the others is one step, which ends after the last notice.
    assert order_of(attempt, "ada") == ["media cleaned up", "others notified", "off the list"]
    begins = {entry.step: entry.order for entry in attempt.trace.entries if entry.client == "ada"}
    assert begins["close peer"] < begins["begin: take off list"]
    assert [one["userId"] for one in leave[0]["participants"]] == ["ben", "cleo"]
    assert (leave[0]["userId"], leave[0]["reason"], leave[0]["count"]) == ("ada", "disconnected", 2)


@pytest.mark.parametrize("step", ["close consumer", "close producer", "close transport", "say goodbye on transport"])
def test_a_failed_media_cleanup_is_logged_and_the_list_is_still_right(step: str) -> None:
    async def scenario(world: World) -> None:
        world.faults.raises(step, "ada")
        _ada, ben = await world.call("ada", "ben")
        reset(world, "ada")
        leave = await ben.event("voice_state", type="user_left")
        assert [one["userId"] for one in leave["participants"]] == ["ben"]
        assert [line["event"] for line in world.log if line["level"] == "error"]
        assert world.router.context.failed_cleanups == 1

    run_scenario(scenario)


def test_nobody_is_notified_when_a_user_outside_of_channels_disconnects() -> None:
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
def test_an_error_on_close_does_not_affect_the_server(step: str) -> None:
    async def scenario(world: World) -> None:
        fault = world.faults.raises(step)
        await world.joined("ada", "ben")
        world.expect_end("ada")
        world.gateway.channels.moderation.remove("lobby", "ada", by=ADMIN)
        await world.settle()
        assert fault.happened == 1
        (cleo,) = await world.joined("cleo")
        assert await cleo.ask("ping") == {}

    run_scenario(scenario)


def test_a_leave_and_a_dropped_connection_take_the_same_steps() -> None:
    stories = []
    for way in (left, closed_tab, reset):

        async def scenario(world: World, way: Any = way) -> None:
            _ada, ben = await world.call("ada", "ben")
            way(world, "ada")
            await ben.event("voice_state", type="user_left", userId="ada")
            await world.settle()

        attempt = run_scenario(scenario)
        ended = next(entry.order for entry in attempt.trace.entries if entry.step == "begin: close peer")
        stories.append(
            [
                (entry.step, entry.client)
                for entry in attempt.trace.entries
                if entry.order >= ended
                and entry.step.removeprefix("begin: ") in ALIKE
                and entry.client in ("ada", "ben")
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
