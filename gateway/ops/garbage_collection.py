"""Python's cyclic garbage collection, kept out of the way of calls.

Who leaves a gateway is freed by the last reference to it; no collector is needed for that (tests/guarantees/
test_no_collector.py holds it to that).  Python would look for cycles all the same, in everything there is whenever a
quarter of it is new, and every call would stand still meanwhile: 350 ms in a channel of five hundred.  So it looks at
what is new by itself, and at everything when nobody is there; what bugs and libraries may leave is bounded by doing it
after many sessions, too.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Never, Protocol

import trio

THRESHOLDS: Final = (20_000, 10, 2**31 - 1)
"""Objects more than before until the youngest are looked at, a millisecond or two; so many times that until those that
were young then; everything: never by itself."""
MANY: Final = 5000
"""Connections that may end until everything is looked at although somebody is there."""
EVERY: Final = 1.0
"""Seconds between two looks at whether it is time."""


class CountedConnections(Protocol):
    """What is asked of a gateway: how many connections are open, and how many have ended."""

    @property
    def open_connections(self) -> int: ...
    @property
    def ended_connections(self) -> int: ...


@asynccontextmanager
async def collect_when_idle(connections: CountedConnections) -> AsyncIterator[None]:
    """As long as the block runs, in the whole process: for a process that is nothing but a gateway."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # modules and classes: they stay, and need not be looked at again
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
        await trio.sleep(EVERY)
        if connections.ended_connections - collected_after >= (MANY if connections.open_connections else 1):
            collected_after = connections.ended_connections
            gc.collect()
