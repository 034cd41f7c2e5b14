"""Running scenarios: once, or again and again with something happening at the 1st, 2nd, 3rd … checkpoint."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import trio
from attrs import define, field

from tools.harness.client import Gone, Refused
from tools.harness.deterministic import run
from tools.harness.judge import judge
from tools.harness.leaks import forget_what_is_old
from tools.harness.trace import Trace
from tools.harness.ways import Way, cancelled
from tools.harness.world import World, open_world, server_task

Scenario = Callable[[World], Awaitable[None]]

#: A scenario with more checkpoints than this does not end.
MOST_CHECKPOINTS: Final = 20_000
#: Objects that outlive their client are looked for in each so-manieth run.
OBJECTS_EVERY: Final = 10
# Virtual seconds; a scenario whose victim is gone may wait for it for as long as its clients are patient.
_SCENARIO_ENDS_AFTER: Final = 600.0


@define(eq=False)
class Attempt:
    """One run of a scenario, over and judged.

    ``checkpoint`` is the one at which something happened (0: it was not reached, or nothing was to happen),
    ``checkpoints`` how many there were, ``seconds`` how long it took in virtual time.
    """

    seed: int
    checkpoint: int = 0
    checkpoints: int = 0
    seconds: float = 0.0
    trace: Trace = field(factory=Trace)
    world: World | None = None

    @property
    def untouched(self) -> bool:
        """Whether it got through without anything happening."""
        return self.checkpoint == 0


def run_scenario(
    scenario: Scenario,
    *,
    seed: int = 1,
    objects: bool = True,
    instrument: AtCheckpoint | None = None,
    **world: Any,
) -> Attempt:
    """Run a scenario in a world of its own (``world``: see :func:`open_world`), then let everything come to its end,
    judge it, let everybody go and see whether anything is left.

    ``objects`` also looks for objects of our own classes that outlive their client, which takes some real time.
    Raises :exc:`GuaranteeBroken`, and whatever the scenario raises without a client of its having been ended.
    """
    attempt = Attempt(seed)

    raised: list[Exception] = []

    async def main() -> None:
        async with open_world(seed=seed, **world) as attempt.world:
            attempt.trace = attempt.world.trace
            try:
                await _live(attempt.world, scenario, instrument, objects)
            except Exception as error:  # not through the nurseries, which would wrap it in a group for each
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
        forget_what_is_old()
    try:
        if instrument is not None:
            instrument.world = world
        with trio.move_on_after(_SCENARIO_ENDS_AFTER) as scope:
            try:
                await scenario(world)
            except (Gone, Refused, trio.TooSlowError):
                if not world.excused:  # nobody had a reason to be gone
                    raise
        assert not scope.cancelled_caught, "the scenario does not come to an end"
        if instrument is not None:
            instrument.armed = False
        await world.settle()
        judge(world)
        await world.empty()
        judge(world)
        world.check_nothing_is_left(objects=objects)
    finally:
        if objects:
            gc.unfreeze()


@define(eq=False)
class AtCheckpoint(trio.abc.Instrument):
    """Lets something happen after the ``checkpoint``-th step of the tasks that serve certain clients.

    A step of a task ends at a checkpoint, so this is each checkpoint in turn.  ``counted`` are the clients whose tasks
    count, and those below them; counting begins with the scenario, or (``from_mark``) where it calls
    :meth:`World.mark`.
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
        self._names = frozenset(map(server_task, self.counted))

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        world = self.world
        if world is None or not self.armed or (self.from_mark and not world.marked) or not self._is_counted(task):
            return
        self.seen += 1
        if self.seen == self.checkpoint:
            self.reached = True
            try:
                self.act(world)
            except Exception as error:  # or Trio would drop this instrument and go on
                self._error = error

    def _is_counted(self, task: trio.lowlevel.Task | None) -> bool:
        while task is not None:
            if task.name in self._names:
                return True
            task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
        return False

    def check(self) -> None:
        """Raises what the act raised."""
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

    Runs the scenario again and again, and lets ``victim`` die by ``way`` at the 1st, 2nd, 3rd … checkpoint of its own
    tasks in the gateway (or of those of the clients in ``counted``), until a run gets through untouched, which comes
    last.  Every run is judged; what breaks a guarantee is raised, with a note that says at which checkpoint.
    """
    return EveryCheckpoint(scenario, victim, way, counted or (victim,), from_mark, seed, world)


@define(eq=False)
class EveryCheckpoint:
    """Made by :func:`every_checkpoint`; iterating it is running the scenario."""

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
            raise AssertionError(f"more than {MOST_CHECKPOINTS} checkpoints: the scenario does not end")
        # In a thread, as a program that runs in Trio cannot run another Trio in its own.
        attempt = await trio.to_thread.run_sync(self._attempt)
        self._over = attempt.untouched
        self._next += 1
        return attempt

    def _attempt(self) -> Attempt:
        instrument = AtCheckpoint(self._next, self.counted, self._act, self.from_mark)
        # Looking for objects takes as long as the run: not each time, but at the end of each sort of run.
        objects = self._next % OBJECTS_EVERY == 1
        try:
            return run_scenario(self.scenario, seed=self.seed, objects=objects, instrument=instrument, **self.world)
        except BaseException as error:
            whose = ", ".join(self.counted)
            error.add_note(f"{self.victim}: {self.way.name}, at checkpoint {self._next} of {whose}; seed {self.seed}")
            raise

    def _act(self, world: World) -> None:
        self.way(world, self.victim)
