"""Every way to die, alone and in pairs.  No ghost stays behind, and the other clients see nothing but the leave."""

from collections.abc import Awaitable, Callable
from itertools import combinations_with_replacement

import pytest
from trio.testing import wait_all_tasks_blocked

from tools.harness import CLEAN, DEADLY, ROUGH, WAYS, Attempt, Conditions, Way, World, run_scenario
from tools.harness.ways import drained, lost_media, sent_dtls_alert

Order = Callable[[World, Way, Way], Awaitable[None]]


def left(attempt: Attempt, user: str) -> list[str]:
    """The reasons of this user's leaves, in order."""
    assert attempt.world is not None
    return [
        entry.detail["reason"] for entry in attempt.trace.of("begin: take off list") if entry.detail["user"] == user
    ]


@pytest.mark.parametrize("conditions", [CLEAN, ROUGH], ids=["clean", "rough"])
@pytest.mark.parametrize("way", DEADLY.values(), ids=str)
def test_a_client_that_dies_in_a_call_is_gone_and_the_others_go_on(way: Way, conditions: Conditions) -> None:
    async def scenario(world: World) -> None:
        ada, ben, _cleo = await world.call("ada", "ben", "cleo")
        way(world, "ada")
        leave = await ben.event("voice_state", type="user_left", userId="ada")
        assert leave["reason"] in way.reasons
        assert ben.current_stay is not None
        if way.code is not None and not ada.stream.incoming.stopped:
            await ada.over.wait()
            assert ada.close_code == way.code

    attempt = run_scenario(scenario, conditions=conditions)
    assert left(attempt, "ada")[0] in way.reasons


@pytest.mark.parametrize("way", [lost_media, sent_dtls_alert], ids=str)
def test_a_client_that_loses_only_its_media_stays_listed_without_it(way: Way) -> None:
    async def scenario(world: World) -> None:
        ada, ben, _cleo = await world.call("ada", "ben", "cleo")
        (sending,) = [id_ for direction, id_ in ada.transports.items() if direction == "send"]
        way(world, "ada")
        await ada.event("transport_state", transportId=sending, state="closed")
        changed = await ben.event("consumer_closed", reason="producer_closed")
        assert changed
        await world.settle()
        assert world.present_in("lobby") == ["ada", "ben", "cleo"]
        assert world.gateway.channels.channels["lobby"].members["ada"].participant.producers == ()

    run_scenario(scenario)


def test_draining_ends_every_session_and_leaves_nothing_behind() -> None:
    async def scenario(world: World) -> None:
        await world.call("ada", "ben", "cleo")
        for name in world.clients:
            world.expect_end(name)
        await world.server.drain()

    attempt = run_scenario(scenario, drain_timeout=2)
    assert [left(attempt, user) for user in ("ada", "ben", "cleo")] == [["draining"]] * 3


# Two clients die.


async def _one_after_the_other(world: World, one: Way, other: Way) -> None:
    one(world, "ada")
    await wait_all_tasks_blocked()
    other(world, "ben")


async def _the_other_first(world: World, one: Way, other: Way) -> None:
    other(world, "ben")
    await wait_all_tasks_blocked()
    one(world, "ada")


async def _at_once(world: World, one: Way, other: Way) -> None:
    one(world, "ada")
    other(world, "ben")
    await wait_all_tasks_blocked()


@pytest.mark.parametrize("order", [_one_after_the_other, _the_other_first, _at_once])
@pytest.mark.parametrize("one", WAYS.values(), ids=str)
def test_two_clients_may_die_in_any_two_ways(one: Way, order: Order) -> None:
    tried = 0
    for first, other in combinations_with_replacement(WAYS.values(), 2):
        if first is one:
            run_scenario(_two_die(one, other, order), objects=tried == 0)
            tried += 1
    assert tried


def _two_die(one: Way, other: Way, order: Order) -> Callable[[World], Awaitable[None]]:
    async def scenario(world: World) -> None:
        ada, ben, cleo = await world.joined("ada", "ben", "cleo")
        voices = [await client.publish(speak=False) for client in (ada, ben, cleo)]
        await cleo.subscribe(voices[0])
        await ada.subscribe(voices[1])
        await ben.subscribe(voices[0])
        await order(world, one, other)

    return scenario


def test_there_are_at_least_twenty_ways_to_die() -> None:
    assert drained.name in DEADLY
    assert len(WAYS) >= 20
