"""Two things happen at the same time, in many of the orders in which Trio may run them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from tools.harness import Gone, HarnessClient, Refused, World, run_scenario
from tools.harness.ways import DEADLY, Way, reset

SEEDS = range(12)
"""Each seed makes Trio run the tasks of a tick in another order."""


async def at_once(*actions: Callable[[], Awaitable[object]]) -> None:
    """Do all actions in one tick. Ignore the end of a connection."""

    async def act(action: Callable[[], Awaitable[object]]) -> None:
        with suppress(Gone, Refused):
            await action()

    async with trio.open_nursery() as nursery:
        for action in actions:
            nursery.start_soon(act, action)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leave_during_a_join_is_answered(seed: int) -> None:
    async def scenario(world: World) -> None:
        (ben,) = await world.joined("ben")
        (ada,) = await world.connected("ada")
        await ada.request("join", channelId="lobby", username="ada", userId="ada")
        await ada.request("leave")
        await ben.event("voice_state", type="user_left", userId="ada")
        await ada.until(lambda frame: frame.get("id") == 2)
        assert ada.current_stay is None

    run_scenario(scenario, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hang", [False, True], ids=["quick exit", "slow exit"])
def test_of_three_simultaneous_joins_with_one_user_id_one_remains(seed: int, hang: bool) -> None:
    async def scenario(world: World) -> None:
        (ben,) = await world.joined("ben")
        if hang:
            world.faults.hangs("say goodbye on transport", times=float("inf"))
        names = ["ada#1", "ada#2", "ada#3"]
        clients = await world.connected(*names)
        for name in names:
            world.expect_end(name, must=False)
        await at_once(*(client.join for client in clients))
        await ben.event("voice_state", type="user_joined", userId="ada")
        await world.settle()
        assert [client.over.is_set() for client in clients].count(False) == 1
        assert {client.close_code for client in clients if client.over.is_set()} == {4409}

    run_scenario(scenario, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replacement_waits_until_the_replaced_client_is_gone(seed: int) -> None:
    async def scenario(world: World) -> None:
        world.faults.hangs("say goodbye on transport", "ada", times=float("inf"))
        ada, ben = await world.call("ada", "ben")
        reset(world, "ada")
        (newer,) = await world.joined("ada#2")
        await ben.event("voice_state", type="user_joined", userId="ada")
        changes = [received.frame["data"] for received in ben.transcript if received.frame["type"] == "voice_state"]
        about_ada = [change["type"] for change in changes if change["userId"] == "ada"]
        assert about_ada[-2:] == ["user_left", "user_joined"]
        assert newer.current_stay is not None
        assert ada.current_stay is None

    run_scenario(scenario, seed=seed)


@pytest.mark.parametrize("way", DEADLY.values(), ids=str)
def test_a_producers_owner_may_die_while_a_consumer_is_being_created(way: Way) -> None:
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
def test_there_is_one_channel_when_the_last_member_leaves_while_another_joins(seed: int, hang: bool) -> None:
    async def scenario(world: World) -> None:
        (ada,) = await world.call("ada")
        if hang:
            world.faults.hangs("say goodbye on transport", "ada", times=float("inf"))
        (ben,) = await world.connected("ben")

        async def change_places(leaver: HarnessClient, joiner: HarnessClient) -> None:
            await at_once(leaver.leave, joiner.join)

        await change_places(ada, ben)
        assert list(world.gateway.channels.channels) == ["lobby"]
        await change_places(ben, ada)
        assert list(world.gateway.channels.channels) == ["lobby"]

    run_scenario(scenario, seed=seed)


def test_a_hundred_simultaneous_leaves_are_all_announced() -> None:
    async def scenario(world: World) -> None:
        names = [f"user-{number}" for number in range(100)]
        watcher, *_others = await world.joined("watcher", *names)
        for name in names:
            reset(world, name)
        await watcher.event("voice_state", type="user_left", count=1)
        left = [
            received.frame["data"]["userId"]
            for received in watcher.transcript
            if received.frame["type"] == "voice_state" and received.frame["data"]["type"] == "user_left"
        ]
        assert sorted(left) == sorted(names)

    run_scenario(scenario)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_close_frame_during_sending_counts_as_a_leave(seed: int) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.joined("ada", "ben")
        for _ in range(20):
            await ben.request("message", data="hello")
        await ada.request("ping")
        await ada.close()
        leave = await ben.event("voice_state", type="user_left")
        assert leave["reason"] == "left"

    run_scenario(scenario, seed=seed)
