"""Webhooks: each change of every list as a signed HTTP request to other programs, in order for each channel.

Every receiver has a queue of its own, so none delays another. A receiver that does not answer gets the same request
again until it does. If too much waits for it, the changes of the fullest channel give way to the list as it is when the
receiver answers again. So a receiver that knows what it got last is never wrong about who is where.

A request may come twice. Its ``webhook-id`` is the same then.
"""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from random import SystemRandom
from typing import Final, Never, Protocol

import structlog
import trio
from attrs import define, field, frozen

from gateway.presence.feed import Feed, Subscription
from gateway.presence.journal import Entry, Journal
from protocol.codec import encode_value
from protocol.watching import WatchedChannel

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
"""Requests to one receiver at a time, each about another channel."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds to wait after the first failure of a request, and at most. Each pause is up to twice as long as the last."""
SAVE_INTERVAL: Final = 0.25
"""Seconds between two notes on disk of how much the receivers have got."""
ROOM: Final = 0.9
"""The part of the backlog that stays when too much waits."""
NOTHING: Final = -1
"""In place of the number of an entry: the receiver must be told everything anew."""


_RANDOM: Final = SystemRandom()


def _between_half_and_one() -> float:
    return _RANDOM.uniform(0.5, 1)


@frozen
class Message:
    """One request. Everything up to the journal's entry ``number`` is in it, or came before it in its channel."""

    id: str
    body: bytes
    number: int


@frozen
class Problem:
    """Why a receiver has not taken a request. ``is_of_message`` says that it may take others, about other channels."""

    reason: str
    is_of_message: bool = False


Post = Callable[[Message], Awaitable[Problem | None]]
"""Sends a request to the receiver, and returns what went wrong. None if the receiver took it."""


class Lists(Protocol):
    """The part of the channels that a receiver may have to be told as a whole."""

    @property
    def channels(self) -> Collection[str]: ...
    def state_of(self, channel_id: str) -> WatchedChannel: ...


@define(eq=False)
class Figures:
    """What operators see of one receiver. ``failing_since`` is None while it answers."""

    delivered: int = 0
    failures: int = 0
    dropped: int = 0
    failing_since: float | None = None


@define(eq=False)
class _Lane:
    """What waits for the receiver about one channel.

    ``oldest`` is the number of the oldest entry that it has not got. ``lost`` counts how often entries gave way to the
    whole list, since that was sent last. ``pause`` is how long it waits after the receiver has refused a request.
    """

    channel_id: str
    oldest: int
    entries: deque[Entry] = field(factory=deque)
    lost: int = 0
    pause: float = 0.0


