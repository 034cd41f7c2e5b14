"""Keeps the journal on disk. The event loop never waits for the disk: one task hands batches to a thread.

Members and watchers are told at once. Readers who must never be told what a crash could take back get their entries
from here, once these are on the disk. A slow disk delays them. If more waits than fits, the file begins anew with who
is where, so it never has a gap.
"""

import math
import secrets
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, cast

import attrs
import structlog
import trio
from attrs import define, field

from gateway.connection.outbox import Frame
from gateway.presence.feed import Feed
from gateway.presence.journal import Entry, EntryType, Journal
from gateway.presence.store import Lost, Record, Store, StoreError
from protocol import codec
from protocol.events import VoiceState

log = structlog.get_logger(__name__)

_MOST_AT_ONCE: Final = 2_000
"""Entries of one transaction."""
_APART: Final = 0.02
"""Fewest seconds between the beginnings of two transactions. Half of a channel may leave at once, and one transaction
takes as much processor time as notifying dozens of members."""
_RETRY: Final = 1.0
"""Seconds between two attempts to write."""
START_SECONDS: Final = 10.0
"""Seconds that a start waits until everybody whom a crash has ended has left on the disk, too."""
CLOSE_SECONDS: Final = 2.0
"""Seconds that closing the file may take."""
_SLOW: Final = 1.0
"""Seconds of one transaction from which on the log has a line."""


@define(eq=False)
class JournalFigures:
    """What operators see: the entries that wait for the disk, the failed attempts to write, and the new beginnings."""

    waiting: int = 0
    failures: int = 0
    gaps: int = 0


@define(eq=False)
class Durable:
    """The way of the journal's entries to the disk, and then to the readers of ``feed``.

    ``present`` returns a record for each member and each open channel, as :meth:`Store.begin_anew` takes them.
    ``max_bytes`` bounds the entries that wait, and ``keep`` the entries in the file. ``progress`` is what a former
    process has saved with :meth:`save_progress`.
    """

    store: Store
    journal: Journal
    feed: Feed
    present: Callable[[], list[Record]]
    max_bytes: int
    keep: int
    figures: JournalFigures = field(factory=JournalFigures)
    progress: Mapping[str, int] = field(factory=dict)
    _waiting: deque[Entry] = field(factory=deque)
    _size: int = 0
    _has_gap: bool = False
    _is_failing: bool = False
    _written_at: float = -math.inf
    _wake: trio.Event = field(factory=trio.Event)
    _writing: trio.CancelScope = field(factory=trio.CancelScope)
    _is_finished: bool = False
    _limiter: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, 1))

    def take(self, entry: Entry, _: Iterable[object] = ()) -> None:
        """Write an entry soon. Does not wait. Nothing is written after :meth:`finish`."""
        self._waiting.append(entry)
        self._size += entry.size
        if self._size > self.max_bytes:
            self._clear()
            self._has_gap = True
        self.figures.waiting = len(self._waiting)
        self._wake.set()

    def _clear(self) -> None:
        self._waiting.clear()
        self._size = 0

    async def run(self) -> None:
        """Write what comes until :meth:`finish`."""
        with self._writing:
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                while self._waiting or self._has_gap:
                    await trio.sleep_until(self._written_at + _APART)
                    self._written_at = trio.current_time()
                    await self._write_some()

    async def finish(self, seconds: float) -> None:
        """Give what waits so many seconds to reach the disk, and close the file. The second call does nothing.

        Then another process may use the file. This one begins no further write.
        """
        if self._is_finished:
            return
        with trio.move_on_after(seconds):
            await self.journal.wait_committed(self.journal.number)
        self._is_finished = True
        self._writing.cancel()
        if not self.is_done:  # A thread may still use the file, so nobody can close it.
            log.error("the end of the journal is not on the disk", entries=self.journal.number - self.journal.committed)
            return
        # The last one to close the file moves the log of changes into it, which takes the disk's time.
        with trio.move_on_after(CLOSE_SECONDS):
            await trio.to_thread.run_sync(self.store.close, limiter=self._limiter, abandon_on_cancel=True)

    async def changes_after(self, number: int, most: int) -> list[Entry] | None:
        """The changes on disk after the entry with this number. None if some are forgotten, or if there are more than
        ``most``."""
        try:
            read = partial(self.store.changes_after, number, most)
            found = await trio.to_thread.run_sync(read, limiter=self._limiter, abandon_on_cancel=True)
        except sqlite3.Error as error:
            log.warning("the journal cannot be read", why=str(error))
            return None
        return None if found is None else [_entry_of(record) for record in found]

    async def save_progress(self, progress: Mapping[str, int]) -> bool:
        """Keep up to which entry each receiver of webhooks has everything. Return whether that is on the disk."""
        if self._is_finished:
            return False
        try:
            save = partial(self.store.save_progress, progress)
            await trio.to_thread.run_sync(save, limiter=self._limiter, abandon_on_cancel=True)
        except sqlite3.Error:  # the journal itself says so in the log
            return False
        return True

    async def _write_some(self) -> None:
        if self._has_gap:
            number, present = self.journal.number, self.present()
            self._clear()
            self._has_gap = False
            await self._write(partial(self.store.begin_anew, number, present))
            self.figures.gaps += 1
            log.warning("the journal began anew, since more waited for the disk than fits")
            self.journal.commit(number)
            self.feed.end_all()
            return
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
        self._size -= sum(entry.size for entry in batch)
        await self._write(partial(self.store.write, [_record_of(entry) for entry in batch], self.keep))
        self.figures.waiting = len(self._waiting)
        self.journal.commit(batch[-1].number)
        for entry in batch:
            self.feed.take(entry, ())

    async def _write(self, write: Callable[[], None]) -> None:
        """Write until it succeeds."""
        while True:
            begin = trio.current_time()
            try:
                await trio.to_thread.run_sync(write, limiter=self._limiter, abandon_on_cancel=True)
            except sqlite3.Error as error:
                self.figures.failures += 1
                if not self._is_failing:
                    log.error("the journal cannot be written; it waits, and calls go on", why=str(error))
                self._is_failing = True
                await trio.sleep(_RETRY)
                continue
            if self._is_failing:
                log.info("the journal is written again")
            self._is_failing = False
            if (seconds := trio.current_time() - begin) > _SLOW:
                log.warning("the disk of the journal is slow", seconds=round(seconds, 1))
            return

    @property
    def is_done(self) -> bool:
        """Whether everything is on the disk."""
        return self.journal.committed == self.journal.number


