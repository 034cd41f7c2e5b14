"""What both contestants have: a server with one conference, whose members share a pool of WebSockets.

A contestant's conference has a ``process`` and a method ``enter``. The member that it returns can ``publish`` streams,
``subscribe`` to streams that others offered, and ``hang_up``. Its transports end with the nursery that ``enter`` got,
without a goodbye, and its signalling ends with the conference.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio

from protocol.vocabulary import MediaKind
from tools.light.websocket import WebSocketPool

#: A stream to publish, and its SSRC.
StreamToPublish = tuple[MediaKind, int]
#: A member's published streams, in a form that only its own contestant reads.
Offered = Any
#: One event for each member's name, set when the notice of that member's leave arrives.
Departures = defaultdict[str, trio.Event]
new_departures: Final = partial(Departures, trio.Event)


@asynccontextmanager
async def open_pool(address: tuple[str, int]) -> AsyncIterator[WebSocketPool]:
    """Read the clients of the server at ``address`` for as long as the block runs. Then close all of them."""
    pool = WebSocketPool(address)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.run)
            yield pool
            nursery.cancel_scope.cancel()
    finally:
        pool.close()  # not before its reader has ended


def new_ssrc() -> int:
    return secrets.randbelow(1 << 31) + 1
