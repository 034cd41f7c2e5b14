"""The journal on disk, in one SQLite file. It knows no task, no clock and no network: a thread of its own calls it.

A transaction has whole batches of entries, and is on the disk before it returns (``synchronous=FULL``). Beside the
entries, the file keeps who is in which channel, so that the next start can say who was lost.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

FILE_NAME: Final = "journal.sqlite3"
OPEN_SECONDS: Final = 5.0
"""Seconds that opening the file waits for others who use it, such as a backup."""
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, channel TEXT NOT NULL, type TEXT NOT NULL, epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL, at REAL NOT NULL, text TEXT
) STRICT;
CREATE TABLE members (channel TEXT NOT NULL, user TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (channel, user))
    STRICT, WITHOUT ROWID;
CREATE TABLE channels (channel TEXT PRIMARY KEY, epoch INTEGER NOT NULL, revision INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE TABLE journal (name TEXT NOT NULL, number INTEGER NOT NULL, epoch INTEGER NOT NULL) STRICT;
"""
# Former versions of the gateway do not know this table, and leave it alone.
_PROGRESS: Final = "CREATE TABLE IF NOT EXISTS progress (receiver TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT"


class StoreError(Exception):
    """The file cannot be used. The message gives the reason in one line."""


@frozen
class Record:
    """One entry as it is on the disk. ``user`` and ``text``, the whole ``voice_state``, are there for changes."""

    number: int
    channel: str
    type: str
    epoch: int
    revision: int
    at: float = 0.0
    user: str | None = None
    text: str | None = None


@frozen
class Lost:
    """A channel that was open when the former process ended, and those who were in it: user ids and last changes."""

    channel: str
    epoch: int
    revision: int
    members: tuple[tuple[str, str], ...]


@frozen
class Start:
    """What the file knows of former processes.

    ``name`` names the journal, whose ``number`` and ``epoch`` go on. ``recent`` are the newest entries, oldest first.
    ``progress`` has the number of the entry up to which each receiver of webhooks has everything.
    """

    name: str
    number: int
    epoch: int
    recent: tuple[Record, ...]
    lost: tuple[Lost, ...]
    progress: dict[str, int]


def _record(number: int, channel: str, kind: str, epoch: int, revision: int, at: float, text: str | None) -> Record:
    return Record(number, channel, kind, epoch, revision, at, text=text)


