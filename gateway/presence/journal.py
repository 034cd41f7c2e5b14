"""The journal: every change of every channel's list, in the order in which the channels made them.

The channel that changes its list appends the entry in the same step, so the journal and the list never differ. To
append never waits. The journal keeps the newest entries, bounded in bytes for each channel and for all together. Who
asks for older ones is told so, and takes a snapshot instead.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import trio
from attrs import define, field, frozen

from gateway.connection.outbox import Frame
from protocol.events import VoiceStateType
from protocol.vocabulary import Position

EntryType = Literal[VoiceStateType, "channel_opened", "channel_closed"]
Follower = Callable[["Entry", Iterable[object]], None]
"""Gets each entry in the step that makes it, and the connections of the members who are told in another way."""

_BEFORE_DATA: Final = '{"type":"voice_state","data":'
# A client could write the same into its metadata. Then its watchers get a snapshot, which is always right.
_LOST: Final = '"reason":"node_lost"'
_ENTRY_BYTES: Final = 400
"""What an entry takes besides the text of its change."""
_CHANNEL_BYTES: Final = 600
"""What the history of a channel takes besides its entries."""


@frozen(eq=False)
class Entry:
    """One change. Only the changes of the list have a ``frame``, with their ``voice_state``, and a ``user_id``.

    ``number`` rises by one with each entry of the journal. ``at`` is the time, in seconds since 1970.
    """

    number: int
    channel_id: str
    type: EntryType
    epoch: int
    revision: int
    at: float
    frame: Frame | None
    user_id: str | None = None

    @property
    def position(self) -> tuple[int, int]:
        """Its place among the changes of its channel."""
        return self.epoch, self.revision

    @property
    def data(self) -> str:
        """The ``data`` of its ``voice_state``, as JSON. Only for an entry with a frame."""
        assert self.frame is not None
        return self.frame.text[len(_BEFORE_DATA) : -1]

    @property
    def is_lost(self) -> bool:
        """Whether a crash ended the member, so that only the next process could say so."""
        return self.type == "user_left" and self.frame is not None and _LOST in self.frame.text

    @property
    def size(self) -> int:
        """About the bytes of memory that it takes."""
        return _ENTRY_BYTES + (0 if self.frame is None else self.frame.size)


@define(eq=False)
class _History:
    """The newest entries of one channel.

    ``newest`` and ``number`` are the position and the number of the newest one. ``complete_after`` is the position from
    which on no entry is missing, and ``forgotten`` the number of the newest entry that is. ``last_known`` has the last
    revision before a crash, by epoch. The former process may have told watchers later ones, which are lost.
    """

    complete_after: tuple[int, int]
    forgotten: int
    newest: tuple[int, int] = (0, 0)
    number: int = 0
    entries: deque[Entry] = field(factory=deque)
    size: int = _CHANNEL_BYTES
    last_known: dict[int, int] = field(factory=dict)

    def forget_oldest(self) -> int:
        """Forget the oldest entry. Return its size."""
        oldest = self.entries.popleft()
        self.complete_after, self.forgotten = oldest.position, oldest.number
        self.size -= oldest.size
        return oldest.size

    def is_distrusted(self, position: tuple[int, int]) -> bool:
        """Whether watchers may have been told another change in this place."""
        epoch, revision = position
        return revision > self.last_known.get(epoch, revision)


@define(eq=False)
class Journal:
    """The newest entries of all channels, at most ``max_bytes`` and for each channel ``max_channel_bytes``.

    ``name`` names this journal, since the numbers of another one mean nothing. ``number`` is that of the newest entry.
    ``committed`` is that of the newest one that no crash takes back. It rises by itself unless the journal is kept on
    disk. ``epoch`` is at least that of every channel so far. ``clock`` returns the time of day, in seconds since 1970.
    ``followers`` get every entry in order.
    """

    max_bytes: int
    max_channel_bytes: int
    epoch: int
    clock: Callable[[], float]
    name: str = ""
    number: int = 0
    committed: int = 0
    size: int = 0
    followers: list[Follower] = field(factory=list)
    # The channel whose newest entry is oldest comes first.
    _histories: dict[str, _History] = field(factory=dict)
    # The number of the newest entry that was forgotten with the whole history of its channel.
    _forgotten: int = 0
    _is_on_disk: bool = False
    _rose: trio.Event = field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.name = f"{self.epoch:x}"

    def restore(self, name: str, number: int, epoch: int, recent: Iterable[Entry]) -> None:
        """Go on with the journal of a former process, which is kept on disk. Only before the first entry."""
        self.name, self.number, self.committed, self._is_on_disk = name, number, number, True
        self.epoch = max(self.epoch, epoch + 1)
        first = None
        for entry in recent:
            if first is None:
                first = self._forgotten = entry.number - 1
            self._keep(entry)
        if first is None:
            self._forgotten = number

    def commit(self, number: int) -> None:
        """All entries up to this one are on the disk."""
        self.committed = number
        self._rose.set()
        self._rose = trio.Event()

    async def wait_committed(self, number: int) -> None:
        """Wait until no crash takes back the entry with this number."""
        while self.committed < number:
            await self._rose.wait()

    def append(
        self,
        channel_id: str,
        kind: EntryType,
        position: tuple[int, int],
        change: Frame | None = None,
        user_id: str | None = None,
        told: Iterable[object] = (),
    ) -> None:
        """Append a change, and pass it to the followers. ``told`` are the connections of the channel's members."""
        self.number += 1
        entry = Entry(self.number, channel_id, kind, *position, self.clock(), change, user_id)
        self._keep(entry)
        if not self._is_on_disk:
            self.committed = self.number
        for follower in self.followers:
            follower(entry, told)

    def _keep(self, entry: Entry) -> None:
        channel_id = entry.channel_id
        self.epoch = max(self.epoch, entry.epoch)
        history = self._histories.pop(channel_id, None)
        if history is None:
            before = entry.revision if entry.frame is None else entry.revision - 1
            history = _History((entry.epoch, before), self._forgotten)
            self.size += history.size
        self._histories[channel_id] = history
        history.entries.append(entry)
        history.newest, history.number = entry.position, entry.number
        if entry.is_lost:
            history.last_known.setdefault(entry.epoch, entry.revision - 1)
        history.size += entry.size
        self.size += entry.size
        while history.size > self.max_channel_bytes and history.entries:
            self.size -= history.forget_oldest()
        while self.size > self.max_bytes:
            self._forget_quietest()

    def _forget_quietest(self) -> None:
        """Forget the history of the channel that changed least recently."""
        channel_id = next(iter(self._histories))
        history = self._histories.pop(channel_id)
        self.size -= history.size
        self._forgotten = max(self._forgotten, history.number)

    def position_of(self, channel_id: str) -> tuple[int, int]:
        """The epoch and the revision of a channel that is not open, as of its last change.

        If the journal has forgotten this change: the newest epoch, with revision 0. When the channel opens again, its
        epoch is higher.
        """
        history = self._histories.get(channel_id)
        if history is None or history.is_distrusted(history.newest):
            return self.epoch, 0
        return history.newest

    def changes_after(self, channel_id: str, after: Position) -> list[Entry] | None:
        """The changes of the list that come after a position, or None if some of them are forgotten."""
        history = self._histories.get(channel_id)
        position = after.epoch, after.revision
        if history is None or not history.complete_after <= position <= history.newest:
            return None
        if history.is_distrusted(position):
            return None
        return [entry for entry in history.entries if entry.position > position and entry.frame is not None]

    def entries_after(self, number: int, channels: Iterable[str], prefix: str | None) -> list[Entry] | None:
        """The committed changes of these channels, and of all with the prefix, after the entry with this number.

        None if some of them are forgotten, or if there was no such entry.
        """
        names = set(channels)
        if prefix is not None:
            names.update(name for name in self._histories if name.startswith(prefix))
        histories = [self._histories[name] for name in names if name in self._histories]
        complete_after = [history.forgotten for history in histories]
        if prefix is not None or len(histories) < len(names):
            complete_after.append(self._forgotten)
        if not max(complete_after) <= number <= self.committed:
            return None
        found = (entry for history in histories for entry in history.entries)
        new = [entry for entry in found if number < entry.number <= self.committed and entry.frame is not None]
        return sorted(new, key=lambda entry: entry.number)

    def kept(self) -> Iterator[object]:
        """Every object that is kept here on purpose, for those who look for objects that are kept by mistake."""
        for history in self._histories.values():
            yield history
            for entry in history.entries:
                yield from (entry, entry.frame)
