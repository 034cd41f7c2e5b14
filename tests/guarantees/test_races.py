"""Two things at the same time, in every order in which Trio may run them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from tools.harness import Client, Gone, Refused, World, run_scenario
from tools.harness.ways import DEADLY, Way, reset

SEEDS = range(12)
"""Trio shuffles the tasks of a tick by the seed: each is another order."""


async def at_once(*actions: Callable[[], Awaitable[object]]) -> None:
    """All of them in one tick; that a connection ends meanwhile is no failure."""

    async def act(action: Callable[[], Awaitable[object]]) -> None:
        with suppress(Gone, Refused):
            await action()

    async with trio.open_nursery() as nursery:
        for action in actions:
            nursery.start_soon(act, action)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leave_that_comes_while_joining(seed: int) -> None:
    async def scenario(world: World) -> None:
        (ben,) = await world.joined("ben")
        (ada,) = await world.connected("ada")
        await ada.request("join", channelId="lobby", username="ada", userId="ada")
        await ada.request("leave")
        await ben.event("voice_state", type="user_left", userId="ada")
        await ada.until(lambda frame: frame.get("id") == 2)
        assert ada.present is None

    run_scenario(scenario, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hang", [False, True], ids=["quick exit", "slow exit"])
def test_three_who_join_with_one_user_id_at_once_end_with_the_last_to_come(seed: int, hang: bool) -> None:
    async def scenario(world: World) -> None:
        (ben,) = await world.joined("ben")
        if hang:
            world.faults.hangs("say goodbye on transport", times=float("inf"))
        names = ["ada#1", "ada#2", "ada#3"]
        clients = await world.connected(*names)
        for name in names:
            world.excuse(name, dead=False)
        await at_once(*(client.join for client in clients))
        await ben.event("voice_state", type="user_joined", userId="ada")
        await world.settle()
        assert [client.over.is_set() for client in clients].count(False) == 1
        assert {client.close_code for client in clients if client.over.is_set()} == {4409}

    run_scenario(scenario, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replacement_while_the_replaced_one_is_closing_waits_until_it_is_gone(seed: int) -> None:
    async def scenario(world: World) -> None:
        world.faults.hangs("say goodbye on transport", "ada", times=float("inf"))
        ada, ben = await world.call("ada", "ben")
        reset(world, "ada")
        (newer,) = await world.joined("ada#2")
        await ben.event("voice_state", type="user_joined", userId="ada")
        changes = [heard.frame["data"] for heard in ben.transcript if heard.frame["type"] == "voice_state"]
        about_ada = [change["type"] for change in changes if change["userId"] == "ada"]
        assert about_ada[-2:] == ["user_left", "user_joined"]
        assert newer.present is not None
        assert ada.present is None

    run_scenario(scenario, seed=seed)


@pytest.mark.parametrize("way", DEADLY.values(), ids=str)
def test_a_producers_owner_dies_while_a_consumer_is_being_created(way: Way) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.joined("ada", "ben")
        voices = [await ada.publish(speak=False) for _ in range(6)]
        receiving = await ben.transport("receive", wait=False)
        numbers = [await ben.request("consume", transportId=receiving, producerId=voice) for voice in voices[:3]]
        way(world, "ada")
        for voice in voices[3:]:
            numbers.append(await ben.request("consume", transportId=receiving, producerId=voice))
            await trio.lowlevel.checkpoint()
        answers = [await ben.answer(number) for number in numbers]
        await ben.event("voice_state", type="user_left", userId="ada")
        consumers = [answer["data"]["consumerId"] for answer in answers if answer["type"] == "ok"]
        for consumer_id in consumers:
            await ben.event("consumer_closed", consumerId=consumer_id)
        refused = {answer["data"]["code"] for answer in answers if answer["type"] == "error"}
        assert refused <= {"not_found"}

    for seed in range(3):
        run_scenario(scenario, seed=seed, objects=seed == 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hang", [False, True], ids=["quick exit", "slow exit"])
def test_the_last_member_leaves_while_another_joins_and_there_is_one_channel(seed: int, hang: bool) -> None:
    async def scenario(world: World) -> None:
        (ada,) = await world.call("ada")
        if hang:
            world.faults.hangs("say goodbye on transport", "ada", times=float("inf"))
        (ben,) = await world.connected("ben")

        async def change_places(leaver: Client, joiner: Client) -> None:
            await at_once(leaver.leave, joiner.join)

        await change_places(ada, ben)
        assert list(world.gateway.channels.channels) == ["lobby"]
        await change_places(ben, ada)
        assert list(world.gateway.channels.channels) == ["lobby"]

    run_scenario(scenario, seed=seed)


def test_a_hundred_members_who_leave_at_one_instant_are_all_told_of() -> None:
    async def scenario(world: World) -> None:
        names = [f"user-{number}" for number in range(100)]
        watcher, *_others = await world.joined("watcher", *names)
        for name in names:
            reset(world, name)
        await watcher.event("voice_state", type="user_left", count=1)
        left = [
            heard.frame["data"]["userId"]
            for heard in watcher.transcript
            if heard.frame["type"] == "voice_state" and heard.frame["data"]["type"] == "user_left"
        ]
        assert sorted(left) == sorted(names)

    run_scenario(scenario)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_close_frame_that_comes_while_the_gateway_is_sending_is_told_as_what_it_is(seed: int) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.joined("ada", "ben")
        for _ in range(20):
            await ben.request("message", data="hello")
        await ada.request("ping")
        await ada.close()
        told = await ben.event("voice_state", type="user_left")
        assert told["reason"] == "left"

    run_scenario(scenario, seed=seed)
