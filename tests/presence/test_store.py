"""The journal on disk, with real SQLite files: whatever ends the process, every join has exactly one leave."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.connection.outbox import Frame
from gateway.presence.durable import Durable, open_durable
from gateway.presence.feed import Feed, Subscription
from gateway.presence.journal import Entry, Journal
from gateway.presence.store import FILE_NAME, Record, Store, StoreError
from protocol.events import VoiceState
from protocol.vocabulary import Participant, Position
from tests.eventually import eventually

KEEP = 1000


def new_journal(max_bytes: int = 1_000_000) -> Journal:
    return Journal(max_bytes, 100_000, 1_000, lambda: 1_796_000_000.0)


def change(kind: str, user: str, epoch: int, revision: int, count: int) -> VoiceState:
    return VoiceState(
        type="user_joined" if kind == "joined" else "user_left",
        channel_id="lobby",
        user_id=user,
        username=user.title(),
        epoch=epoch,
        revision=revision,
        participant=Participant(user, user.title(), "2026-11-01T09:30:00Z"),
        count=count,
        reason="left" if kind == "left" else None,
    )


class Room:
    """A channel that only appends to a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.epoch = journal.epoch + 1
        self.revision = 0
        self.members: list[str] = []
        journal.append("lobby", "channel_opened", (self.epoch, 0))

    def joins(self, user: str) -> None:
        self.members.append(user)
        self._append("joined", user)

    def leaves(self, user: str) -> None:
        self.members.remove(user)
        self._append("left", user)

    def _append(self, kind: str, user: str) -> None:
        self.revision += 1
        state = change(kind, user, self.epoch, self.revision, len(self.members))
        self.journal.append("lobby", state.type, (self.epoch, self.revision), Frame.of(state), user)

    def records(self) -> list[Record]:
        at = (self.journal.number, "lobby")
        position = (self.epoch, self.revision)
        texts = [(user, Frame.of(change("joined", user, *position, len(self.members))).text) for user in self.members]
        members = [Record(*at, "user_updated", *position, user=user, text=text) for user, text in texts]
        return [*members, Record(*at, "channel_opened", *position)]


def nobody() -> list[Record]:
    return []


def durable(
    journal: Journal, folder: Path, feed: Feed | None = None, present: Callable[[], list[Record]] = nobody
) -> Any:
    return open_durable(journal, feed or Feed(100, 100), present, folder, KEEP, 2.0)


def history(folder: Path) -> list[tuple[str, int, int, str | None, str | None]]:
    """The type, epoch, revision, user and reason of each entry on the disk."""
    with sqlite3.connect(folder / FILE_NAME) as database:
        rows = database.execute("SELECT type, epoch, revision, text FROM entries ORDER BY number").fetchall()
    found = []
    for kind, epoch, revision, text in rows:
        data = json.loads(text)["data"] if text else {}
        found.append((kind, epoch, revision, data.get("userId"), data.get("reason")))
    return found


def check_pairs(entries: Iterable[tuple[str, int, int, str | None, str | None]]) -> None:
    """Each join has one leave, and within an epoch revisions rise by one."""
    present: set[str | None] = set()
    last = (0, 0)
    for kind, epoch, revision, user, _ in entries:
        if kind == "channel_opened":
            assert not present
            assert (epoch > last[0], revision) == (True, 0)
        elif kind == "channel_closed":
            assert not present
            assert (epoch, revision) == last
        else:
            assert (epoch, revision) == (last[0], last[1] + 1)
            assert (user in present) == (kind != "user_joined")
            present ^= {user} if kind != "user_updated" else set()
        last = (epoch, revision)
    assert not present


async def test_what_happened_is_on_the_disk_before_the_block_ends(tmp_path: Path) -> None:
    journal = new_journal()
    async with durable(journal, tmp_path):
        room = Room(journal)
        room.joins("ada")
        await journal.wait_committed(journal.number)
        room.leaves("ada")
    assert [entry[0] for entry in history(tmp_path)] == ["channel_opened", "user_joined", "user_left"]


