"""Runs scenarios: once, or again and again with a death at the 1st, 2nd, 3rd … checkpoint."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import trio
from attrs import define, field

from tools.harness.deterministic import run
from tools.harness.judge import judge
from tools.harness.leaks import ignore_existing_objects
from tools.harness.trace import Trace
from tools.harness.transcript import Gone, Refused
from tools.harness.ways import Way, cancelled
from tools.harness.world import World, open_world, server_task_name

Scenario = Callable[[World], Awaitable[None]]

#: A scenario with more checkpoints than this counts as endless.
MOST_CHECKPOINTS: Final = 20_000
#: In one of this many runs, the harness looks for objects that outlive their client.
OBJECTS_EVERY: Final = 10
# Virtual seconds after which a scenario counts as endless.  A scenario may still wait for an answer to a dead client,
# which takes `tools.harness.client.PATIENCE`.
_SCENARIO_ENDS_AFTER: Final = 600.0


@define(eq=False)
class Attempt:
    """One finished and judged run of a scenario.

    ``checkpoint`` is the number of the checkpoint at which the client died, or 0 if the run had fewer checkpoints or no
    death.  ``checkpoints`` is how many checkpoints the run had.  ``seconds`` is its length in virtual time.
    """

    seed: int
    checkpoint: int = 0
    checkpoints: int = 0
    seconds: float = 0.0
    trace: Trace = field(factory=Trace)
    world: World | None = None

    @property
    def untouched(self) -> bool:
        """Whether the run ended without a death."""
        return self.checkpoint == 0


def run_scenario(
    scenario: Scenario,
    *,
    seed: int = 1,
    objects: bool = True,
    instrument: AtCheckpoint | None = None,
    **world: Any,
) -> Attempt:
    """Run a scenario in a new world, judge it, disconnect everybody, and check that nothing is left.

    All random choices come from ``seed``.  With ``objects``, the check includes Python objects of the gateway's classes
    that outlive their client, which takes some real time.  ``instrument`` acts at a checkpoint.  ``world`` has further
    arguments of :func:`open_world`.

    Raises :exc:`GuaranteeBroken` and :exc:`Leak`.  An exception of the scenario itself is raised too, unless it only
    says that a client's connection is over and the scenario expected that.
    """
    attempt = Attempt(seed)

    raised: list[Exception] = []

    async def main() -> None:
        async with open_world(seed=seed, **world) as attempt.world:
            attempt.trace = attempt.world.trace
            try:
                await _live(attempt.world, scenario, instrument, objects)
            except Exception as error:  # the outer nurseries would wrap it in groups
                raised.append(error)
            attempt.seconds = attempt.world.seconds

    run(main, seed=seed, instruments=[] if instrument is None else [instrument])
    if instrument is not None:
        instrument.check()
    if raised:
        raise raised[0]
    if instrument is not None:
        attempt.checkpoint = instrument.checkpoint if instrument.reached else 0
        attempt.checkpoints = instrument.seen
    return attempt


async def _live(world: World, scenario: Scenario, instrument: AtCheckpoint | None, objects: bool) -> None:
    if objects:
        ignore_existing_objects()
    try:
        await world.let_others_read()
        if instrument is not None:
            instrument.world = world
        with trio.move_on_after(_SCENARIO_ENDS_AFTER) as scope:
            try:
                await scenario(world)
            except (Gone, Refused, trio.TooSlowError):
                if not world.may_end:  # no client was expected to end
                    raise
        assert not scope.cancelled_caught, "the scenario does not come to an end"
        if instrument is not None:
            instrument.armed = False
        await world.settle()
        judge(world)
        # The remaining clients leave now.  Their leaves must keep the guarantees, too.
        await world.empty()
        judge(world)
        world.check_nothing_is_left(objects=objects)
    finally:
        if objects:
            gc.unfreeze()


@define(eq=False)
class AtCheckpoint(trio.abc.Instrument):
    """Calls ``act`` once, after a certain number of steps of the tasks that serve certain clients.

    Trio runs a task from one checkpoint to the next, and calls that a step.  So counting steps counts checkpoints.
    ``checkpoint`` is the number of the step, from 1.  With 0 it only counts.  ``counted`` names the clients whose tasks
    (and child tasks) count.  Counting begins with the scenario, or with ``from_mark`` at its call of
    :meth:`World.mark`.

    ``seen`` is the number of steps so far.  ``reached`` says whether ``act`` was called.  While ``armed`` is False, no
    step counts.
    """

    checkpoint: int
    counted: Collection[str]
    act: Callable[[World], object]
    from_mark: bool = False
    world: World | None = None
    seen: int = 0
    reached: bool = False
    armed: bool = True
    _names: frozenset[str] = field(init=False)
    _error: Exception | None = None

    def __attrs_post_init__(self) -> None:
        self._names = frozenset(map(server_task_name, self.counted))

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        world = self.world
        if world is None or not self.armed or (self.from_mark and not world.marked) or not self._is_counted(task):
            return
        self.seen += 1
        if self.seen == self.checkpoint:
            self.reached = True
            try:
                self.act(world)
            except Exception as error:  # Trio would drop an instrument that raises, and go on
                self._error = error

    def _is_counted(self, task: trio.lowlevel.Task | None) -> bool:
        while task is not None:
            if task.name in self._names:
                return True
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
        return False

    def check(self) -> None:
        """Raises the exception that ``act`` raised, if any."""
        if self._error is not None:
            raise self._error


def every_checkpoint(
    scenario: Scenario,
    victim: str,
    *,
    way: Way = cancelled,
    counted: Collection[str] = (),
    from_mark: bool = False,
    seed: int = 1,
    **world: Any,
) -> EveryCheckpoint:
    """``async for attempt in every_checkpoint(scenario, victim="alice")``.

    Runs the scenario again and again.  The client ``victim`` dies by ``way`` at the 1st, 2nd, 3rd … checkpoint of its
    tasks in the gateway.  ``counted`` names other clients whose checkpoints count instead.  With ``from_mark`` counting
    begins at the scenario's call of :meth:`World.mark`.  The last run has too few checkpoints, so nobody dies in it.

    Raises the same exceptions as :func:`run_scenario`, with a note that names the victim, the way and the checkpoint.
    """
    return EveryCheckpoint(scenario, victim, way, counted or (victim,), from_mark, seed, world)


@define(eq=False)
class EveryCheckpoint:
    """Made by :func:`every_checkpoint`.  Each step of the iteration runs the scenario once."""

    scenario: Scenario
    victim: str
    way: Way
    counted: Collection[str]
    from_mark: bool
    seed: int
    world: dict[str, Any]
    _next: int = 1
    _over: bool = False

    def __aiter__(self) -> EveryCheckpoint:
        return self

    async def __anext__(self) -> Attempt:
        if self._over:
            raise StopAsyncIteration
        if self._next > MOST_CHECKPOINTS:
            raise AssertionError(f"the scenario has more than {MOST_CHECKPOINTS} checkpoints, so it does not end")
        # In a thread, because one thread cannot run Trio inside Trio.
        attempt = await trio.to_thread.run_sync(self._attempt)
        self._over = attempt.untouched
        self._next += 1
        return attempt

    def _attempt(self) -> Attempt:
        instrument = AtCheckpoint(self._next, self.counted, self._act, self.from_mark)
        # Looking for objects takes as long as the run itself, so only some runs do it.
        objects = self._next % OBJECTS_EVERY == 1
        try:
            return run_scenario(self.scenario, seed=self.seed, objects=objects, instrument=instrument, **self.world)
        except BaseException as error:
            counted = ", ".join(self.counted)
            error.add_note(f"{self.victim}: {self.way.name}, at checkpoint {self._next} of {counted}, seed {self.seed}")
            raise

    def _act(self, world: World) -> None:
        self.way(world, self.victim)
