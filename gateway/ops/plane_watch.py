"""Watches the threads that forward media. One that has ended, or stands still, carries no media any more.

Such a thread is a fault of the gateway's own code, or of the machine. The clients whose media it carried get an honest
end, and may come back to another thread. ``/readyz`` answers 503 until all threads run.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Never, Protocol

import structlog
import trio

log = structlog.get_logger(__name__)

STALLED: Final = 5.0
"""Seconds without a turn of its loop after which a thread counts as standing still. A healthy one turns every 0.5 s."""
INTERVAL: Final = 1.0
"""Seconds between two looks."""


class WatchedPlane(Protocol):
    """The part of a data plane that tells whether its thread runs."""

    def stalled_for(self) -> float: ...


async def watch_planes(planes: Sequence[WatchedPlane], stalled: set[int], end_members: Callable[[int], None]) -> Never:
    """Keep the numbers of those planes in ``stalled`` whose threads do not run.

    Call ``end_members`` for each of them at every look, since somebody may have joined meanwhile. Runs as long as the
    gateway.
    """
    while True:
        await trio.sleep(INTERVAL)
        for number, plane in enumerate(planes):
            seconds = plane.stalled_for()
            if seconds < STALLED:
                if number in stalled:
                    stalled.discard(number)
                    log.info("data plane runs again", plane=number)
                continue
            if number not in stalled:
                stalled.add(number)
                why = "its thread has ended" if math.isinf(seconds) else f"its thread has stood for {seconds:.0f} s"
                log.error("data plane does not run", plane=number, why=why)
            end_members(number)
