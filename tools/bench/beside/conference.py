"""What the bench wants of a server, whoever wrote it: members that publish, subscribe and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import trio
from attrs import define, field, frozen

from tools.bench.beside.legs import Leg
from tools.bench.process import ServerProcess
from tools.bench.source import Kind

#: A name that nobody heard of is not waited for longer.
TOLD_SECONDS = 10.0


@frozen
class Stream:
    """One encoding of one kind, to be published."""

    kind: Kind
    ssrc: int


@frozen
class Publication:
    """What a subscriber needs to know of what somebody published; only its server's adapter looks into it."""

    reference: Any


class Member(Protocol):
    """Somebody in the conference.  ``gone`` has those of whom it was told that they left."""

    @property
    def gone(self) -> Gone: ...

    async def publish(self, streams: Sequence[Stream]) -> tuple[Leg, Publication]: ...

    async def subscribe(self, publications: Sequence[Publication]) -> Leg:
        """All streams of all these, on one transport; returns when it is connected."""

    def hang_up(self) -> None:
        """Break the signalling connection off without a word.  The member's legs say nothing either."""


class Conference(Protocol):
    """A server, and how to enter the one conference on it."""

    @property
    def process(self) -> ServerProcess: ...

    def member(self, name: str) -> AbstractAsyncContextManager[Member]: ...


@define
class Gone:
    """Names that somebody was told have left, in the adapter's terms."""

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


Opened = Callable[[], AbstractAsyncContextManager[Conference]]
"""Starts a server."""
