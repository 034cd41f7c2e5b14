"""The interface of a contestant: a server, and members that publish, subscribe and leave."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import trio
from attrs import define, field, frozen

from protocol.vocabulary import MediaKind
from tools.bench.process import ServerProcess
from tools.light import LightEndpoint

M = TypeVar("M")
#: Seconds that a member has to be told of a leave.
TOLD_SECONDS = 10.0


@frozen
class StreamToPublish:
    """A stream to publish."""

    kind: MediaKind
    ssrc: int


@frozen
class Offered:
    """A member's published streams, as only its own contestant understands them."""

    reference: Any


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


@define
class Departures:
    """Names of members whose leaving a member was told."""

    _names: set[str] = field(factory=set)
    _changed: trio.Event = field(factory=trio.Event)

    def add(self, name: str) -> None:
        self._names.add(name)
        self._changed.set()
        self._changed = trio.Event()

    async def wait_for(self, name: str) -> None:
        """Raises ``trio.TooSlowError`` after :data:`TOLD_SECONDS`."""
        with trio.fail_after(TOLD_SECONDS):
            while name not in self._names:
                await self._changed.wait()


def new_ssrc() -> int:
    return secrets.randbelow(1 << 31) + 1