async def test_one_change_is_written_at_once_and_many_share_few_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    write = Store.write

    def note(store: Store, records: Sequence[Record], keep: int) -> None:
        sizes.append(len(records))
        write(store, records, keep)

    monkeypatch.setattr(Store, "write", note)
    journal = new_journal()
    async with durable(journal, tmp_path):
        room = Room(journal)
        await journal.wait_committed(1)
        assert sizes == [1]
        begun = trio.current_time()
        for number in range(30):
            room.joins(f"user{number}")
            await trio.sleep(0.001)
        await journal.wait_committed(journal.number)
        lasted = trio.current_time() - begun
    assert sum(sizes) == 31
    assert len(sizes) <= 2 + lasted / 0.02


async def test_the_next_process_goes_on_with_numbers_epochs_and_history(tmp_path: Path) -> None:
    first = new_journal()
    async with durable(first, tmp_path):
        room = Room(first)
        room.joins("ada")
        room.leaves("ada")
        first.append("lobby", "channel_closed", (room.epoch, room.revision))
    second = new_journal()
    assert second.name != first.name or second.number == 0
    async with durable(second, tmp_path):
        assert (second.name, second.number) == (first.name, first.number)
        assert second.epoch > room.epoch
        missed = second.changes_after("lobby", Position(room.epoch, 1))
        assert missed is not None
        assert [(entry.type, entry.position) for entry in missed] == [("user_left", (room.epoch, 2))]
        assert [entry.type for entry in second.entries_after(2, ["lobby"], None) or ()] == ["user_left"]
        Room(second).joins("ben")
    assert [entry[0] for entry in history(tmp_path)][-2:] == ["channel_opened", "user_joined"]


async def test_whoever_was_there_at_a_crash_leaves_before_the_next_process_serves(tmp_path: Path) -> None:
    first = new_journal()
    async with durable(first, tmp_path):
        room = Room(first)
        for user in ("ada", "ben", "cleo"):
            room.joins(user)
        room.leaves("ben")
    second = new_journal()
    async with durable(second, tmp_path):
        assert second.committed == second.number
        # Who was told changes that are lost must not take the new ones for these.
        assert second.position_of("lobby")[0] > room.epoch
        assert second.changes_after("lobby", Position(room.epoch, 5)) is None
        assert second.changes_after("lobby", Position(room.epoch, 6)) is None
        known = second.changes_after("lobby", Position(room.epoch, 4))
        assert known is not None
        assert [entry.revision for entry in known] == [5, 6]
    entries = history(tmp_path)
    assert [(kind, user, reason) for kind, _, _, user, reason in entries[-3:]] == [
        ("user_left", "ada", "node_lost"),
        ("user_left", "cleo", "node_lost"),
        ("channel_closed", None, None),
    ]
    check_pairs(entries)
    third = new_journal()
    async with durable(third, tmp_path):
        assert third.number == second.number
        # The process after the next does not trust these places either.
        assert third.changes_after("lobby", Position(room.epoch, 6)) is None
        assert third.position_of("lobby")[0] > room.epoch


KILLED = """
import sys, trio
from pathlib import Path
from tests.presence.test_store import Room, durable, new_journal

async def main():
    journal = new_journal()
    async with durable(journal, Path(sys.argv[1])):
        while True:
            room = Room(journal)
            for user in ("ada", "ben"):
                room.joins(user)
                await trio.sleep(0)
            room.leaves("ada")
            room.leaves("ben")
            journal.append("lobby", "channel_closed", (room.epoch, room.revision))
            print("again", flush=True)
            await trio.sleep(0.002)

trio.run(main)
"""


