"""The feed: it tells everybody who follows a channel from outside, in the order of the journal.

The members of a channel are told in the step of the change. Those outside are told by a task of its own, some at a
time. So however many they are, no member waits for them.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from time import thread_time
from typing import Final, Never

import trio
from attrs import define, field

from gateway.connection.accounts import Account, share_of_address
from gateway.presence.journal import Entry
from protocol.errors import ErrorCode, RequestError

_AT_ONCE: Final = 50
"""How many readers are told in one step of the event loop."""
_LEAST_CHARGE: Final = 0.001
"""A reader owes this many seconds of processor time before it is charged. More frequent charges would cost too much."""
_MOST_PENDING: Final = 10_000
"""Entries that may wait to be told. The readers of a feed that is later than this are ended."""


@define(eq=False)
class Subscription:
    """What one reader follows, and how it is told.

    ``receive`` gets each entry, and must not wait. ``fall_behind`` ends the reader, which has missed an entry.
    ``channels`` and ``prefixes`` have the number of the newest entry that the reader did not need to be told. ``site``
    is that of its address, as :func:`gateway.connection.accounts.site_of` says. ``account`` pays for the processor
    time of telling it, and ``owed`` is the time that is not charged yet. ``joined`` is the channel that its client has
    joined last, with the newest entry that the answer contained.
    """

    receive: Callable[[Entry], None]
    fall_behind: Callable[[], None]
    site: str | None = None
    account: Account | None = None
    channels: dict[str, int] = field(factory=dict)
    prefixes: dict[str, int] = field(factory=dict)
    joined: tuple[str, int] = ("", 0)
    owed: float = 0.0

    @property
    def count(self) -> int:
        """How many channels and prefixes it follows."""
        return len(self.channels) + len(self.prefixes)

    def pay(self, seconds: float) -> None:
        """Charge the reader's account for so much processor time of the loop's thread."""
        if self.account is not None:
            self.owed += seconds
            if self.owed >= _LEAST_CHARGE:
                self.account.charge(self.owed)
                self.owed = 0.0

    def wants(self, entry: Entry) -> bool:
        """Whether the reader follows the channel and does not know this change yet."""
        channel_id = entry.channel_id
        if channel_id == self.joined[0] and entry.number <= self.joined[1]:
            return False
        since = self.channels.get(channel_id)
        if since is not None:
            return entry.number > since
        return any(entry.number > since for prefix, since in self.prefixes.items() if channel_id.startswith(prefix))


@define(eq=False)
class Feed:
    """Readers by what they follow.

    ``max_each`` and ``max_all`` bound the channels and prefixes of one reader and of all together. The readers of one
    address may have a share of those for all, and at least what one reader may have. ``reached`` gets the name of the
    setting when somebody reaches such a bound. A reader may have an ``owner``, such as its connection. If the owner was
    told as a member, the reader is not told again.
    """

    max_each: int
    max_all: int
    reached: Callable[[str], None] = lambda _: None
    count: int = 0
    _by_site: Counter[str] = field(factory=Counter)
    _owners: dict[object, Subscription] = field(factory=dict)
    _by_channel: dict[str, list[Subscription]] = field(factory=dict)
    _by_prefix: dict[str, list[Subscription]] = field(factory=dict)
    # Each entry, with the readers that know it.
    _pending: deque[tuple[Entry, set[Subscription]]] = field(factory=deque)
    _wake: trio.Event = field(factory=trio.Event)
    _told: trio.Event = field(factory=trio.Event)

    def subscription_of(self, owner: object) -> Subscription | None:
        """The subscription of an owner, if it has one."""
        return self._owners.get(owner)

    def own(self, owner: object, subscription: Subscription) -> None:
        """Enter a subscription as that of its owner."""
        self._owners[owner] = subscription

    def note_joined(self, owner: object, channel_id: str, number: int) -> None:
        """Its client has just got the list of a channel, with all changes up to this number."""
        if (subscription := self._owners.get(owner)) is not None:
            subscription.joined = channel_id, number

    def follow(self, subscription: Subscription, channels: Iterable[str], prefix: str | None, number: int) -> None:
        """Follow channels, or all channels with a prefix, from the entry after ``number`` on.

        Raises :exc:`RequestError` with ``limit_exceeded``, and follows nothing more then.
        """
        channels = list(dict.fromkeys(channels))
        prefixes = [] if prefix is None else [prefix]
        new = [name for name in channels if name not in subscription.channels]
        more = len(new) + sum(name not in subscription.prefixes for name in prefixes)
        if more and subscription.count + more > self.max_each:
            self.reached("max_watched_channels")
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, f"a client may watch {self.max_each} channels and prefixes")
        if more and self.count + more > self.max_all:
            self.reached("max_watches")
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, "all clients together watch too many channels")
        if more and subscription.site is not None:
            most = max(self.max_each, share_of_address(self.max_all))
            if self._by_site[subscription.site] + more > most:
                self.reached("max_watches")
                raise RequestError(ErrorCode.LIMIT_EXCEEDED, "the clients of this address watch too many channels")
        self._change_count(subscription, more)
        for name in new:
            _add(self._by_channel, name, subscription)
        for name in prefixes:
            if name not in subscription.prefixes:
                _add(self._by_prefix, name, subscription)
        subscription.channels.update(dict.fromkeys(channels, number))
        subscription.prefixes.update(dict.fromkeys(prefixes, number))

    def unfollow(self, subscription: Subscription, channels: Iterable[str], prefixes: Iterable[str]) -> None:
        """Follow these channels and prefixes no longer. Those that the reader does not follow count as done."""
        for name in channels:
            if subscription.channels.pop(name, None) is not None:
                self._forget(self._by_channel, name, subscription)
        for name in prefixes:
            if subscription.prefixes.pop(name, None) is not None:
                self._forget(self._by_prefix, name, subscription)

    def _forget(self, table: dict[str, list[Subscription]], name: str, subscription: Subscription) -> None:
        readers = table[name]
        readers.remove(subscription)
        if not readers:
            del table[name]
        self._change_count(subscription, -1)

    def _change_count(self, subscription: Subscription, by: int) -> None:
        self.count += by
        if (site := subscription.site) is not None:
            self._by_site[site] += by
            if not self._by_site[site]:
                del self._by_site[site]

    def close(self, subscription: Subscription, owner: object = None) -> None:
        """Tell this reader nothing more."""
        self._owners.pop(owner, None)
        self.unfollow(subscription, list(subscription.channels), list(subscription.prefixes))

    def take(self, entry: Entry, told: Iterable[object]) -> None:
        """Tell an entry soon to those who follow its channel. ``told`` are the owners who know it already.

        Does not wait.
        """
        if entry.frame is None or not self._is_followed(entry.channel_id):
            return
        owners = self._owners
        self._pending.append((entry, {owners[owner] for owner in told if owner in owners}))
        if len(self._pending) > _MOST_PENDING:
            self.end_all()
        self._wake.set()

    def _is_followed(self, channel_id: str) -> bool:
        return channel_id in self._by_channel or any(True for _ in self._prefixes_of(channel_id))

    def _prefixes_of(self, channel_id: str) -> Iterator[str]:
        if self._by_prefix:
            for length in range(len(channel_id) + 1):
                if (prefix := channel_id[:length]) in self._by_prefix:
                    yield prefix

    def _readers_of(self, channel_id: str) -> list[Subscription]:
        found = self._by_channel.get(channel_id, [])
        by_prefix = [self._by_prefix[prefix] for prefix in self._prefixes_of(channel_id)]
        if not by_prefix:
            return list(found)
        return list(dict.fromkeys(reader for readers in (found, *by_prefix) for reader in readers))

    def end_all(self) -> None:
        """End all readers, since they would miss an entry. They come back and ask for what they missed."""
        self._pending = deque()
        tables = (*self._by_channel.values(), *self._by_prefix.values())
        for reader in dict.fromkeys(reader for readers in tables for reader in readers):
            reader.fall_behind()
        # Whoever waits until all is told waits for nothing more.
        self._told.set()
        self._told = trio.Event()

    async def wait_told(self) -> None:
        """Wait until no entry waits to be told."""
        while self._pending:
            await self._told.wait()

    def tell_now(self, owners: Iterable[object]) -> None:
        """Tell the readers of these owners everything that waits for them, in this step.

        So what they are told as members next keeps its place in the order.
        """
        if self._pending:
            readers = [self._owners[owner] for owner in owners if owner in self._owners]
            for entry, told in list(self._pending) if readers else ():
                for reader in readers:
                    self._tell(reader, entry, told)

    def _tell(self, reader: Subscription, entry: Entry, told: set[Subscription]) -> None:
        if reader not in told and reader.wants(entry):
            told.add(reader)
            reader.receive(entry)

    def _tell_some(self, readers: list[Subscription], pending: deque[tuple[Entry, set[Subscription]]]) -> None:
        """Tell these readers the oldest entry, and charge the time to them in equal parts."""
        began = thread_time()
        entry, told = pending[0]
        follows = len(pending) > 1 and _is_move(entry, pending[1][0])
        for reader in readers:
            self._tell(reader, entry, told)
            if follows:
                self._tell(reader, *pending[1])
        part = (thread_time() - began) / len(readers)
        for reader in readers:
            reader.pay(part)

    async def run(self) -> Never:
        """Tell the entries to their readers until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            await trio.lowlevel.checkpoint()  # Tasks of members who get the same change run first.
            while self._pending:
                await self._tell_first()
                await trio.lowlevel.checkpoint()

    async def _tell_first(self) -> None:
        # Not a part of run(): a local variable there would keep the last reader alive after its end.
        pending = self._pending
        readers = self._readers_of(pending[0][0].channel_id)
        for start in range(0, len(readers), _AT_ONCE):
            if start:
                await trio.lowlevel.checkpoint()
            self._tell_some(readers[start : start + _AT_ONCE], pending)
        pending.popleft()  # only now: wait_told() waits until it is empty
        self._told.set()
        self._told = trio.Event()


def _add(table: dict[str, list[Subscription]], name: str, subscription: Subscription) -> None:
    readers = table.get(name)
    if readers is None:
        table[name] = [subscription]  # Most channels have one reader. A list that grew by append() takes more memory.
    else:
        readers.append(subscription)


def _is_move(entry: Entry, following: Entry) -> bool:
    """Whether two entries are one step: somebody went to another channel. Readers of both get them together."""
    same_step = following.number == entry.number + 1 and following.user_id == entry.user_id
    return same_step and (entry.type, following.type) == ("user_left", "user_joined")