@define(eq=False)
class Receiver:
    """The deliveries to one program. ``name`` names it in the log. ``backlog`` bounds the entries that wait.

    ``random`` returns a factor for each pause.
    """

    name: str
    post: Post
    journal: Journal
    lists: Lists
    backlog: int
    random: Callable[[], float] = _between_half_and_one
    figures: Figures = field(factory=Figures)
    waiting: int = 0
    subscription: Subscription = field(init=False)
    _lanes: dict[str, _Lane] = field(factory=dict)
    # The lanes that no task serves, in the order of their turns.
    _ready: deque[_Lane] = field(factory=deque)
    _must_start_over: bool = False
    _is_starting_over: bool = False
    _newest: int = 0
    # A list may contain changes that the feed has not passed on yet. By channel, the number of the newest such change.
    # Beside it, the highest number of all channels.
    _listed: dict[str, int] = field(factory=dict)
    _listed_up_to: int = 0
    _resets: int = 0
    _tasks: trio.Nursery = field(init=False)
    # The tasks that wait for a lane.
    _idle: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _empty: trio.Event = field(factory=trio.Event)
    _deliveries: trio.CancelScope = field(factory=trio.CancelScope)
    # While the receiver fails, one request at a time tries it.
    _trying: trio.Lock = field(factory=trio.Lock)
    _pause: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.subscription = Subscription(self.receive, self.start_over)

    # What comes.

    def begin(self, feed: Feed, missed: Sequence[Entry] | None) -> None:
        """Follow the feed. ``missed`` has all committed changes that no former process has delivered. None if nobody
        knows them all. Then the receiver must be told everything anew."""
        feed.follow(self.subscription, (), "", self.journal.committed)
        if missed is None:
            self.start_over()
        for entry in missed or ():
            self.receive(entry)
        self._newest = self.journal.committed

    def receive(self, entry: Entry) -> None:
        """Deliver an entry soon. Does not wait."""
        self._newest = entry.number
        if entry.number > self._listed_up_to:
            self._listed.clear()
        if entry.number <= self._listed.get(entry.channel_id, 0):
            return
        lane = self._lane_of(entry.channel_id, entry.number)
        lane.entries.append(entry)
        self.waiting += 1
        if self.waiting > self.backlog:
            self._make_room()
        if len(self._lanes) > 2 * max(self.backlog, len(self.lists.channels)):
            self.start_over()

    def start_over(self) -> None:
        """Let the receiver forget everything, and tell it the present lists."""
        self._count_dropped(self.waiting)
        self._lanes.clear()
        self._listed.clear()
        self._ready.clear()
        self.waiting = 0
        self._must_start_over = True
        self._deliveries.cancel()

    def _lane_of(self, channel_id: str, number: int) -> _Lane:
        lane = self._lanes.get(channel_id)
        if lane is None:
            lane = self._lanes[channel_id] = _Lane(channel_id, number)
            self._enqueue(lane)
        return lane

    def _enqueue(self, lane: _Lane) -> None:
        self._ready.append(lane)
        self._idle.unpark()

    def _make_room(self) -> None:
        """Let the fullest channels give way. This makes room for many entries, because it looks at every channel."""
        for lane in sorted(self._lanes.values(), key=lambda one: len(one.entries), reverse=True):
            self._drop(lane)
            if self.waiting <= ROOM * self.backlog:
                return

    def _drop(self, lane: _Lane) -> None:
        self._count_dropped(len(lane.entries))
        self.waiting -= len(lane.entries)
        lane.entries.clear()
        lane.lost += 1

    def _count_dropped(self, entries: int) -> None:
        if entries and not self.figures.dropped:
            log.warning("webhooks dropped; whole lists follow", receiver=self.name, entries=entries)
        self.figures.dropped += entries

    # What goes.

    @property
    def delivered(self) -> int:
        """The number of the entry up to which the receiver has everything."""
        if self._must_start_over or self._is_starting_over:
            return NOTHING
        return min((lane.oldest for lane in self._lanes.values()), default=self._newest + 1) - 1

    async def run(self) -> Never:
        """Deliver until cancelled."""
        while True:
            if self._must_start_over:
                self._must_start_over, self._is_starting_over = False, True
                await self._post_until_taken(self._reset())
                self._is_starting_over = False
                self._note_empty()
            if self._must_start_over:
                continue
            # A task may have taken a lane just before it was cancelled.
            self._ready = deque(self._lanes.values())
            async with trio.open_nursery() as self._tasks:
                self._deliveries = self._tasks.cancel_scope
                for _ in range(AT_ONCE):
                    self._tasks.start_soon(self._deliver)

    async def wait_empty(self) -> None:
        """Wait until nothing waits for the receiver."""
        while self._lanes or self.delivered == NOTHING:
            await self._empty.wait()

    async def _deliver(self) -> Never:
        """Deliver one message of a channel, then one of the next channel, and so on."""
        while True:
            while not self._ready:
                await self._idle.park()
            lane = self._ready.popleft()
            is_taken = await self._deliver_first(lane)
            if not self._is_present(lane):
                continue  # everything starts over
            if not is_taken:
                lane.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * lane.pause))
                self._tasks.start_soon(self._enqueue_later, lane)
            elif lane.entries or lane.lost:
                lane.pause = 0.0
                self._enqueue(lane)
            else:
                del self._lanes[lane.channel_id]
                self._note_empty()

    async def _enqueue_later(self, lane: _Lane) -> None:
        await trio.sleep(lane.pause * self.random())
        self._enqueue(lane)

    def _is_present(self, lane: _Lane) -> bool:
        return self._lanes.get(lane.channel_id) is lane

    def _note_empty(self) -> None:
        if not self._lanes:
            self._empty.set()
            self._empty = trio.Event()

    async def _deliver_first(self, lane: _Lane) -> bool:
        """Deliver what comes first in a lane: the whole list, or an entry. Return whether the receiver took it."""
        if lane.lost:
            return await self._deliver_list(lane)
        entry = lane.entries[0]
        if await self._post_until_answered(lambda: self._change(entry)) is None:
            return False
        lane.oldest = entry.number + 1
        if self._is_present(lane) and lane.entries and lane.entries[0] is entry:  # it may have given way to the list
            lane.entries.popleft()
            self.waiting -= 1
        return True

    async def _deliver_list(self, lane: _Lane) -> bool:
        lost = lane.lost
        message = await self._post_until_answered(lambda: self._list(lane.channel_id))
        if message is None:
            return False
        if self._is_present(lane):
            if message.number > self._newest:
                self._listed[lane.channel_id] = message.number
                self._listed_up_to = max(self._listed_up_to, message.number)
            lane.oldest = message.number + 1
            while lane.entries and lane.entries[0].number <= message.number:
                lane.entries.popleft()
                self.waiting -= 1
            lane.lost -= lost
        return True

    async def _post_until_taken(self, message: Message) -> None:
        pause = FIRST_PAUSE
        while True:
            if await self._post_until_answered(lambda: message) is not None:
                return
            await trio.sleep(pause * self.random())
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def _post_until_answered(self, make: Callable[[], Message]) -> Message | None:
        """Make a message and post it, again and again. Return it once the receiver has taken it. None if the receiver
        refuses this message, and perhaps no other."""
        while True:
            if not self._pause:
                message, problem = await self._attempt(make, FIRST_PAUSE)
            else:
                async with self._trying:
                    pause = self._pause
                    await trio.sleep(pause * self.random())
                    message, problem = await self._attempt(make, min(LONGEST_PAUSE, 2 * pause))
            if problem is None:
                return message
            if problem.is_of_message:
                return None

    async def _attempt(self, make: Callable[[], Message], pause: float) -> tuple[Message, Problem | None]:
        """Post a message once. ``pause`` follows for all messages if the receiver does not answer."""
        message = make()
        await self.journal.wait_committed(message.number)
        figures, problem = self.figures, await self.post(message)
        if problem is None or problem.is_of_message:
            self._pause = 0.0
        if problem is None:
            figures.delivered += 1
            if figures.failing_since is not None:
                log.info("webhooks are delivered again", receiver=self.name, waiting=self.waiting)
            figures.failing_since = None
            return message, None
        figures.failures += 1
        if figures.failing_since is None:
            figures.failing_since = trio.current_time()
            log.warning("webhook not delivered; it waits", receiver=self.name, why=problem.reason[:200])
        if not problem.is_of_message:
            self._pause = max(pause, self._pause)
        return message, problem

    # Messages.

    def _change(self, entry: Entry) -> Message:
        return self._message(f"presence.{entry.type}", str(entry.number), entry.data, entry.number, entry.at)

    def _list(self, channel_id: str) -> Message:
        number = self.journal.number
        text = encode_value(self.lists.state_of(channel_id))
        name = f"{number}-{self._resets}-{sha256(channel_id.encode()).hexdigest()[:16]}"
        return self._message("presence.snapshot", name, text, number, self.journal.clock())

    def _reset(self) -> Message:
        """The order to forget everything. The lists of all open channels follow it."""
        number = self.journal.committed
        self._resets += 1
        self._newest = max(self._newest, number)
        self.subscription.prefixes[""] = number  # what the lists contain must not come again
        for channel_id in list(self.lists.channels):
            self._lane_of(channel_id, number + 1).lost += 1
        return self._message(
            "presence.reset", f"{number}-reset-{self._resets}", '{"prefix":""}', number, self.journal.clock()
        )

    def _message(self, kind: str, name: str, data: str, number: int, at: float) -> Message:
        timestamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = f'{{"type":{json.dumps(kind)},"timestamp":{json.dumps(timestamp)},"data":{data}}}'
        return Message(f"{self.journal.name}-{name}", body.encode(), number)
