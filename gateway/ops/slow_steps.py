"""Watches the event loop: no step of it may keep the other tasks waiting for long.

All tasks of the gateway share one thread. A step is what a task does from one checkpoint to the next. While a step
lasts, nobody else gets an answer, and no leave is told. So a slow step is a fault of the code, of the machine, or of a
call that blocks. The line in the log names the task, and the counter shows how often it happens.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final, Protocol

import structlog
import trio

log = structlog.get_logger(__name__)

SLOW: Final = 0.1
"""Seconds after which a step is slow."""
LINES: Final = 5
"""Lines that may be written at once. Then one may follow each :data:`LINE_INTERVAL`."""
LINE_INTERVAL: Final = 10.0
"""Seconds."""


class CountsSlowSteps(Protocol):
    """The part of the metrics that counts."""

    def slow_step(self, seconds: float) -> None: ...


class SlowSteps(trio.abc.Instrument):
    """Counts the slow steps of a Trio run, and logs them with the task's name."""

    def __init__(self, metrics: CountsSlowSteps, clock: Callable[[], float] = perf_counter) -> None:
        self._metrics = metrics
        self._clock = clock
        self._began = clock()
        self._left_out = 0
        # A bucket of LINES that is full again at this time.
        self._full_at = self._began

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = self._clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now = self._clock()
        if now - self._began >= SLOW:
            self._note(task, now - self._began, now)

    def _note(self, task: trio.lowlevel.Task, seconds: float, now: float) -> None:
        self._metrics.slow_step(seconds)
        full_at = max(self._full_at, now) + LINE_INTERVAL
        if full_at > now + LINES * LINE_INTERVAL:
            self._left_out += 1
            return
        self._full_at = full_at
        left_out, self._left_out = self._left_out, 0
        log.warning("slow step", task=task.name, seconds=round(seconds, 3), left_out=left_out)


@asynccontextmanager
async def watch_steps(metrics: CountsSlowSteps) -> AsyncIterator[None]:
    """Watch the loop while the block runs."""
    steps = SlowSteps(metrics)
    trio.lowlevel.add_instrument(steps)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(steps)
