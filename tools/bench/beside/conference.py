"""The interface of a contestant: a server, and members that publish, subscribe and leave."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

import trio

from protocol.vocabulary import MediaKind
from tools.bench.process import ServerProcess
from tools.light import LightEndpoint
from tools.light.websocket import WebSocketPool

M = TypeVar("M")
P = TypeVar("P", bound=WebSocketPool)
#: A stream to publish, and its SSRC.
StreamToPublish = tuple[MediaKind, int]
#: A member's published streams, as only its own contestant understands them.
Offered = Any
#: Events by the name of a member: set when its leaving was told.  Make it of ``trio.Event``.
Departures = defaultdict[str, trio.Event]


class ConferenceMember(Protocol):
    """A member of the conference; ``gone`` notes which others have left."""

    @property
    def gone(self) -> Departures: ...

    async def publish(self, streams: Sequence[StreamToPublish]) -> tuple[LightEndpoint, Offered]: ...

    async def subscribe(self, offers: Sequence[Offered]) -> LightEndpoint:
        """Receive all these streams on one transport; return when it is connected."""

    def hang_up(self) -> None:
        """Break the signalling connection without a word; the transports say nothing either."""


class Conference(Protocol):
    """A running server with one conference."""

    @property
    def process(self) -> ServerProcess: ...

    def member(self, name: str) -> AbstractAsyncContextManager[ConferenceMember]: ...


async def stay(entering: AbstractAsyncContextManager[M], task_status: trio.TaskStatus[M]) -> None:
    """Be a member until cancelled; start it in a nursery, which returns the member once it has entered."""
    async with entering as member:
        task_status.started(member)
        await trio.sleep_forever()


@asynccontextmanager
async def running_pool(pool: P) -> AsyncIterator[P]:
    """Read the pool's clients for as long as the block runs; close all of them with it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        try:
            yield pool
        finally:
            nursery.cancel_scope.cancel()
            pool.close()


def new_ssrc() -> int:
    return secrets.randbelow(1 << 31) + 1
