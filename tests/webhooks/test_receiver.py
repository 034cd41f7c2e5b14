"""The queue of one receiver of webhooks, under virtual time: what is sent, in which order, and when again."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.connection.outbox import Frame
from gateway.presence.feed import Feed
from gateway.presence.journal import Entry, Journal
from gateway.presence.webhooks import AT_ONCE, LONGEST_PAUSE, Message, Problem, Receiver
from protocol.events import VoiceState
from protocol.vocabulary import Participant, Position
from protocol.watching import WatchedChannel


@define
class Far:
    """The program far away. ``refuses`` says why it takes nothing, and ``refuses_about`` about which channels it takes
    nothing. It answers only once ``may`` is set."""

    refuses: str | None = None
    refuses_about: str | None = None
    may: trio.Event = field(factory=trio.Event)
    asked: list[tuple[float, str]] = field(factory=list)
    taken: list[Any] = field(factory=list)
    busy: int = 0
    most_busy: int = 0

    async def post(self, message: Message) -> Problem | None:
        self.asked.append((trio.current_time(), message.id))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await self.may.wait()
            await trio.sleep(0.01)
        finally:
            self.busy -= 1
        if self.refuses is not None:
            return Problem(self.refuses)
        received = json.loads(message.body)
        if self.refuses_about is not None and received["data"].get("channelId", "").startswith(self.refuses_about):
            return Problem("HTTP 413", is_of_message=True)
        self.taken.append(received)
        return None

    def lines(self) -> list[tuple[str, str, int]]:
        """The type, the channel and the revision of each message about a channel."""
        about = [(one["type"], one["data"]) for one in self.taken if "channelId" in one["data"]]
        return [(kind.removeprefix("presence."), data["channelId"], data["revision"]) for kind, data in about]


class House:
    """A journal with channels in which somebody updates."""

    def __init__(self, *, backlog: int = 100) -> None:
        self.journal = Journal(1_000_000, 100_000, 1, lambda: 1_796_000_000.0)
        self.feed = Feed(10, 10)
        self.journal.followers.append(self.feed.take)
        self.far = Far()
        self.far.may.set()
        self.channels: dict[str, int] = {}
        self.receiver = Receiver("1", self.far.post, self.journal, self, backlog, random=lambda: 1.0)

    def state_of(self, channel_id: str) -> WatchedChannel:
        return WatchedChannel(channel_id, 1, self.channels.get(channel_id, 0), (), snapshot=True)

    def change(self, channel_id: str, times: int = 1) -> None:
        for _ in range(times):
            revision = self.channels[channel_id] = self.channels.get(channel_id, 0) + 1
            ada = Participant("ada", "Ada", "2026-11-01T09:30:00Z")
            state = VoiceState("user_updated", channel_id, "ada", "Ada", 1, revision, ada, 1)
            self.journal.append(channel_id, "user_updated", (1, revision), Frame.of(state), "ada")

    def entries(self, channel_id: str) -> Iterator[Entry]:
        """The changes of a channel, newest first."""
        return reversed(self.journal.changes_after(channel_id, Position(1, 0)) or [])

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.feed.run)
            nursery.start_soon(self.receiver.run)


@pytest.fixture
def house(autojump_clock: MockClock, nursery: trio.Nursery) -> House:
    made = House()
    made.receiver.begin(made.feed, ())
    nursery.start_soon(made.run)
    return made


async def eventually(holds: Callable[[], object]) -> None:
    for _ in range(10_000):
        if holds():
            return
        await trio.sleep(0.1)
    raise AssertionError("it never held")


async def test_one_channel_goes_in_order_and_several_side_by_side(autojump_clock: MockClock, house: House) -> None:
    for number in range(20):
        house.change(f"c{number}", 3)
    await eventually(lambda: len(house.far.taken) == 60)
    for number in range(20):
        own = [revision for _, channel, revision in house.far.lines() if channel == f"c{number}"]
        assert own == [1, 2, 3]
    assert house.far.most_busy == AT_ONCE
    assert house.receiver.delivered == house.journal.number


async def test_the_pauses_grow_and_one_request_at_a_time_tries(autojump_clock: MockClock, house: House) -> None:
    house.far.refuses = "HTTP 500"
    house.change("lobby")
    house.change("attic")
    await trio.sleep(300)
    times = [at for at, _ in house.far.asked[2:]]
    gaps = [round(after - before) for before, after in pairwise(times)]
    assert gaps[:4] == sorted(gaps[:4])
    assert max(gaps) == LONGEST_PAUSE
    assert house.receiver.delivered == 0
    house.far.refuses = None
    await eventually(lambda: len(house.far.taken) == 2)
    assert house.receiver.figures.failing_since is None


async def test_the_fullest_channel_gives_way_and_the_others_lose_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    house = House(backlog=10)
    house.receiver.begin(house.feed, ())
    nursery.start_soon(house.run)
    house.far.may = trio.Event()
    house.change("quiet", 2)
    house.change("busy", 30)
    await wait_all_tasks_blocked()
    assert house.receiver.waiting <= 10
    assert house.receiver.delivered == 0
    house.far.may.set()
    await eventually(lambda: not house.receiver.waiting and house.receiver.delivered == house.journal.number)
    lines = house.far.lines()
    assert [line for line in lines if line[1] == "quiet"] == [("user_updated", "quiet", n) for n in (1, 2)]
    busy = [(kind, revision) for kind, channel, revision in lines if channel == "busy"]
    assert ("snapshot", 30) in busy
    assert busy[-1][1] == 30
    assert house.receiver.figures.dropped > 0


async def test_a_list_is_followed_by_no_change_that_it_contains(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    house = House(backlog=2)
    house.receiver.begin(house.feed, ())
    nursery.start_soon(house.receiver.run)

    def tell(revisions: range) -> None:  # the feed is late
        for entry in reversed(list(house.entries("lobby"))):
            if entry.revision in revisions:
                house.receiver.receive(entry)

    house.change("lobby", 5)
    tell(range(1, 4))
    await eventually(lambda: house.far.taken)
    tell(range(4, 6))
    house.change("lobby")
    tell(range(6, 7))
    await eventually(lambda: house.receiver.delivered == house.journal.number)
    assert house.far.lines() == [("snapshot", "lobby", 5), ("user_updated", "lobby", 6)]


async def test_a_list_that_comes_late_does_not_forget_what_a_later_list_contains(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    house = House(backlog=2)
    house.receiver.begin(house.feed, ())
    tried: list[str] = []

    async def post(message: Message) -> Problem | None:
        channel = json.loads(message.body)["data"]["channelId"]
        tried.append(channel)
        if channel == "slow":
            await trio.sleep(2)
        elif tried.count(channel) == 1:
            return Problem("HTTP 422", is_of_message=True)  # so its list is made again, and is the newer one
        return await house.far.post(message)

    house.receiver.post = post

    def tell(channel: str, revisions: range) -> None:
        for entry in reversed(list(house.entries(channel))):
            if entry.revision in revisions:
                house.receiver.receive(entry)

    for channel in ("slow", "again"):
        house.change(channel, 3)
        tell(channel, range(1, 4))
    house.change("slow")  # the feed has not told this yet
    nursery.start_soon(house.receiver.run)
    await trio.sleep(0.1)
    house.change("again")  # and neither this
    await eventually(lambda: len(house.far.taken) == 2)
    assert house.far.lines() == [("snapshot", "again", 4), ("snapshot", "slow", 4)]
    tell("slow", range(4, 5))
    tell("again", range(4, 5))
    await eventually(lambda: house.receiver.delivered == house.journal.number)
    assert len(house.far.taken) == 2


async def test_a_feed_that_loses_entries_makes_everything_start_over(autojump_clock: MockClock, house: House) -> None:
    house.far.may = trio.Event()
    house.change("lobby", 5)
    await wait_all_tasks_blocked()
    house.feed.end_all()
    house.change("lobby")
    house.far.may.set()
    await eventually(lambda: house.far.lines() and house.receiver.delivered == house.journal.number)
    assert house.far.taken[0]["type"] == "presence.reset"
    assert house.far.lines()[0] == ("snapshot", "lobby", 6)
    assert (house.receiver.waiting, house.receiver.figures.failures) == (0, 0)


async def test_a_stranger_and_a_receiver_with_a_gap_are_told_to_forget_everything(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    house = House()
    house.change("lobby", 3)
    house.receiver.begin(house.feed, None)
    assert house.receiver.delivered == -1
    nursery.start_soon(house.run)
    await eventually(lambda: house.far.lines())
    assert house.far.taken[0]["type"] == "presence.reset"
    assert house.far.lines() == [("snapshot", "lobby", 3)]


async def test_channels_that_the_receiver_refuses_hold_up_no_others(autojump_clock: MockClock, house: House) -> None:
    house.far.refuses_about = "bad"
    for number in range(2 * AT_ONCE):
        house.change(f"bad{number}")
    for number in range(20):
        house.change(f"good{number}")
    await eventually(lambda: len(house.far.taken) == 20)
    assert trio.current_time() - house.far.asked[0][0] < 1
    assert house.receiver.waiting == 2 * AT_ONCE
    house.far.refuses_about = None
    await eventually(lambda: not house.receiver.waiting)


async def test_an_entry_in_the_step_of_a_new_beginning_is_not_forgotten(
    autojump_clock: MockClock, house: House
) -> None:
    house.change("lobby")
    await eventually(lambda: house.far.taken)
    house.far.taken.clear()
    # A task wakes for the first one, and takes the last one, before it learns that everything starts over.
    for channel in ("lobby", "attic"):
        house.change(channel)
        house.receiver.receive(next(house.entries(channel)))
        house.receiver.start_over()
    house.change("cellar")
    await eventually(lambda: house.receiver.delivered == house.journal.number)
    assert {channel for _, channel, _ in house.far.lines()} == {"lobby", "attic", "cellar"}
    await house.receiver.wait_empty()
