"""The streams in memory keep Trio's rules for streams, and break as TCP does."""

import pytest
import trio
from trio.testing import check_half_closeable_stream, wait_all_tasks_blocked

from tools.harness.streams import MemoryStream, memory_stream_pair


async def open_pair() -> tuple[MemoryStream, MemoryStream]:
    await trio.lowlevel.checkpoint()
    return memory_stream_pair()


async def full_pair() -> tuple[MemoryStream, MemoryStream]:
    ours, theirs = memory_stream_pair(4)
    await ours.send_all(b"1234")
    await theirs.send_all(b"1234")
    return ours, theirs


async def test_the_streams_keep_trios_rules(autojump_clock: trio.testing.MockClock) -> None:
    with trio.fail_after(60):
        await check_half_closeable_stream(open_pair, full_pair)


async def test_a_sender_of_more_than_fits_waits_for_the_reader() -> None:
    ours, theirs = memory_stream_pair(4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, b"123456")
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        assert await theirs.receive_some() == b"1234"
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert await theirs.receive_some() == b"56"


async def test_after_send_eof_the_other_direction_stays_open() -> None:
    ours, theirs = memory_stream_pair()
    await ours.send_all(b"last")
    await ours.send_eof()
    assert [await theirs.receive_some(), await theirs.receive_some()] == [b"last", b""]
    await theirs.send_all(b"answer")
    assert await ours.receive_some() == b"answer"


async def test_bytes_sent_before_a_close_are_read_and_bytes_sent_after_it_are_refused() -> None:
    ours, theirs = memory_stream_pair()
    await ours.send_all(b"last")
    await ours.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.send_all(b"too late")
    assert [await theirs.receive_some(), await theirs.receive_some()] == [b"last", b""]


async def test_closing_wakes_the_task_that_waits_to_send() -> None:
    ours, _theirs = await full_pair()
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await ours.send_all(b"more")

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        ours.close()


async def test_a_reset_fails_both_ends_and_loses_bytes_in_flight() -> None:
    ours, theirs = memory_stream_pair()
    await ours.send_all(b"lost")
    ours.reset()
    for end in (ours, theirs):
        with pytest.raises(trio.BrokenResourceError):
            await end.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await end.send_all(b"x")


async def test_bytes_in_flight_arrive_when_a_stopped_stream_goes_on() -> None:
    ours, theirs = memory_stream_pair()
    ours.stop()
    await ours.send_all(b"there")
    await theirs.send_all(b"back")
    for end, expected in ((theirs, b"there"), (ours, b"back")):
        with trio.move_on_after(0) as scope:
            await end.receive_some()
        assert scope.cancelled_caught
        ours.stop(False)
        assert await end.receive_some() == expected
        ours.stop()


async def test_a_stopped_stream_fills_up_and_then_the_sender_waits() -> None:
    ours, theirs = memory_stream_pair(4)
    theirs.stop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, b"12345")
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        nursery.cancel_scope.cancel()


async def test_an_end_that_does_not_read_can_still_send() -> None:
    ours, theirs = memory_stream_pair()
    ours.stop_reading()
    await theirs.send_all(b"unread")
    with trio.move_on_after(0) as scope:
        await ours.receive_some()
    assert scope.cancelled_caught
    await ours.send_all(b"sent")
    assert await theirs.receive_some() == b"sent"
    ours.stop_reading(False)
    assert await ours.receive_some() == b"unread"


async def test_two_tasks_cannot_receive_at_once() -> None:
    ours, _theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.receive_some)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await ours.receive_some()
        nursery.cancel_scope.cancel()


async def test_a_cancelled_send_still_delivers_the_bytes_that_had_room() -> None:
    ours, theirs = memory_stream_pair(4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, b"123456")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await theirs.receive_some() == b"1234"
    with trio.move_on_after(0) as scope:
        await theirs.receive_some()
    assert scope.cancelled_caught


async def test_a_cancelled_receive_takes_nothing() -> None:
    ours, theirs = memory_stream_pair()
    with trio.move_on_after(0) as scope:
        await theirs.receive_some()
    assert scope.cancelled_caught
    await ours.send_all(b"kept")
    assert await theirs.receive_some() == b"kept"
