"""A closed connection is acted on at once, a silent one within ten seconds."""

import pytest
import trio

from tools.harness import DEADLY, Way, World, run_scenario
from tools.harness.ways import deaf, read_nothing, replaced, silent

SECONDS = 10
SEEN_LATER = {silent.name, deaf.name, read_nothing.name, replaced.name}
AT_ONCE = [way for name, way in DEADLY.items() if name not in SEEN_LATER]


@pytest.mark.parametrize("way", AT_ONCE, ids=str)
def test_an_end_that_is_seen_is_told_in_the_same_instant(way: Way) -> None:
    async def scenario(world: World) -> None:
        _ada, ben = await world.call("ada", "ben")
        begun = trio.current_time()
        way(world, "ada")
        await ben.event("voice_state", type="user_left", userId="ada")
        assert trio.current_time() == begun

    run_scenario(scenario)


@pytest.mark.parametrize("after", [second / 2 for second in range(11)])
@pytest.mark.parametrize("way", [silent, deaf], ids=str)
def test_whoever_falls_silent_at_whatever_moment_is_told_of_well_within_ten_seconds(way: Way, after: float) -> None:
    async def scenario(world: World) -> None:
        _ada, ben = await world.joined("ada", "ben")
        await trio.sleep(5 + after)
        begun = trio.current_time()
        way(world, "ada")
        await ben.event("voice_state", type="user_left", userId="ada")
        # With room for a machine that is busy.
        assert trio.current_time() - begun <= SECONDS - 0.4

    run_scenario(scenario)
