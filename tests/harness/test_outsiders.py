"""Each test lets a program outside be told something wrong on purpose, and sees that the judge catches it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from gateway.channel.channels import Channels
from gateway.http import presence
from gateway.presence.feed import Feed, Subscription
from gateway.presence.journal import Entry, Journal
from gateway.presence.webhooks import Message, Problem, Receiver
from protocol.watching import WatchedChannel
from tests.guarantees.test_programs_outside import Scenario, a_list_changes_all_the_time, people_come_and_go
from tools.harness import GuaranteeBroken, Leak, World, run_scenario
from tools.harness.disk import Disk
from tools.harness.history import History, Line, is_complete, judge_history
from tools.harness.history import Message as Told

Patch = pytest.MonkeyPatch

# What the worlds of these seeds have: a disk or none, and changes alone or lists in their place as well.
DISK, CHANGES, DISK_AND_LISTS = 1, 4, 3


def caught(guarantee: int, why: str, seed: int, scenario: Scenario = people_come_and_go) -> None:
    """The judge reports this guarantee as broken, for this reason."""
    with pytest.raises(GuaranteeBroken, match=why) as found:
        run_scenario(scenario, seed=seed, objects=False)
    assert found.value.guarantee == guarantee


# The reader of events.

READER = "a reader of events "


def received(monkeypatch: Patch, receive: Callable[[Callable[[Entry], None], Entry], None]) -> None:
    """Let ``receive`` pass on each entry that the feed tells a stream."""
    original = presence._Reader._receive
    monkeypatch.setattr(presence._Reader, "_receive", lambda reader, entry: receive(original.__get__(reader), entry))


def test_a_change_that_a_stream_loses_is_caught(monkeypatch: Patch) -> None:
    received(monkeypatch, lambda receive, entry: None if entry.revision == 3 else receive(entry))
    caught(3, READER + "missed 1 changes", CHANGES)


def test_a_last_change_that_never_comes_is_caught(monkeypatch: Patch) -> None:
    received(monkeypatch, lambda receive, entry: None if entry.channel_id == "attic-3" else receive(entry))
    caught(3, READER + "missed the last 2 changes of attic-3", CHANGES)


def test_a_change_that_comes_again_after_a_break_is_caught(monkeypatch: Patch) -> None:
    entries_after = Journal.entries_after

    def one_more(journal: Journal, number: int, *which: Any) -> list[Entry] | None:
        return entries_after(journal, number - 1, *which)

    monkeypatch.setattr(Journal, "entries_after", one_more)
    caught(2, READER + r"got \d+ messages twice", DISK)


def test_a_change_that_comes_again_with_another_id_is_caught(monkeypatch: Patch) -> None:
    event = presence.PresenceStreams._event

    def twice(streams: presence.PresenceStreams, entry: Entry) -> bytes:
        again = attrs.evolve(entry, number=entry.number + 1000)
        return event(streams, entry) + (event(streams, again) if entry.number == 9 else b"")

    monkeypatch.setattr(presence.PresenceStreams, "_event", twice)
    caught(2, READER + "was told a change again, or after a later one", CHANGES)


def test_changes_in_the_wrong_order_are_caught(monkeypatch: Patch) -> None:
    take = presence._Reader.take

    async def backwards(reader: presence._Reader) -> list[Entry]:
        return (await take(reader))[::-1]

    monkeypatch.setattr(presence._Reader, "take", backwards)
    caught(3, READER + r"(missed \d+ changes|was told a change after a later one)", DISK)


def test_a_change_before_it_is_on_the_disk_is_caught(monkeypatch: Patch) -> None:
    take = Disk._take

    def tell_at_once(disk: Disk, entry: Entry, told: object) -> None:
        take(disk, entry, told)
        disk.feed.take(entry, ())

    monkeypatch.setattr(Disk, "_take", tell_at_once)
    caught(3, READER + "was told what a crash could take back", DISK)


def test_a_list_before_it_is_on_the_disk_is_caught(monkeypatch: Patch) -> None:
    async def no_wait(*_: object) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(Journal, "wait_committed", no_wait)
    caught(3, "was told what a crash could take back\n.*snapshot", DISK_AND_LISTS, a_list_changes_all_the_time)


def test_lists_in_place_of_changes_are_caught_if_all_changes_are_there(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Journal, "entries_after", lambda *_: None)
    caught(3, READER + "was told a list, though all changes were there", DISK)


def test_a_wrong_list_is_caught(monkeypatch: Patch) -> None:
    state_of = Channels.state_of

    def without_the_last(channels: Channels, channel_id: str) -> WatchedChannel:
        state = state_of(channels, channel_id)
        return attrs.evolve(state, participants=(state.participants or ())[:-1])

    monkeypatch.setattr(Channels, "state_of", without_the_last)
    caught(3, "was told a wrong list, since the journal lists", DISK_AND_LISTS)


def test_a_stream_that_is_refused_is_caught() -> None:
    with pytest.raises(GuaranteeBroken, match="a reader of events: the gateway refused the stream"):
        run_scenario(people_come_and_go, objects=False, max_watched_channels=1, max_watches=1)


def test_a_reader_that_has_gone_and_stays_in_memory_is_caught(monkeypatch: Patch) -> None:
    kept: list[Subscription] = []
    close = Feed.close

    def keep(feed: Feed, subscription: Subscription, owner: object = None) -> None:
        kept.append(subscription)
        close(feed, subscription, owner)

    monkeypatch.setattr(Feed, "close", keep)
    with pytest.raises(Leak, match="Subscription"):
        run_scenario(people_come_and_go)


# The receiver of webhooks.

RECEIVER = "a receiver of webhooks "


def test_a_failed_request_that_is_not_sent_again_is_caught(monkeypatch: Patch) -> None:
    attempt = Receiver._attempt

    async def give_up(receiver: Receiver, *what: Any) -> tuple[Message, Problem | None]:
        message, _ = await attempt(receiver, *what)
        return message, None

    monkeypatch.setattr(Receiver, "_attempt", give_up)
    caught(3, RECEIVER + r"missed \d+ changes", DISK)


def messages(monkeypatch: Patch, change: Callable[[Message], Message]) -> None:
    """Change each message before it is posted."""
    make = Receiver._message
    monkeypatch.setattr(Receiver, "_message", lambda receiver, *parts: change(make(receiver, *parts)))


def test_a_request_that_comes_again_with_another_id_is_caught(monkeypatch: Patch) -> None:
    made = Counter[str]()

    def with_new_id(message: Message) -> Message:
        made[message.id] += 1
        return attrs.evolve(message, id=f"{message.id}-{made[message.id]}")

    messages(monkeypatch, with_new_id)
    caught(2, RECEIVER + "was told a change again", DISK)


def test_one_id_for_two_messages_is_caught(monkeypatch: Patch) -> None:
    messages(monkeypatch, lambda message: attrs.evolve(message, id="the-same"))
    caught(3, RECEIVER.strip() + ": the id the-same stands for two messages", DISK)


def test_webhooks_in_the_wrong_order_are_caught(monkeypatch: Patch) -> None:
    receive = Receiver.receive
    held: list[Entry] = []

    def swap(receiver: Receiver, entry: Entry) -> None:
        if entry.channel_id == "lobby" and entry.revision == 2:
            held.append(entry)
            return
        receive(receiver, entry)
        if entry.channel_id == "lobby" and held:
            receive(receiver, held.pop())

    monkeypatch.setattr(Subscription, "__init__", _subscribe_with(swap))
    caught(3, RECEIVER + "missed 1 changes", CHANGES)


def _subscribe_with(swap: Callable[[Receiver, Entry], None]) -> Callable[..., None]:
    original = Subscription.__init__

    def subscribe(subscription: Subscription, receive: Callable[[Entry], None], *rest: Any, **more: Any) -> None:
        owner = getattr(receive, "__self__", None)
        if isinstance(owner, Receiver):
            original(subscription, lambda entry: swap(owner, entry), *rest, **more)
        else:
            original(subscription, receive, *rest, **more)

    return subscribe


def test_two_requests_about_a_channel_at_the_same_time_are_caught(monkeypatch: Patch) -> None:
    lane_of, deliver_first = Receiver._lane_of, Receiver._deliver_first

    def twice(receiver: Receiver, channel_id: str, number: int) -> Any:
        is_new = channel_id not in receiver._lanes
        lane = lane_of(receiver, channel_id, number)
        if is_new:
            receiver._enqueue(lane)
        return lane

    async def deliver(receiver: Receiver, lane: Any) -> bool:
        # The other task may have delivered everything.
        return not (lane.entries or lane.lost) or await deliver_first(receiver, lane)

    monkeypatch.setattr(Receiver, "_lane_of", twice)
    monkeypatch.setattr(Receiver, "_deliver_first", deliver)
    with pytest.raises(GuaranteeBroken, match="came at the same time"):
        run_scenario(people_come_and_go, objects=False)


def test_changes_that_give_way_to_no_list_are_caught(monkeypatch: Patch) -> None:
    def forget(receiver: Receiver, lane: Any) -> None:
        if len(lane.entries) > 1:
            lane.entries.pop()
            receiver.waiting -= 1

    monkeypatch.setattr(Receiver, "_drop", forget)
    caught(3, RECEIVER + r"missed (the last )?\d+ changes", DISK_AND_LISTS)


def test_requests_that_never_end_are_caught(monkeypatch: Patch) -> None:
    attempt = Receiver._attempt

    async def fail(receiver: Receiver, *what: Any) -> tuple[Message, Problem | None]:
        message, problem = await attempt(receiver, *what)
        return message, problem or Problem("the answer cannot be read", is_of_message=True)

    async def scenario(world: World) -> None:
        await world.joined("ada")

    monkeypatch.setattr(Receiver, "_attempt", fail)
    with pytest.raises(GuaranteeBroken):
        run_scenario(scenario, objects=False)


# The judge itself.

JOURNAL = [
    Line(1, "a", "channel_opened", (1, 0), ""),
    Line(2, "a", "user_joined", (1, 1), '{"userId":"ada","participant":{"userId":"ada"}}'),
    Line(3, "a", "user_joined", (1, 2), '{"userId":"ben","participant":{"userId":"ben"}}'),
    Line(4, "a", "user_left", (1, 3), '{"userId":"ada","participant":{"userId":"ada"}}'),
]
BEN = '{"participants":[{"userId":"ben"}]}'


def change(line: Line, *, name: str = "") -> Told:
    return Told(name or f"1-{line.number}", line.type, line.channel, line.position, line.text, 4, 4)


def snapshot(revision: int, text: str = BEN) -> Told:
    return Told("1-4", "snapshot", "a", (1, revision), text, 4, 4)


def history(*told: Told, may_skip: bool = True) -> History:
    made = History("it", may_repeat=True, reads_journal=True, may_skip=may_skip)
    for message in told:
        made.take(message)
    return made


RESET = Told("1-reset", "reset", "", (0, 0), "{}", 1, 1)


@pytest.mark.parametrize(
    "told",
    [
        list(map(change, JOURNAL[1:])),
        [snapshot(3)],
        [change(JOURNAL[1]), snapshot(3)],
        [change(JOURNAL[1]), change(JOURNAL[1]), change(JOURNAL[2]), change(JOURNAL[3])],
        [RESET, *map(change, JOURNAL[1:])],
    ],
)
def test_a_true_history_passes(told: list[Told]) -> None:
    judge_history(history(*told), JOURNAL, is_over=True)
    assert is_complete(history(*told), JOURNAL)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], "missed the last 3 changes of a"),
        ([change(JOURNAL[1])], "missed the last 2 changes of a"),
        ([RESET], "missed the last 3 changes of a"),
        ([change(JOURNAL[2])], "missed 1 changes"),
        ([RESET, change(JOURNAL[2])], "missed 1 changes"),
        ([change(JOURNAL[1]), change(JOURNAL[1], name="x")], "was told a change again"),
        ([snapshot(3), change(JOURNAL[3], name="x")], "was told a change again"),
        ([snapshot(3), snapshot(2, '{"participants":[{"userId":"ada"},{"userId":"ben"}]}')], "two messages"),
        ([snapshot(2)], r"a wrong list, since the journal lists \['ada', 'ben'\]"),
        ([attrs.evolve(change(JOURNAL[1]), text="{}")], "a change that the journal does not have"),
        ([attrs.evolve(change(JOURNAL[1]), committed=1)], "what a crash could take back"),
        ([change(JOURNAL[1]), attrs.evolve(RESET, number=4)], "missed the last 2 changes of a"),
    ],
)
def test_a_false_history_is_caught(told: list[Told], why: str) -> None:
    with pytest.raises(GuaranteeBroken, match=why):
        judge_history(history(*told), JOURNAL, is_over=True)
    assert not is_complete(history(*told), JOURNAL) or why == "two messages"


def test_an_older_list_is_caught() -> None:
    older = attrs.evolve(snapshot(2, '{"participants":[{"userId":"ada"},{"userId":"ben"}]}'), id="1-3")
    with pytest.raises(GuaranteeBroken, match="an older list than the one that it had"):
        judge_history(history(snapshot(3), older), JOURNAL, is_over=True)


def test_a_reset_without_a_reason_is_caught() -> None:
    told = [change(JOURNAL[1]), RESET, *map(change, JOURNAL[2:])]
    with pytest.raises(GuaranteeBroken, match="was told a list, though all changes were there"):
        judge_history(history(*told, may_skip=False), JOURNAL, is_over=True)
