"""The same run every time: Trio without chance, under a virtual clock, with a watchdog on the real one.

The one file that knows a private part of Trio.  ``tests/harness/test_deterministic.py`` fails when that part changes.
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

#: Real seconds that a run may take; what is virtual about it takes none, so a run that needs them is stuck.
REAL_SECONDS: Final = 60.0
#: Real seconds from the cancellation of a stuck run to the end of the process, where even that does not help.
GRACE: Final = 10.0
_FRAMES_SHOWN: Final = 3
_TASKS_SHOWN: Final = 100


class Stuck(AssertionError):
    """A run did not come to its end.  The message lists every task and what it waits for."""


class InstrumentLost(AssertionError):
    """Trio dropped an instrument, as it does with one that raises: what it should have seen or done is missing."""


def run(
    scenario: Callable[[], Awaitable[T]],
    *,
    seed: int = 1,
    instruments: Sequence[trio.abc.Instrument] = (),
    real_seconds: float = REAL_SECONDS,
) -> T:
    """``trio.run`` in virtual time, with the same order of tasks for the same ``seed``.

    Time jumps as soon as every task waits, so nothing in it may wait for a thread or a file descriptor.  Only one run
    at a time in a process.  Raises :exc:`Stuck` after ``real_seconds``, and :exc:`InstrumentLost`.
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

    with _without_chance(seed):
        return trio.run(main, clock=MockClock(autojump_threshold=0), instruments=instruments)


@contextmanager
def _without_chance(seed: int) -> Iterator[None]:
    """Trio draws the order of the tasks of each tick; sorted first and drawn with a seed, it is the same each time."""
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
    """A scope that is cancelled from outside when real time is up: a deadlock in virtual time never ends by itself."""
    scope, token = trio.CancelScope(), trio.lowlevel.current_trio_token()

    def give_up() -> None:
        _tasks_when_stuck[scope] = f"stuck after {real_seconds:g} real seconds\n{describe_tasks()}"
        scope.cancel()

    def bark() -> None:
        token.run_sync_soon(give_up)
        bite.start()

    def end_process() -> None:
        sys.stderr.write(f"a run ignores its cancellation: {_tasks_when_stuck.get(scope, 'it does not even yield')}\n")
        os.abort()

    bite, watchdog = threading.Timer(GRACE, end_process), threading.Timer(real_seconds, bark)
    bite.daemon = watchdog.daemon = True
    watchdog.start()
    try:
        yield scope
    finally:
        watchdog.cancel()
        bite.cancel()


def describe_tasks() -> str:
    """Every task of the running loop, indented by nesting, with the innermost frames of what it waits for."""
    root = trio.lowlevel.current_root_task()
    lines = list(_describe(root, "")) if root is not None else []
    more = [f"… and {len(lines) - _TASKS_SHOWN} more"] if len(lines) > _TASKS_SHOWN else []
    return "\n".join(lines[:_TASKS_SHOWN] + more)


def _describe(task: trio.lowlevel.Task, indent: str) -> Iterator[str]:
    frames = [
        f"{frame.f_code.co_name}:{line}"
        for frame, line in task.iter_await_frames()
        if not frame.f_globals.get("__name__", "").startswith("trio._core.")  # the same in every task that waits
    ]
    yield f"{indent}{task.name}: {' > '.join(frames[-_FRAMES_SHOWN:])}"
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda one: one.name):
            yield from _describe(child, indent + "  ")
