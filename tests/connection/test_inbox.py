"""The messages of a client that its session has not read yet."""

import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from gateway.connection.inbox import Inbox, ReceivedMessage


async def test_messages_come_out_in_order_with_their_sizes() -> None:
    inbox = Inbox(10, 100)
    inbox.put(ReceivedMessage("a", 1))
    inbox.put(ReceivedMessage("ä", 2))
    assert await inbox.get() == ReceivedMessage("a", 1)
    assert await inbox.get() == ReceivedMessage("ä", 2)
    assert inbox.size == 0


async def test_getting_is_always_a_checkpoint() -> None:
    inbox = Inbox(10, 100)
    inbox.put(ReceivedMessage("a", 1))
    with assert_checkpoints():
        await inbox.get()


async def test_getting_waits_for_a_message(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    inbox = Inbox(10, 100)
    got: list[str] = []

    async def get() -> None:
        got.append((await inbox.get()).text)

    nursery.start_soon(get)
    await wait_all_tasks_blocked()
    assert got == []
    inbox.put(ReceivedMessage("late", 4))
    await wait_all_tasks_blocked()
    assert got == ["late"]


async def test_there_is_no_room_for_more_messages_than_allowed() -> None:
    inbox = Inbox(2, 100)
    assert inbox.put(ReceivedMessage("a", 1))
    assert inbox.put(ReceivedMessage("b", 1))
    assert not inbox.put(ReceivedMessage("c", 1))
    await inbox.get()
    assert inbox.put(ReceivedMessage("c", 1))


async def test_there_is_no_room_for_more_bytes_than_allowed() -> None:
    inbox = Inbox(10, 100)
    assert inbox.put(ReceivedMessage("a", 60))
    assert not inbox.put(ReceivedMessage("b", 41))
    assert inbox.put(ReceivedMessage("c", 40))
    assert inbox.size == 100
    assert await inbox.get() == ReceivedMessage("a", 60)
    assert inbox.put(ReceivedMessage("d", 60))


def test_all_messages_are_taken_out_at_once_and_leave_room() -> None:
    inbox = Inbox(2, 100)
    messages = [ReceivedMessage("a", 60), ReceivedMessage("b", 40)]
    assert all(map(inbox.put, messages))
    assert inbox.take_all() == messages
    assert inbox.take_all() == []
    assert inbox.put(ReceivedMessage("c", 100))