async def test_every_join_has_one_leave_after_any_number_of_kills(tmp_path: Path) -> None:
    for _ in range(5):
        arguments = [sys.executable, "-c", KILLED, str(tmp_path)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220: it is killed
            assert process.stdout is not None
            for _ in range(15):
                await trio.to_thread.run_sync(process.stdout.readline)
            os.kill(process.pid, signal.SIGKILL)
    journal = new_journal()
    async with durable(journal, tmp_path):
        pass
    entries = history(tmp_path)
    assert sum(kind == "channel_opened" for kind, *_ in entries) >= 5
    check_pairs(entries)


async def test_readers_are_told_only_what_is_on_the_disk(tmp_path: Path) -> None:
    journal, feed, told = new_journal(), Feed(100, 100), list[tuple[int, int]]()

    def receive(entry: Entry) -> None:
        told.append((entry.number, journal.committed))

    feed.follow(Subscription(receive, lambda: None), ["lobby"], None, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.run)
        async with durable(journal, tmp_path, feed):
            room = Room(journal)
            for user in ("ada", "ben"):
                room.joins(user)
                assert journal.committed < journal.number
                await journal.wait_committed(journal.number)
                await feed.wait_told()
        nursery.cancel_scope.cancel()
    assert [number for number, _ in told] == [2, 3]
    assert all(number <= committed for number, committed in told)


class Disk:
    """A disk that fails or hangs while a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self.hangs = trio.Event()
        self.hangs.set()
        self._write, self._begin_anew = Store.write, Store.begin_anew
        monkeypatch.setattr(Store, "write", lambda store, *given: self._try(self._write, store, *given))
        monkeypatch.setattr(Store, "begin_anew", lambda store, *given: self._try(self._begin_anew, store, *given))

    def _try(self, write: Callable[..., None], *given: Any) -> None:
        trio.from_thread.run(self.hangs.wait)
        if self.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        write(*given)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def test_a_full_disk_delays_the_journal_and_loses_nothing(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.presence.durable._RETRY", 0.01)
    journal = new_journal()
    kept: Durable
    async with durable(journal, tmp_path) as kept:
        room = Room(journal)
        await journal.wait_committed(1)
        disk.is_full = True
        room.joins("ada")
        room.joins("ben")
        await eventually(lambda: kept.figures.failures >= 3)
        assert journal.committed == 1
        disk.is_full = False
        await journal.wait_committed(journal.number)
    assert [(kind, user) for kind, _, _, user, _ in history(tmp_path)] == [
        ("channel_opened", None),
        ("user_joined", "ada"),
        ("user_joined", "ben"),
    ]


async def test_a_hanging_disk_delays_nobody_but_its_readers(tmp_path: Path, disk: Disk) -> None:
    journal = new_journal()
    async with durable(journal, tmp_path):
        disk.hangs = trio.Event()
        room = Room(journal)
        for number in range(100):
            room.joins(f"user-{number}")
            await trio.lowlevel.checkpoint()
        assert journal.committed == 0
        disk.hangs.set()
        await journal.wait_committed(journal.number)
    assert len(history(tmp_path)) == 101


async def test_more_than_fits_while_the_disk_hangs_makes_the_file_begin_anew_with_who_is_there(
    tmp_path: Path, disk: Disk
) -> None:
    # Nothing waits for this reader when the file begins anew. It has missed changes all the same.
    journal, feed, ended = new_journal(max_bytes=20_000), Feed(100, 100), list[str]()
    feed.follow(Subscription(lambda _: None, lambda: ended.append("reader")), ["lobby"], None, journal.number)
    rooms: list[Room] = []
    async with durable(journal, tmp_path, feed, lambda: rooms[0].records()) as kept:
        disk.hangs = trio.Event()
        rooms.append(room := Room(journal))
        room.joins("ada")
        await trio.sleep(0.05)
        for _ in range(100):
            room.joins("ben")
            room.leaves("ben")
        room.joins("cleo")
        disk.hangs.set()
        await journal.wait_committed(journal.number)
        assert kept.figures.gaps == 1
        assert ended == ["reader"]
        room.leaves("ada")
    second = new_journal()
    async with durable(second, tmp_path):
        # The file has no entry from before the gap, so no number from there can be resumed.
        assert second.entries_after(1, ["lobby"], None) is None
    lost = [(kind, user, reason) for kind, _, _, user, reason in history(tmp_path)]
    assert lost == [("user_left", "ada", "left"), ("user_left", "cleo", "node_lost"), ("channel_closed", None, None)]


async def test_a_start_does_not_wait_for_ever_for_a_full_disk(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.presence.durable.START_SECONDS", 0.2)
    first = new_journal()
    async with durable(first, tmp_path):
        Room(first).joins("ada")
    disk.is_full = True
    with pytest.raises(StoreError, match="cannot be written"):
        async with durable(new_journal(), tmp_path):
            pass


async def test_after_its_end_a_journal_writes_nothing_and_another_process_may_go_on(tmp_path: Path) -> None:
    first = new_journal()
    async with durable(first, tmp_path) as writing:
        room = Room(first)
        room.joins("ada")
        await writing.finish(2.0)
        room.joins("ben")
        async with durable(new_journal(), tmp_path):
            told = history(tmp_path)
            assert [(kind, reason) for kind, *_, reason in told[-2:]] == [
                ("user_left", "node_lost"),
                ("channel_closed", None),
            ]
    assert history(tmp_path) == told
    check_pairs(told)


async def test_a_journal_that_ends_without_the_disk_begins_no_further_write(tmp_path: Path, disk: Disk) -> None:
    journal = new_journal()
    async with durable(journal, tmp_path) as writing:
        room = Room(journal)
        room.joins("ada")
        await journal.wait_committed(journal.number)
        known = history(tmp_path)
        disk.is_full = True
        room.joins("ben")
        await writing.finish(0.05)
        disk.is_full = False
        await trio.sleep(1.5)  # it would try again after a second
        assert history(tmp_path) == known


async def test_opening_waits_for_others_who_use_the_file(tmp_path: Path) -> None:
    async with durable(new_journal(), tmp_path):
        pass
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")

    async def end_soon() -> None:
        await trio.sleep(0.2)
        other.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_soon)
        async with durable(new_journal(), tmp_path):
            pass


async def test_old_entries_are_forgotten(tmp_path: Path) -> None:
    journal = new_journal()
    async with open_durable(journal, Feed(10, 10), nobody, tmp_path, 10, 2.0):
        room = Room(journal)
        for _ in range(20):
            room.joins("ada")
            room.leaves("ada")
            await journal.wait_committed(journal.number)
    assert len(history(tmp_path)) == 10
    second = new_journal()
    async with durable(second, tmp_path):
        assert second.entries_after(journal.number - 11, ["lobby"], None) is None
        assert second.entries_after(journal.number - 10, ["lobby"], None) is not None
        assert second.changes_after("lobby", Position(room.epoch, 3)) is None


@pytest.mark.parametrize("content", [b"no database at all, but a text that is long enough" * 100, None])
def test_a_file_that_is_no_journal_is_refused_with_a_reason(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        with sqlite3.connect(tmp_path / FILE_NAME) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    else:
        (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(StoreError, match="journal"):
        Store(tmp_path, "name")


def record(number: int, text: str | None = "{}") -> Record:
    return Record(number, "lobby", "user_updated", 1, number, 0.0, "ada", text)


def test_changes_are_read_back_from_any_number_that_is_still_there(tmp_path: Path) -> None:
    store = Store(tmp_path, "name")
    store.write([record(number, None if number == 1 else "{}") for number in range(1, 11)], keep=6)

    def numbers(after: int, most: int = 100) -> list[int] | None:
        found = store.changes_after(after, most)
        return None if found is None else [one.number for one in found]

    assert (numbers(10), numbers(4), numbers(8)) == ([], [5, 6, 7, 8, 9, 10], [9, 10])
    assert (numbers(3), numbers(11), numbers(-1)) == (None, None, None)
    assert (numbers(4, most=6), numbers(4, most=5)) == ([5, 6, 7, 8, 9, 10], None)
    store.begin_anew(12, [])
    assert (numbers(10), numbers(11), numbers(12)) == (None, None, [])
    store.close()


def test_the_progress_of_receivers_is_kept_and_that_of_others_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path, "name")
    assert store.changes_after(0, 10) == []
    store.save_progress({"one": 5, "two": 7})
    store.save_progress({"one": 6})
    store.close()
    again = Store(tmp_path, "other")
    assert again.start(1000).progress == {"one": 6}
    again.close()
