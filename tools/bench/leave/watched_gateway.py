"""A gateway that watches its own event loop: the length of each step, garbage collection, and the outboxes.

    python -m tools.bench.leave.watched_gateway

It is the gateway of ``sfu-gateway serve`` with its defaults, on free ports.  It reads two lines from standard input:
``begin`` starts watching; ``report`` stops it and prints one line of JSON, a :class:`Report`.
"""

from __future__ import annotations

import gc
import json
import os
import time
from typing import Final

import attrs
import trio
from attrs import define, field, frozen

from gateway.config import Config
from gateway.ops.log import configure
from gateway.server import Server, serve

# Seconds between two looks at the outboxes, at least; a look at 500 of them takes some 30 µs.
OUTBOXES_EVERY: Final = 0.002
KEPT: Final = 5
OLDEST_GENERATION: Final = 2


@frozen
class Report:
    """Times in seconds, sizes in bytes.

    A step is the work of one task between two checkpoints.  A round is all steps between two looks at the network: so
    long a packet waits at most.  ``outboxes`` is the greatest size of all outboxes together; a message counts in each
    outbox, though it is in memory once.

    Garbage collection runs inside a step.  ``longest_own`` is the longest step without it.  ``collecting`` is the time
    of all collections; ``collections`` and ``longest_collection`` are of the oldest generation.
    """

    steps: int
    longest_steps: list[tuple[float, str]]
    longest_round: float
    outboxes: int
    largest_outbox: int
    longest_own: float
    collections: int
    longest_collection: float
    collecting: float


@define(eq=False)
class Watcher(trio.abc.Instrument):
    """Measures steps and rounds, and looks at the outboxes between steps."""

    server: Server
    steps: int = 0
    longest_steps: list[tuple[float, str]] = field(factory=list)
    longest_round: float = 0.0
    outboxes: int = 0
    largest_outbox: int = 0
    collections: int = 0
    longest_collection: float = 0.0
    longest_own: float = 0.0
    collecting: float = 0.0
    _collection_at: float = 0.0
    _collected_in_step: float = 0.0
    _step_at: float = field(factory=time.perf_counter)
    _round_at: float = field(factory=time.perf_counter)
    _looked_at: float = 0.0

    def after_io_wait(self, timeout: float) -> None:
        self._round_at = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        self.longest_round = max(self.longest_round, time.perf_counter() - self._round_at)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._collected_in_step = 0.0
        self._step_at = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now = time.perf_counter()
        took = now - self._step_at
        self.steps += 1
        self.longest_own = max(self.longest_own, took - self._collected_in_step)
        if len(self.longest_steps) < KEPT or took > self.longest_steps[-1][0]:
            self.longest_steps = sorted([*self.longest_steps, (took, task.name)], reverse=True)[:KEPT]
        if now >= self._looked_at + OUTBOXES_EVERY:
            self._look()
            self._looked_at = now

    def collected(self, phase: str, info: dict[str, int]) -> None:
        """Measure a garbage collection, as a callback in ``gc.callbacks``."""
        if phase == "start":
            self._collection_at = time.perf_counter()
            return
        took = time.perf_counter() - self._collection_at
        self._collected_in_step += took
        self.collecting += took
        if info["generation"] == OLDEST_GENERATION:
            self.collections += 1
            self.longest_collection = max(self.longest_collection, took)

    def _look(self) -> None:
        sizes = [connection.outbox.size for connection in self.server.gateway.connections.values()]
        self.outboxes = max(self.outboxes, sum(sizes))
        self.largest_outbox = max(self.largest_outbox, *sizes, 0)

    def report(self) -> Report:
        names = [attribute.name for attribute in attrs.fields(Report)]
        return Report(**{name: getattr(self, name) for name in names})

    def begin(self) -> None:
        trio.lowlevel.add_instrument(self)
        gc.callbacks.append(self.collected)

    def end(self) -> None:
        """Raises ``KeyError`` where trio dropped the instrument because it had raised: its figures are incomplete."""
        trio.lowlevel.remove_instrument(self)
        gc.callbacks.remove(self.collected)


async def answer(server: Server) -> None:
    """Obey the lines of standard input until it closes."""
    watcher = Watcher(server)
    async with trio.lowlevel.FdStream(os.dup(0)) as lines:
        async for data in lines:
            for line in data.split():
                if line == b"begin":
                    watcher = Watcher(server)
                    watcher.begin()
                elif line == b"report":
                    watcher.end()
                    print(json.dumps(attrs.asdict(watcher.report())), flush=True)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, Config(port=0, media_port=0))
        nursery.start_soon(answer, server)


if __name__ == "__main__":
    configure("json")
    trio.run(main)
