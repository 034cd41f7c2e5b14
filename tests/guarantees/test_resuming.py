"""A client changes its socket at each checkpoint, against each way to die. Nobody else notices, and nothing is left."""

import pytest
import trio

from tests.guarantees.test_every_checkpoint import last
from tools.harness import World, every_checkpoint, run_scenario
from tools.harness.client import HarnessClient
from tools.harness.ways import WAYS, Way, cancelled, closed_normally, removed, reset, sent_fin

FEWEST = 20
SOCKETS = ("eve", "eve~2")


async def call(world: World) -> tuple[HarnessClient, HarnessClient]:
    ada, ben = await world.call("ada", "ben")
    eve = world.client("eve")
    await eve.connect()
    await eve.join()
    voice = await eve.publish()
    await eve.subscribe(next(iter(ada.producers)))
    await ben.subscribe(voice)
    await eve.transport("receive")
    return ben, eve


async def eve_moves(world: World) -> None:
    """Eve resumes in the middle of a call, with requests in flight, and goes on."""
    ben, eve = await call(world)
    world.mark()
    asked = [await eve.request("message", data="in flight") for _ in range(3)]
    if await eve.resume():
        for number in asked:
            await eve.answer(number)
        await eve.ask("stats")
        await eve.leave()
        await eve.join()
    heard = [one.frame for one in ben.transcript if one.frame["type"] == "message"]
    assert len(heard) in (0, 3) or world.may_end


@pytest.mark.parametrize("way", [cancelled, reset, closed_normally], ids=str)
async def test_a_client_that_dies_at_any_checkpoint_of_its_move_leaves_nothing_behind(way: Way) -> None:
    assert await last(every_checkpoint(eve_moves, "eve", way=way, counted=SOCKETS, from_mark=True)) > FEWEST


@pytest.mark.parametrize("number", [0, 1])
async def test_either_task_may_be_cancelled_at_any_checkpoint_of_a_move(number: int) -> None:
    async def scenario(world: World) -> None:
        world.expect_end("eve", must=False)
        await eve_moves(world)

    def begin(world: World, client: HarnessClient) -> None:
        if (scope := world.serving.get(SOCKETS[number])) is not None:
            scope.cancel()

    way = Way(f"socket {number + 1} is cancelled", begin, frozenset())
    assert await last(every_checkpoint(scenario, "eve", way=way, counted=SOCKETS, from_mark=True)) > FEWEST


@pytest.mark.parametrize("way", [way for way in WAYS.values() if way.ends], ids=str)
def test_a_client_that_dies_after_its_move_is_gone_like_any_other(way: Way) -> None:
    async def scenario(world: World) -> None:
        ben, eve = await call(world)
        assert await eve.resume()
        await eve.ask("ping")
        way(world, "eve")
        left = await ben.event("voice_state", type="user_left", userId="eve")
        assert left["reason"] in way.reasons

    run_scenario(scenario)


@pytest.mark.parametrize("way", [way for way in WAYS.values() if way.ends], ids=str)
def test_a_client_that_moves_while_it_dies_is_gone_once_or_stays(way: Way) -> None:
    async def scenario(world: World) -> None:
        _, eve = await call(world)
        world.expect_end("eve", must=False)
        way.begin(world, eve)
        if await eve.resume():
            await eve.ask("ping")
        await trio.sleep(world.longest_exit)
        if world.connection("eve") is None:  # a client whose network is dead does not learn of its end
            world.expect_end("eve")

    run_scenario(scenario)


def test_two_moves_at_once_leave_one_session() -> None:
    async def scenario(world: World) -> None:
        ben, eve = await call(world)
        for _ in range(5):
            assert await eve.resume()
        await eve.ask("message", data="here")
        await ben.event("message", data="here")

    run_scenario(scenario)


async def test_a_move_that_waits_for_its_client_ends_at_any_checkpoint() -> None:
    async def scenario(world: World) -> None:
        _, eve = await call(world)
        world.expect_end("eve", must=False)
        world.mark()
        sent_fin.begin(world, eve)
        if await eve.resume():
            await eve.ask("ping")

    checkpoints = every_checkpoint(
        scenario, "eve", way=removed, counted=SOCKETS, from_mark=True, resume_grace=5, ping_interval=5
    )
    assert await last(checkpoints) > FEWEST
