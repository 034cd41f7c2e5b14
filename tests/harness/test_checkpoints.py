"""The harness visits every checkpoint once, and reports at which one a guarantee broke."""

import pytest
import trio

from gateway.connection import end_reasons
from tools.harness import GuaranteeBroken, Way, World, every_checkpoint, run_scenario
from tools.harness.checkpoints import AtCheckpoint
from tools.harness.ways import cancelled


async def eve_looks_in(world: World) -> None:
    """Eve joins Ben for a moment."""
    await world.joined("ben")
    eve = world.client("eve")
    await eve.connect()
    await eve.join()
    world.mark()
    await eve.leave()
    await eve.close()


def count(*counted: str, from_mark: bool = False) -> int:
    """The number of checkpoints of a run in which nobody dies."""
    instrument = AtCheckpoint(0, counted, lambda world: None, from_mark)
    return run_scenario(eve_looks_in, objects=False, instrument=instrument).checkpoints


async def count_in_thread(*counted: str, from_mark: bool = False) -> int:
    return await trio.to_thread.run_sync(lambda: count(*counted, from_mark=from_mark))


async def test_every_checkpoint_is_visited_in_order_and_the_last_run_is_untouched() -> None:
    visited: list[int] = []
    async for attempt in every_checkpoint(eve_looks_in, "eve"):
        visited.append(attempt.checkpoint)
    assert attempt.untouched
    assert visited == [*range(1, attempt.checkpoints + 1), 0]
    assert attempt.checkpoints == await count_in_thread("eve")


async def test_checkpoints_of_other_clients_can_count_and_only_from_a_mark_on() -> None:
    both = every_checkpoint(eve_looks_in, "eve", counted=("ben", "eve"), from_mark=True)
    *_, last = [attempt.checkpoints async for attempt in both]  # keep only the numbers, or every world would stay alive
    assert last == await count_in_thread("ben", "eve", from_mark=True)
    assert await count_in_thread("eve", from_mark=True) < last < await count_in_thread("ben", "eve")


async def test_a_guarantee_broken_at_one_checkpoint_is_raised_with_its_number() -> None:
    visited: list[int] = []

    def begin(world: World, client: object) -> None:
        visited.append(len(visited) + 1)
        if len(visited) == 3:
            ben = world.connection("ben")
            assert ben is not None
            ben.end(end_reasons.INTERNAL)
        cancelled(world, "eve")

    way = Way("cancelled, and once together with Ben", begin, frozenset(["draining"]))
    with pytest.raises(GuaranteeBroken) as caught:
        async for _ in every_checkpoint(eve_looks_in, "eve", way=way, seed=7):
            pass
    assert caught.value.guarantee == 5
    assert visited == [1, 2, 3]
    assert caught.value.__notes__ == [f"eve: {way.name}, at checkpoint 3 of eve, seed 7"]


async def test_an_exception_of_the_way_to_die_is_raised() -> None:
    def begin(world: World, client: object) -> None:
        raise KeyError("on purpose")

    with pytest.raises(KeyError, match="on purpose"):
        async for _ in every_checkpoint(eve_looks_in, "eve", way=Way("broken", begin, frozenset(["left"]))):
            pass
