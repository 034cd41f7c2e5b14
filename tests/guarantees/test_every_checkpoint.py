"""A client dies at each checkpoint of its life, one run after the other, and never leaves anything behind."""

import pytest

from tools.harness import CLEAN, ROUGH, Conditions, EveryCheckpoint, Way, World, every_checkpoint
from tools.harness.ways import cancelled, closed_normally, removed, reset

#: A scenario with fewer checkpoints has lost one of its steps.
FEWEST = 150


async def last(checkpoints: EveryCheckpoint) -> int:
    """Run all attempts. Return the number of attempts."""
    number = 0
    async for attempt in checkpoints:
        number += 1
        assert attempt.checkpoint == (0 if attempt.untouched else number)
    assert attempt.untouched
    return number


async def life(world: World) -> None:
    """Eve does everything that a client can do, in a channel where two others talk."""
    ada, ben = await world.call("ada", "ben")
    eve = world.client("eve")
    await eve.connect()
    await eve.join()
    voice = await eve.publish()
    heard = await eve.subscribe(next(iter(ada.producers)))
    await ben.subscribe(voice)
    await eve.transport("receive")
    await eve.ask("pause", consumerId=heard)
    await eve.ask("resume", consumerId=heard)
    await eve.ask("pause", producerId=voice)
    await eve.ask("resume", producerId=voice)
    await eve.ask("close", producerId=voice)
    await eve.leave()
    await eve.join()
    picture = await eve.publish("video")
    await ada.subscribe(picture)
    await eve.close()


@pytest.mark.parametrize(
    ("way", "conditions"),
    [(cancelled, CLEAN), (reset, CLEAN), (removed, CLEAN), (cancelled, ROUGH)],
    ids=["cancelled", "reset", "removed", "cancelled on a rough network"],
)
async def test_a_client_that_dies_at_any_checkpoint_leaves_nothing_behind(way: Way, conditions: Conditions) -> None:
    assert await last(every_checkpoint(life, "eve", way=way, conditions=conditions)) > FEWEST


async def life_in_three_channels(world: World) -> None:
    """Eve moves through the channels with her voice, and opens one of them."""
    ada, ben = await world.call("ada", "ben")
    (cleo,) = await world.joined("cleo", channel="cellar")
    sound = await cleo.publish()
    eve = world.client("eve")
    await eve.connect()
    await eve.join()
    voice = await eve.publish()
    await eve.subscribe(next(iter(ada.producers)))
    await ben.subscribe(voice)
    await eve.transport("receive")
    await eve.move("cellar")
    await eve.subscribe(sound)
    await cleo.subscribe(voice)
    await eve.move("attic")
    await eve.move("lobby")
    await ben.subscribe(voice)
    await eve.ask("message", data="back")
    await eve.close()


@pytest.mark.parametrize("way", [cancelled, reset, removed], ids=str)
async def test_a_client_that_dies_at_any_checkpoint_while_it_moves_leaves_nothing_behind(way: Way) -> None:
    assert await last(every_checkpoint(life_in_three_channels, "eve", way=way)) > 120


async def test_a_member_of_either_channel_may_die_at_any_checkpoint_while_another_client_moves() -> None:
    async def scenario(world: World) -> None:
        ada, _ben = await world.call("ada", "ben")
        await world.call("cleo", "dora", channel="cellar")
        world.mark()
        await ada.move("cellar")
        await ada.move("lobby")

    for victim in ("ben", "cleo"):
        assert await last(every_checkpoint(scenario, victim, counted=("ada", victim), from_mark=True)) > 8


async def eve_leaves(world: World) -> None:
    """Eve's connection breaks during a call."""
    _ada, ben, _eve = await world.call("ada", "ben", "eve")
    world.mark()
    reset(world, "eve")
    await ben.event("voice_state", type="user_left", userId="eve")


@pytest.mark.parametrize("way", [cancelled, closed_normally], ids=str)
async def test_a_second_client_may_die_at_any_checkpoint_while_another_leaves(way: Way) -> None:
    assert await last(every_checkpoint(eve_leaves, "ada", way=way, counted=("ada", "ben"), from_mark=True)) > 8


async def test_after_a_replacement_at_any_checkpoint_of_a_join_the_user_is_listed_once() -> None:
    async def scenario(world: World) -> None:
        (ben,) = await world.joined("ben")
        old = world.client("ada")
        await old.connect()
        await old.join()
        await old.publish(speak=False)
        newer = world.client("ada#2")
        world.expect_end("ada", must=False)  # only if the newer client gets that far
        await newer.connect()
        await newer.join()
        await ben.event("voice_state", type="user_left", userId="ada")

    for victim in ("ada", "ada#2"):
        assert await last(every_checkpoint(scenario, victim, counted=("ada", "ada#2"))) > 50
