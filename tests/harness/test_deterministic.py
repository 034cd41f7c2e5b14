"""A run is the same every time and in every process.

The harness reports a run that it cannot repeat, or that does not end.
"""

import inspect
import os
import random
import subprocess
import sys
from functools import cache
from typing import Any

import pytest
import trio

from tests.harness.call_among_five import hash_of, trace
from tools.harness import Stuck, run
from tools.harness.deterministic import InstrumentLost


@cache
def first_trace() -> str:
    return trace(1)


def test_the_same_seed_gives_the_same_run_five_times() -> None:
    assert "begin: take off list" in first_trace()
    for _ in range(4):
        assert trace(1) == first_trace()


def test_another_seed_gives_another_run() -> None:
    assert trace(2) != first_trace()


def test_another_process_with_other_hashes_gives_the_same_run() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    program = [sys.executable, "-m", "tests.harness.call_among_five"]
    printed = subprocess.run(program, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    assert printed == hash_of(first_trace())


def order_of_tasks(seed: int) -> list[int]:
    order: list[int] = []

    async def note(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            order.append(number)

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(note, number)

    run(scenario, seed=seed)
    return order


def test_the_private_switch_of_trio_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    core: Any = trio._core._run
    monkeypatch.setattr(core, "_ALLOW_DETERMINISTIC_SCHEDULING", False)  # other tools may have turned it on for good
    assert isinstance(core._r, random.Random)
    loop = inspect.getsource(core.unrolled_run)
    assert "_ALLOW_DETERMINISTIC_SCHEDULING" in loop
    assert "_r.random()" in loop
    assert order_of_tasks(1) == order_of_tasks(1) != order_of_tasks(2)
    assert core._ALLOW_DETERMINISTIC_SCHEDULING is False


def test_a_stuck_run_lists_its_tasks_and_what_they_wait_for() -> None:
    async def wait_for_godot() -> None:
        await trio.Event().wait()

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_godot, name="Vladimir")
            await wait_for_godot()

    with pytest.raises(Stuck, match=r"stuck after 0\.5 real seconds[^$]*Vladimir: wait_for_godot:\d+ > wait:\d+"):
        run(scenario, real_seconds=0.5)


class Raises(trio.abc.Instrument):
    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        raise ValueError("on purpose")


@pytest.mark.filterwarnings("ignore")
def test_an_instrument_that_trio_dropped_is_reported() -> None:
    with pytest.raises(InstrumentLost, match="Raises raised"):
        run(trio.lowlevel.checkpoint, instruments=[Raises()])


def test_virtual_time_takes_no_real_time() -> None:
    async def scenario() -> float:
        began = trio.current_time()
        await trio.sleep(80_000)
        return trio.current_time() - began

    assert run(scenario, real_seconds=5) == 80_000
