"""Programs outside the channels end with the same history as the journal, however often they fail."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from tools.harness import World, run_scenario
from tools.harness.ways import reset
from tools.harness.webhook_program import ANSWERS

Scenario = Callable[[World], Awaitable[None]]


async def people_come_and_go(world: World) -> None:
    """Three channels, moves between them, and pauses that let every reader break and come back."""
    for turn in range(4):
        names = [f"{name}#{turn}" for name in ("ada", "ben", "cleo")]
        ada, ben, cleo = await world.joined(*names)
        await ada.publish(speak=False)
        await trio.sleep(0.5)
        await ben.move("cellar")
        await ada.move("cellar")
        await trio.sleep(4)
        await ada.move(f"attic-{turn}")
        await cleo.leave()
        reset(world, ben.name)
        await trio.sleep(1)
        await ada.close()


async def a_list_changes_all_the_time(world: World) -> None:
    """Whatever is told about this channel, some later change is on its way already."""
    (ada,) = await world.joined("ada")
    voice = await ada.publish(speak=False)
    for _ in range(25):
        await ada.ask("pause", producerId=voice)
        await trio.sleep(0.1)
        await ada.ask("resume", producerId=voice)
        await trio.sleep(0.1)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("scenario", [people_come_and_go, a_list_changes_all_the_time])
def test_every_program_ends_with_the_same_history(scenario: Scenario, seed: int) -> None:
    attempt = run_scenario(scenario, seed=seed, objects=False)
    assert attempt.world is not None
    outsiders = attempt.world.outsiders
    events, webhooks = outsiders.histories
    may_skip = seed % 4 > 1
    changes = [line for line in outsiders.entries if line.text]
    assert len(changes) > 30
    for history in (events, webhooks):
        told = [message for message in history.messages if message.type not in ("snapshot", "reset")]
        assert (len(told) < len(changes)) == may_skip
        assert any(message.type == "snapshot" for message in history.messages) == may_skip
    assert events.repeats == 0
    assert (outsiders.disk is not None) == bool(seed % 2)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_receiver_of_webhooks_fails_in_every_way(seed: int) -> None:
    attempt = run_scenario(people_come_and_go, seed=seed, objects=False)
    assert attempt.world is not None
    outsiders = attempt.world.outsiders
    assert outsiders.program.turn > 2 * len(ANSWERS)
    assert outsiders.histories[1].repeats


def test_a_run_in_which_nobody_joins_tells_nobody_anything() -> None:
    async def scenario(world: World) -> None:
        await world.connected("ada", "ben")

    attempt = run_scenario(scenario)
    assert attempt.world is not None
    assert [history.messages for history in attempt.world.outsiders.histories] == [[], []]
