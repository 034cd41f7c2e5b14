"""Who uses the time of the event loop, and which steps of it take too long.

All tasks of the gateway share one thread. A step is what a task does from one checkpoint to the next. While it lasts,
nobody else gets an answer, and no leave is told. So the time has a price: each step is charged to the payer of its
task. Tasks inherit the payer from the task that started them.

The loop is busy whenever it does not wait for the network or for a deadline.

A slow step is a fault of the code, of the machine, or of a call that blocks. The line in the log names the task, and
the metrics show how often it happens.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from time import perf_counter, thread_time
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


class Payer(Protocol):
    """Pays for the time that its tasks use."""

    def charge(self, seconds: float) -> None:
        """Charge processor time of the loop's thread."""


payer: Final[ContextVar[Payer | None]] = ContextVar("payer", default=None)
"""Who pays for the steps of this task, and of the tasks that it starts from now on."""


class CountsSlowSteps(Protocol):
    """The part of the metrics that counts."""

    def slow_step(self, seconds: float) -> None: ...


class LoopTime(trio.abc.Instrument):
    """Charges each step of a Trio run to its payer, counts the slow ones, and logs those with the task's name.

    ``clock`` tells how long a step takes, and ``used`` how much processor time the thread has used. Reading the latter
    is a system call, too slow for each step. So it is read once for each round, which is all steps between two waits
    for the network. If the machine gave the thread only a part of the round's time, all payers pay that part.
    """

    def __init__(
        self,
        metrics: CountsSlowSteps,
        clock: Callable[[], float] = perf_counter,
        used: Callable[[], float] = thread_time,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._used = used
        self._round_began = self._step_began = clock()
        self._used_before = used()
        self._busy = 0.0
        self._owed: dict[Payer, float] = {}
        self._left_out = 0
        # A bucket of LINES that is full again at this time.
        self._full_at = self._round_began

    def busy_seconds(self) -> float:
        """For how many seconds the loop has been busy so far. Call it from a task of the loop."""
        return self._busy + self._clock() - self._round_began

    def before_io_wait(self, timeout: float) -> None:
        lasted = self._clock() - self._round_began
        self._busy += lasted
        before, self._used_before = self._used_before, self._used()
        if self._owed:
            part = min(1.0, (self._used_before - before) / lasted) if lasted else 1.0
            for pays, seconds in self._owed.items():
                pays.charge(part * seconds)
            self._owed.clear()

    def after_io_wait(self, timeout: float) -> None:
        self._round_began = self._step_began = self._clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now = self._clock()
        # The time since the step before, so Trio's own work for the step counts too.
        took, self._step_began = now - self._step_began, now
        if (pays := task.context.get(payer)) is not None:
            self._owed[pays] = self._owed.get(pays, 0.0) + took
        if took >= SLOW:
            self._note(task, took, now)

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
async def watch_steps(metrics: CountsSlowSteps) -> AsyncIterator[LoopTime]:
    """Watch the loop while the block runs."""
    steps = LoopTime(metrics)
    trio.lowlevel.add_instrument(steps)
    try:
        yield steps
    finally:
        trio.lowlevel.remove_instrument(steps)
