"""A simulated disk.  It stores nothing, but other programs get a change only after its write has ended."""

from __future__ import annotations

from random import Random
from typing import Final

import trio
from attrs import define, field

from gateway.presence.feed import Feed
from gateway.presence.journal import Entry, Journal

#: Virtual seconds that a write may take.
_SECONDS: Final = (0.0, 0.01, 0.3, 2.0)


@define(eq=False)
class Disk:
    """In place of :class:`gateway.presence.durable.Durable`, whose thread cannot run under virtual time."""

    journal: Journal
    feed: Feed
    random: Random
    _waiting: list[Entry] = field(factory=list)
    _wake: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.journal.restore(self.journal.name, 0, self.journal.epoch, ())
        self.journal.followers.append(self._take)

    def _take(self, entry: Entry, _: object) -> None:
        self._waiting.append(entry)
        self._wake.set()

    async def run(self) -> None:
        """Write what comes until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._waiting:
                await trio.sleep(self.random.choice(_SECONDS))
                self._commit()

    def _commit(self) -> None:
        written, self._waiting = self._waiting, []
        self.journal.commit(written[-1].number)
        for entry in written:
            self.feed.take(entry, ())
