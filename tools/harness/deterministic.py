"""Runs Trio the same way every time: seeded scheduling, a virtual clock, and a watchdog in real time.

Only this file uses a private part of Trio.  ``tests/harness/test_deterministic.py`` fails if that part changes.
"""

import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import trio
from trio.testing import MockClock

T = TypeVar("T")

#: Real seconds after which a run counts as stuck.  Virtual time takes no real time.
REAL_SECONDS: Final = 60.0
#: Real seconds that a stuck run has to end after its cancellation.  Then the process is aborted.
GRACE: Final = 10.0
_FRAMES_SHOWN: Final = 3
_TASKS_SHOWN: Final = 100


class Stuck(AssertionError):
    """A run did not end.  The message lists every task and what it waits for."""


class InstrumentLost(AssertionError):
    """Trio dropped an instrument because it raised, so the run went on without it."""


def run(
    scenario: Callable[[], Awaitable[T]],
    *,
    seed: int = 1,
    instruments: Sequence[trio.abc.Instrument] = (),
    real_seconds: float = REAL_SECONDS,
) -> T:
    """``trio.run`` in virtual time, with the same order of tasks for the same ``seed``.

    Time jumps as soon as every task waits, so no task may wait for a thread or a file descriptor.  A process can have
    only one such run at a time.  Raises :exc:`Stuck` after ``real_seconds``, and :exc:`InstrumentLost`.
    """

    async def main() -> T:
        with _watched(real_seconds) as scope, scope:
            result = await scenario()
        if scope.cancelled_caught:
            raise Stuck(_tasks_when_stuck.pop(scope, "it took too long"))
        for instrument in instruments:
            try:
                trio.lowlevel.remove_instrument(instrument)
            except KeyError:
                raise InstrumentLost(f"{type(instrument).__name__} raised, and Trio went on without it") from None
        return result

    with _seeded_scheduling(seed):
        return trio.run(main, clock=MockClock(autojump_threshold=0), instruments=instruments)


@contextmanager
def _seeded_scheduling(seed: int) -> Iterator[None]:
    """Make Trio's order of tasks depend on the seed alone.

    Trio shuffles the tasks of each tick.  Its private switch sorts them before that, and a seed makes the shuffle
    repeatable.
    """
    core: Any = trio._core._run
    before, core._ALLOW_DETERMINISTIC_SCHEDULING = core._ALLOW_DETERMINISTIC_SCHEDULING, True
    core._r.seed(seed)
    try:
        yield
    finally:
        core._ALLOW_DETERMINISTIC_SCHEDULING = before


# The watchdog.

_tasks_when_stuck: dict[trio.CancelScope, str] = {}


@contextmanager
def _watched(real_seconds: float) -> Iterator[trio.CancelScope]:
    """A scope that a thread cancels when the real time is up.  A deadlock in virtual time would never end by itself.

    A run may resist: a task may shield itself, or never yield.  So :data:`GRACE` seconds after the cancellation a
    second timer aborts the process.
    """
    scope, token = trio.CancelScope(), trio.lowlevel.current_trio_token()

    def give_up() -> None:
        _tasks_when_stuck[scope] = f"stuck after {real_seconds:g} real seconds\n{describe_tasks()}"
        scope.cancel()

    def cancel_from_thread() -> None:
        token.run_sync_soon(give_up)
        abort_timer.start()

    def abort() -> None:
        tasks = _tasks_when_stuck.get(scope, "a task never yields")
        sys.stderr.write(f"a run did not end {GRACE:g} s after its cancellation: {tasks}\n")
        os.abort()

    abort_timer, cancel_timer = threading.Timer(GRACE, abort), threading.Timer(real_seconds, cancel_from_thread)
    abort_timer.daemon = cancel_timer.daemon = True
    cancel_timer.start()
    try:
        yield scope
    finally:
        cancel_timer.cancel()
        abort_timer.cancel()


def describe_tasks() -> str:
    """Every task of the running loop, indented by nesting, with the innermost frames of its wait."""
    root = trio.lowlevel.current_root_task()
    lines = list(_describe(root, "")) if root is not None else []
    more = [f"… and {len(lines) - _TASKS_SHOWN} more"] if len(lines) > _TASKS_SHOWN else []
    return "\n".join(lines[:_TASKS_SHOWN] + more)


def _describe(task: trio.lowlevel.Task, indent: str) -> Iterator[str]:
    frames = [
        f"{frame.f_code.co_name}:{line}"
        for frame, line in task.iter_await_frames()
        if not frame.f_globals.get("__name__", "").startswith(
            "trio._core."
        )  # Trio's own frames are the same in every waiting task
    ]
    yield f"{indent}{task.name}: {' > '.join(frames[-_FRAMES_SHOWN:])}"
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda one: one.name):
            yield from _describe(child, indent + "  ")
