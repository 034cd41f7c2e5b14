"""Scheduling of Python's cyclic garbage collection, so that it does not interrupt calls.

Reference counts alone free a client that leaves. tests/guarantees/test_freed_without_garbage_collection.py checks this.
Python would still search all objects for cycles whenever a quarter of them is new. Every call would wait for that, 350
ms in a channel of five hundred. So Python collects only the newest objects. The next generation has up to 200,000
objects, and its collection took 50 to 140 ms. A full collection runs when no client is connected. It also runs after
many sessions, to bound the garbage of bugs and libraries.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Never, Protocol

import trio

_NEVER: Final = 2**31 - 1
THRESHOLDS: Final = (20_000, _NEVER, _NEVER)
"""``gc`` thresholds: collect generation 0 after 20,000 net allocations (1–2 ms), and never collect the others."""
MANY_ENDED_CONNECTIONS: Final = 5000
"""The number of ended connections after which a full collection runs even while clients are connected."""
CHECK_INTERVAL: Final = 1.0
"""Seconds between two checks of whether a full collection is due."""


class CountedConnections(Protocol):
    """The part of a gateway that counts its connections."""

    @property
    def open_connections(self) -> int: ...
    @property
    def ended_connections(self) -> int: ...


@asynccontextmanager
async def collect_when_idle(connections: CountedConnections) -> AsyncIterator[None]:
    """Schedule the collections of the whole process while the block runs. Use it only in a process that runs nothing
    but a gateway."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # Modules and classes stay, so no collection needs to look at them again.
    gc.set_threshold(*THRESHOLDS)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_collect_repeatedly, connections)
            yield
            nursery.cancel_scope.cancel()
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _collect_repeatedly(connections: CountedConnections) -> Never:
    collected_after = 0
    while True:
        await trio.sleep(CHECK_INTERVAL)
        if connections.ended_connections - collected_after >= (
            MANY_ENDED_CONNECTIONS if connections.open_connections else 1
        ):
            collected_after = connections.ended_connections
            gc.collect()