@asynccontextmanager
async def open_durable(
    journal: Journal,
    feed: Feed,
    present: Callable[[], list[Record]],
    folder: Path,
    keep: int,
    exit_timeout: float,
    figures: JournalFigures | None = None,
) -> AsyncIterator[Durable]:
    """Go on with the journal of this folder, and keep it on disk while the block runs.

    Before the block begins, everybody whom a crash has ended has left in the journal. At the end of the block, what
    waits has ``exit_timeout`` seconds to reach the disk.

    Raises :exc:`~gateway.presence.store.StoreError`.
    """
    store = await trio.to_thread.run_sync(partial(Store, folder, secrets.token_hex(8)))
    start = await trio.to_thread.run_sync(store.start, journal.max_bytes)
    figures = figures or JournalFigures()
    durable = Durable(store, journal, feed, present, journal.max_bytes, keep, figures, start.progress)
    journal.restore(start.name, start.number, start.epoch, map(_entry_of, start.recent))
    journal.followers.append(durable.take)
    for lost in start.lost:
        _say_lost(journal, lost)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(durable.run)
        with trio.move_on_after(START_SECONDS):
            await journal.wait_committed(journal.number)
        if can_write := durable.is_done:
            try:
                yield durable
            finally:
                with trio.move_on_after(exit_timeout + CLOSE_SECONDS, shield=True):
                    await durable.finish(exit_timeout)
        nursery.cancel_scope.cancel()
    if not can_write:
        raise StoreError(f"the journal in {folder} cannot be written: is the disk full?")


def _say_lost(journal: Journal, lost: Lost) -> None:
    """Let everybody leave who was in a channel when the former process ended."""
    revision = lost.revision
    for count, (_, text) in zip(range(len(lost.members) - 1, -1, -1), lost.members, strict=True):
        revision += 1
        last = cast(VoiceState, codec.decode_from_gateway(text, {}))
        change = attrs.evolve(
            last, type="user_left", revision=revision, count=count, reason="node_lost", participants=None
        )
        journal.append(lost.channel, "user_left", (lost.epoch, revision), Frame.of(change))
    journal.append(lost.channel, "channel_closed", (lost.epoch, revision))


def _record_of(entry: Entry) -> Record:
    text = None if entry.frame is None else entry.frame.text
    return Record(entry.number, entry.channel_id, entry.type, *entry.position, entry.at, entry.user_id, text)


def _entry_of(record: Record) -> Entry:
    frame = None if record.text is None else Frame.of_text(record.text)
    return Entry(
        record.number, record.channel, cast(EntryType, record.type), record.epoch, record.revision, record.at, frame
    )