class Store:
    """One open file. Only one thread at a time may use it."""

    def __init__(self, folder: Path, new_name: str) -> None:
        """Open or make the file in this folder. ``new_name`` names a new journal.

        Waits up to :data:`OPEN_SECONDS` for others who use the file. Raises :exc:`StoreError`.
        """
        self._path = folder / FILE_NAME
        try:
            self._database = sqlite3.connect(
                self._path, timeout=OPEN_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(new_name)
                self._database.execute("PRAGMA busy_timeout = 0")
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            raise StoreError(f"cannot use the journal {self._path}: {error}") from error

    def _prepare(self, new_name: str) -> None:
        run = self._database.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        (version,) = run("PRAGMA user_version").fetchone()
        if version == 0:
            with _Transaction(self._database):
                for statement in _SCHEMA.split(";\n"):
                    run(statement)
                run("INSERT INTO journal VALUES (?, 0, 0)", (new_name,))
                run(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        elif version != _SCHEMA_VERSION:
            raise StoreError(f"the journal {self._path} is of another version of the gateway ({version})")
        run(_PROGRESS)

    def start(self, most_recent: int) -> Start:
        """Read what former processes have left, and at most so many bytes of the newest entries.

        Raises :exc:`StoreError`.
        """
        try:
            name, number, epoch = self._database.execute("SELECT name, number, epoch FROM journal").fetchone()
            progress = dict(self._database.execute("SELECT receiver, number FROM progress").fetchall())
            return Start(name, number, epoch, tuple(self._recent(most_recent)), tuple(self._lost()), progress)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the journal {self._path}: {error}") from error

    def _recent(self, most: int) -> list[Record]:
        found = []
        query = "SELECT number, channel, type, epoch, revision, at, text FROM entries ORDER BY number DESC"
        with closing(self._database.execute(query)) as rows:
            for row in rows:
                record = _record(*row)
                most -= len(record.text or "")
                if most < 0:
                    break
                found.append(record)
        return found[::-1]

    def _lost(self) -> Iterator[Lost]:
        for channel, epoch, revision in self._database.execute("SELECT channel, epoch, revision FROM channels"):
            members = self._database.execute("SELECT user, text FROM members WHERE channel = ?", (channel,)).fetchall()
            yield Lost(channel, epoch, revision, tuple(members))

    def write(self, records: Sequence[Record], keep: int) -> None:
        """Write entries, in the order of their numbers, and forget all but the newest ``keep``.

        Returns when they are on the disk. Raises ``sqlite3.Error``, and has written none of them then.
        """
        run = self._database.execute
        with _Transaction(self._database):
            self._database.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(one.number, one.channel, one.type, one.epoch, one.revision, one.at, one.text) for one in records],
            )
            for one in records:
                self._note(one)
            newest = records[-1].number
            run("UPDATE journal SET number = ?, epoch = max(epoch, ?)", (newest, max(one.epoch for one in records)))
            run("DELETE FROM entries WHERE number <= ?", (newest - keep,))

    def _note(self, one: Record) -> None:
        """Keep who is in which channel in step with an entry."""
        run = self._database.execute
        if one.type == "channel_closed":
            run("DELETE FROM channels WHERE channel = ?", (one.channel,))
            run("DELETE FROM members WHERE channel = ?", (one.channel,))
            return
        run("INSERT OR REPLACE INTO channels VALUES (?, ?, ?)", (one.channel, one.epoch, one.revision))
        if one.type == "user_left":
            run("DELETE FROM members WHERE channel = ? AND user = ?", (one.channel, one.user))
        elif one.text is not None:
            run("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", (one.channel, one.user, one.text))

    def begin_anew(self, number: int, present: Iterable[Record]) -> None:
        """Forget all entries, since some are missing, and take over who is where now.

        ``present`` has the last change of each member, and for each open channel a ``channel_opened`` with its present
        position. Raises ``sqlite3.Error``.
        """
        run = self._database.execute
        with _Transaction(self._database):
            for emptying in ("DELETE FROM entries", "DELETE FROM members", "DELETE FROM channels"):
                run(emptying)
            run("UPDATE journal SET number = ?", (number,))
            for one in present:
                self._note(one)
                run("UPDATE journal SET epoch = max(epoch, ?)", (one.epoch,))

    def changes_after(self, number: int, most: int) -> list[Record] | None:
        """The changes of lists after the entry with this number. None if some are forgotten, or if there are more than
        ``most``. Raises ``sqlite3.Error``."""
        run = self._database.execute
        (newest,) = run("SELECT number FROM journal").fetchone()
        (oldest,) = run("SELECT coalesce(min(number), ?) FROM entries", (newest + 1,)).fetchone()
        if not oldest - 1 <= number <= newest:
            return None
        query = """
            SELECT number, channel, type, epoch, revision, at, text FROM entries
            WHERE number > ? AND text IS NOT NULL ORDER BY number LIMIT ?
        """
        found = [_record(*row) for row in run(query, (number, most + 1))]
        return found if len(found) <= most else None

    def save_progress(self, progress: Mapping[str, int]) -> None:
        """Keep how much these receivers have got, and forget all others. Raises ``sqlite3.Error``."""
        with _Transaction(self._database):
            self._database.execute("DELETE FROM progress")
            self._database.executemany("INSERT INTO progress VALUES (?, ?)", progress.items())

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class _Transaction:
    """All or nothing. SQLite is left outside any transaction, also by an exception."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            if kind is None:
                self._database.execute("COMMIT")
                return
        except sqlite3.Error:
            self._roll_back()
            raise
        self._roll_back()

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
