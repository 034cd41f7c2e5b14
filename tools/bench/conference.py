"""The interface of a contestant: a server with one conference, and members that publish, subscribe and leave."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol

import trio

from protocol.vocabulary import MediaKind
from tools.light import LightEndpoint
from tools.light.websocket import WebSocketPool
from tools.servers import ServerProcess

#: A stream to publish, and its SSRC.
StreamToPublish = tuple[MediaKind, int]
#: A member's published streams, in a form that only its own contestant reads.
Offered = Any
#: One event for each member's name, set when the notice of that member's leave arrives.
Departures = defaultdict[str, trio.Event]
new_departures: Final = partial(Departures, trio.Event)


class ConferenceMember(Protocol):
    """A member of the conference. ``gone`` has an event for each other member's leave."""

    gone: Departures

    async def publish(self, streams: Sequence[StreamToPublish]) -> tuple[LightEndpoint, Offered]: ...

    async def subscribe(self, offers: Sequence[Offered]) -> LightEndpoint:
        """Receive all these streams on one transport. Return once it is connected."""

    def hang_up(self) -> None:
        """Break the signalling connection without a close frame. The transports send no goodbye either."""


class Conference(Protocol):
    """A running server with one conference."""

    @property
    def process(self) -> ServerProcess: ...

    async def enter(self, name: str, tasks: trio.Nursery) -> ConferenceMember:
        """Let a member enter. Its transports end with ``tasks``, its signalling with the conference."""


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
