"""Faults happen where and as often as asked.  After the run the gateway's methods are as before."""

import pytest
import trio

from gateway.channel.channel import Channel
from tools.harness import Broken, Faults, World, run_scenario
from tools.harness.steps import EXIT_STEPS, OTHER_STEPS, wrapped_steps
from tools.harness.trace import Trace
from tools.harness.ways import reset


def methods() -> list[object]:
    return [getattr(step.owner, step.method) for step in (*EXIT_STEPS.values(), *OTHER_STEPS.values())]


@pytest.mark.parametrize("ask", [Faults.raises, Faults.hangs, lambda faults, step: faults.is_slow(step, 1)])
def test_a_step_that_does_not_exist_is_refused(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ValueError, match="there is no step 'fly'"):
        ask(Faults(), "fly")


def test_a_synchronous_step_cannot_hang() -> None:
    with pytest.raises(ValueError, match="'close consumer' is synchronous"):
        Faults().hangs("close consumer")


def test_a_fault_happens_as_often_as_asked_and_is_counted() -> None:
    faults = Faults()
    fault = faults.raises("notify", "ada", times=2)
    assert faults.take("notify", "ben", after=False) is None
    assert faults.take("notify", "ada", after=True) is None
    assert [faults.take("notify", "ada", after=False) is fault for _ in range(3)] == [True, True, False]
    assert fault.happened == 2


def test_a_fault_without_a_client_happens_to_any_client() -> None:
    faults = Faults()
    fault = faults.raises("notify")
    assert faults.take("notify", "ben", after=False) is fault


def test_a_step_can_fail_before_its_work_and_after_it() -> None:
    faults = Faults()
    before, after = faults.raises("notify", "ada"), faults.raises("notify", "ada", after=True)
    assert faults.take("notify", "ada", after=True) is after
    assert faults.take("notify", "ada", after=False) is before


def test_a_used_up_fault_of_one_client_gives_way_to_the_fault_of_any_client() -> None:
    faults = Faults()
    hers, anybodys = faults.raises("notify", "ada"), faults.raises("notify")
    assert faults.take("notify", "ada", after=False) is hers
    assert faults.take("notify", "ada", after=False) is anybodys


async def test_a_slow_step_takes_its_time_and_a_raising_step_raises(autojump_clock: trio.testing.MockClock) -> None:
    faults = Faults()
    faults.is_slow("say goodbye", 3)
    began = trio.current_time()
    await faults.apply_async("say goodbye", "ada", after=False)
    assert trio.current_time() - began == 3
    faults.raises("say goodbye")
    with pytest.raises(Broken, match="say goodbye"):
        await faults.apply_async("say goodbye", "ada", after=False)


def test_a_fault_in_a_run_happens_once_and_is_counted() -> None:
    happened: list[int] = []

    async def scenario(world: World) -> None:
        _ada, ben, _cleo = await world.call("ada", "ben", "cleo")
        fault = world.faults.raises("close consumer", "ada")
        reset(world, "ada")
        await ben.event("voice_state", type="user_left", userId="ada")
        happened.append(fault.happened)

    run_scenario(scenario, objects=False)
    assert happened == [1]


def test_the_original_methods_are_back_after_a_run() -> None:
    before = methods()
    with wrapped_steps(Trace(), Faults()):
        assert not any(now is then for now, then in zip(methods(), before, strict=True))
    assert methods() == before


def test_the_original_methods_are_back_after_a_run_that_failed() -> None:
    before = methods()

    async def scenario(world: World) -> None:
        await world.joined("ada")
        assert Channel.remove not in before
        raise KeyError("on purpose")

    with pytest.raises(KeyError, match="on purpose"):
        run_scenario(scenario, objects=False)
    assert methods() == before
