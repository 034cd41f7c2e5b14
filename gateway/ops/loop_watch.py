"""Ends a process whose event loop is blocked by a data plane that stands still.

A command to a plane waits for its lock. A plane that never gives its lock back, which would be a fault of the gateway's
own code, blocks the event loop with the first command. Nothing inside the loop can act then. So a thread looks at both,
and ends the process, so that its supervisor starts another one.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from threading import Event, Thread
from time import monotonic
from typing import Final

import structlog
import trio

from gateway.ops.plane_watch import WatchedPlane

log = structlog.get_logger(__name__)

BLOCKED: Final = 20.0
"""Seconds for which both must stand still. A stopped process, or a machine that sleeps, stands for both, but only once:
the thread must see it at two looks."""
INTERVAL: Final = 5.0
"""Seconds between two looks of the thread, and between two signs of life of the loop."""
STATUS: Final = 70
"""Exit status: an internal error (EX_SOFTWARE of sysexits.h)."""


class LoopWatch:
    """Looks from a thread whether the loop and a plane stand still."""

    def __init__(
        self, planes: Sequence[WatchedPlane], exit_at_once: Callable[[int], object], *, interval: float = INTERVAL
    ) -> None:
        self._planes = planes
        self._exit = exit_at_once
        self._interval = interval
        self._blocked = BLOCKED / INTERVAL * interval
        self._beat = monotonic()
        self._over = Event()
        self._seen = 0

    def beat(self) -> None:
        """The loop runs."""
        self._beat = monotonic()

    def run(self) -> None:
        """Look until :meth:`stop`. This is the thread."""
        while not self._over.wait(self._interval):
            stands = monotonic() - self._beat >= self._blocked
            stands = stands and any(plane.stalled_for() >= self._blocked for plane in self._planes)
            self._seen = self._seen + 1 if stands else 0
            if self._seen >= 2:
                log.critical("a data plane blocks the gateway", seconds=round(monotonic() - self._beat))
                self._exit(STATUS)
                return

    def stop(self) -> None:
        """End the thread."""
        self._over.set()


@asynccontextmanager
async def watch_loop(
    planes: Sequence[WatchedPlane], exit_at_once: Callable[[int], object], *, interval: float = INTERVAL
) -> AsyncIterator[None]:
    """Watch the loop while the block runs. Use it only in a process that runs nothing but a gateway."""
    watch = LoopWatch(planes, exit_at_once, interval=interval)
    Thread(target=watch.run, name="loop watch", daemon=True).start()

    async def beat() -> None:
        while True:
            watch.beat()
            await trio.sleep(interval)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat)
            yield
            nursery.cancel_scope.cancel()
    finally:
        watch.stop()
