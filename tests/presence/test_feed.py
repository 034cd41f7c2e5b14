"""The feed, and what it keeps of its readers."""

import gc
import weakref

import trio
from trio.testing import wait_all_tasks_blocked

from gateway.connection.outbox import Frame
from gateway.presence.feed import Feed, Subscription
from gateway.presence.journal import Entry
from protocol.events import VoiceState
from protocol.vocabulary import Participant


async def test_a_reader_that_has_gone_is_not_kept(nursery: trio.Nursery) -> None:
    feed, told = Feed(10, 10), list[Entry]()
    nursery.start_soon(feed.run)
    reader = Subscription(told.append, told.clear)
    feed.follow(reader, ["lobby"], None, 0)
    ada = Participant("ada", "Ada", "2026-11-01T09:30:00Z")
    change = Frame.of(VoiceState("user_joined", "lobby", "ada", "Ada", 1, 1, ada, 1))
    feed.take(Entry(1, "lobby", "user_joined", 1, 1, 0.0, change, "ada"), ())
    await wait_all_tasks_blocked()
    assert [entry.number for entry in told] == [1]
    feed.close(reader)
    kept = weakref.ref(reader)
    del reader
    gc.collect()
    assert kept() is None
