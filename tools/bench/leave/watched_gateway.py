"""A gateway that watches its own event loop: the length of each step, garbage collection, and the outboxes.

    python -m tools.bench.leave.watched_gateway [--state-dir FOLDER]

It is the gateway of ``sfu-gateway serve`` with its defaults, on free ports. SIGRTMIN starts watching. A second SIGRTMIN
stops it, and writes a :class:`Watched` as a line of JSON to the log.
"""

from __future__ import annotations

import argparse
import gc
import json
import signal
import time
from pathlib import Path
from typing import Final

import attrs
import trio
from attrs import define, field

from gateway.config import Config
from gateway.ops.log import configure
from gateway.server import Server, serve

EVENT: Final = "watched"
# Shortest time between two looks at the outboxes, in seconds. A look at 500 outboxes takes some 30 µs.
OUTBOXES_EVERY: Final = 0.002
OLDEST_GENERATION: Final = 2


@define
class Watched:
    """Times in seconds, sizes in bytes.

    A step is the work of one task between two checkpoints. A round is all steps between two looks at the network. A
    packet waits at most one round. ``outboxes`` is the greatest size of all outboxes together. A message counts in each
    outbox, although memory holds it only once.

    Garbage collection runs inside a step. ``longest_own`` is the longest step without garbage collection.
    ``collections`` and ``longest_collection`` count only the oldest generation.
    """

    longest_step: float = 0.0
    task: str = ""
    longest_round: float = 0.0
    outboxes: int = 0
    largest_outbox: int = 0
    longest_own: float = 0.0
    collections: int = 0
    longest_collection: float = 0.0


@define(eq=False)
class Watcher(trio.abc.Instrument):
    """Measures steps and rounds, and looks at the outboxes between steps."""

    server: Server
    seen: Watched = field(factory=Watched)
    _collection_at: float = 0.0
    _collected_in_step: float = 0.0
    _step_at: float = field(factory=time.perf_counter)
    _round_at: float = field(factory=time.perf_counter)
    _looked_at: float = 0.0

    def after_io_wait(self, timeout: float) -> None:
        self._round_at = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        self.seen.longest_round = max(self.seen.longest_round, time.perf_counter() - self._round_at)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._collected_in_step = 0.0
        self._step_at = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now, seen = time.perf_counter(), self.seen
        took = now - self._step_at
        seen.longest_own = max(seen.longest_own, took - self._collected_in_step)
        if took > seen.longest_step:
            seen.longest_step, seen.task = took, task.name
        if now >= self._looked_at + OUTBOXES_EVERY:
            sizes = [connection.outbox.size for connection in self.server.gateway.connections.values()]
            seen.outboxes = max(seen.outboxes, sum(sizes))
            seen.largest_outbox = max(seen.largest_outbox, *sizes, 0)
            self._looked_at = now

    def collected(self, phase: str, info: dict[str, int]) -> None:
        """Measure a garbage collection, as a callback in ``gc.callbacks``."""
        if phase == "start":
            self._collection_at = time.perf_counter()
            return
        took = time.perf_counter() - self._collection_at
        self._collected_in_step += took
        if info["generation"] == OLDEST_GENERATION:
            self.seen.collections += 1
            self.seen.longest_collection = max(self.seen.longest_collection, took)


async def main(state_dir: Path | None) -> None:
    with trio.open_signal_receiver(signal.SIGRTMIN) as signals:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve, Config(port=0, media_port=0, state_dir=state_dir))
            await anext(signals)
            watcher = Watcher(server)  # its first step begins here
            trio.lowlevel.add_instrument(watcher)
            gc.callbacks.append(watcher.collected)
            await anext(signals)
            # Trio drops an instrument that raises. Then this raises KeyError, because the figures are incomplete.
            trio.lowlevel.remove_instrument(watcher)
            gc.callbacks.remove(watcher.collected)
            print(json.dumps({"event": EVENT, "report": attrs.asdict(watcher.seen)}), flush=True)


if __name__ == "__main__":
    configure("json")
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir", type=Path)
    trio.run(main, parser.parse_args().state_dir)
