"""The same run again: Trio's scheduling without chance, and a way to act at a chosen step.

The one file that knows a private part of Trio.  ``test_every_step.py`` has the canary that fails when it changes.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from attrs import define
from trio.testing import MockClock


def run(scenario: Callable[[], Awaitable[None]], *, instruments: list[trio.abc.Instrument], seed: int = 1) -> None:
    """``trio.run`` under virtual time, in the same order every time."""
    core: Any = trio._core._run
    before, core._ALLOW_DETERMINISTIC_SCHEDULING = core._ALLOW_DETERMINISTIC_SCHEDULING, True
    core._r.seed(seed)
    try:
        trio.run(scenario, clock=MockClock(autojump_threshold=0), instruments=instruments)
    finally:
        core._ALLOW_DETERMINISTIC_SCHEDULING = before


@define(eq=False)
class AtStep(trio.abc.Instrument):
    """Calls ``act`` once, after the ``step``-th step of a task called ``name`` or of a task below it.

    ``seen`` is how many steps there were.
    """

    name: str
    step: int
    act: Callable[[], None]
    seen: int = 0
    reached: bool = False
    failed: Exception | None = None

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.failed is None and self._is_ours(task):
            self.seen += 1
            if self.seen == self.step:
                self.reached = True
                try:
                    self.act()
                except Exception as error:  # Trio would drop the instrument and go on
                    self.failed = error

    def _is_ours(self, task: trio.lowlevel.Task | None) -> bool:
        while task is not None:
            if task.name == self.name:
                return True
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
        return False
