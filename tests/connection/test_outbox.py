"""What waits for one client: bounded by bytes and age, in order, and waited for by nobody."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.outbox import Frame, Outbox
from protocol.events import ActiveSpeakers, MessageReceived


def frame(text: str, size: int | None = None) -> Frame:
    return Frame(text, len(text) if size is None else size)


class Overflow:
    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self) -> None:
        self.times.append(trio.current_time())


class Slow:
    """A network that takes each frame when told to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.may = trio.Semaphore(0)

    async def __call__(self, text: str) -> None:
        await self.may.acquire()
        self.sent.append(text)


def test_a_frame_knows_its_size_in_bytes() -> None:
    made = Frame.of(MessageReceived("ada", "grüß dich"))
    assert made.size == len(made.text.encode()) == len(made.text) + 2


async def test_frames_leave_in_the_order_they_came(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    network, outbox = Slow(), Outbox(100, 10, Overflow())
    nursery.start_soon(outbox.send_all, network)
    for text in ("one", "two", "three"):
        assert outbox.put(frame(text))
        network.may.release()
    await wait_all_tasks_blocked()
    assert network.sent == ["one", "two", "three"]
    assert outbox.size == 0


async def test_more_bytes_than_allowed_overflow_and_are_not_taken() -> None:
    await trio.lowlevel.checkpoint()
    overflow = Overflow()
    outbox = Outbox(100, 10, overflow)
    assert outbox.put(frame("a", 60))
    assert outbox.put(frame("b", 40))
    assert not overflow.times
    assert not outbox.put(frame("c", 1))
    assert len(overflow.times) == 1
    assert outbox.size == 100


async def test_any_number_of_small_frames_may_wait() -> None:
    await trio.lowlevel.checkpoint()
    overflow = Overflow()
    outbox = Outbox(100_000, 10, overflow)
    assert all(outbox.put(frame("x", 10)) for _ in range(10_000))
    assert not overflow.times


async def test_one_frame_larger_than_the_bound_may_wait_alone() -> None:
    await trio.lowlevel.checkpoint()
    overflow = Overflow()
    outbox = Outbox(100, 10, overflow)
    assert outbox.put(frame("snapshot", 500))
    assert not outbox.put(frame("x", 1))
    assert overflow.times


async def test_what_is_being_sent_counts_until_it_is_sent(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    network, other_network = Slow(), Slow()
    outbox, other = Outbox(100, 10, Overflow()), Outbox(100, 10, Overflow())
    for sender, link in ((outbox, network), (other, other_network)):
        nursery.start_soon(sender.send_all, link)
        sender.put(frame("a", 100))
    await wait_all_tasks_blocked()
    assert not other.put(frame("b", 1))
    network.may.release()
    await wait_all_tasks_blocked()
    assert outbox.put(frame("b", 100))


async def test_a_frame_that_waits_too_long_overflows_at_that_moment(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    overflow, network = Overflow(), Slow()
    outbox = Outbox(100, 10, overflow)
    nursery.start_soon(outbox.send_all, network)
    nursery.start_soon(outbox.watch_age)
    await trio.sleep(3)
    begun = trio.current_time()
    outbox.put(frame("a"))
    await trio.sleep(7)
    outbox.put(frame("b"))
    network.may.release()  # the first was in time: now the second is the oldest
    await trio.sleep(9.9)
    assert not overflow.times
    await trio.sleep(0.2)
    assert overflow.times == [begun + 17]


async def test_a_slow_reader_that_keeps_up_never_overflows(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    overflow, network = Overflow(), Slow()
    outbox = Outbox(100, 10, overflow)
    nursery.start_soon(outbox.send_all, network)
    nursery.start_soon(outbox.watch_age)
    for _ in range(20):
        outbox.put(frame("a"))
        await trio.sleep(9)
        network.may.release()
        await wait_all_tasks_blocked()
    assert not overflow.times


async def test_after_closing_the_backlog_is_sent_then_the_last_frame_then_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, outbox = Slow(), Outbox(100, 10, Overflow())
    outbox.put(frame("one"))
    outbox.close(frame("last"), backlog=True)
    assert not outbox.put(frame("too late"))
    nursery.start_soon(outbox.send_all, network)
    network.may.release()
    network.may.release()
    with trio.fail_after(1):
        await outbox.wait_empty()
    assert network.sent == ["one", "last"]


async def test_closing_without_the_backlog_keeps_only_what_is_on_its_way(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, outbox = Slow(), Outbox(100, 10, Overflow())
    nursery.start_soon(outbox.send_all, network)
    for text in ("one", "two", "three"):
        outbox.put(frame(text))
    await wait_all_tasks_blocked()
    outbox.close(frame("last"), backlog=False)
    assert outbox.size == len("one") + len("last")
    network.may.release()
    network.may.release()
    await outbox.wait_empty()
    assert network.sent == ["one", "last"]


def test_a_message_is_encoded_once_and_shared() -> None:
    made = Frame.of(ActiveSpeakers(("ada",)))
    assert made.text == '{"type":"active_speakers","data":{"userIds":["ada"]}}'


async def test_after_an_overflow_nothing_more_is_taken_so_that_nobody_sees_a_gap() -> None:
    await trio.lowlevel.checkpoint()
    overflow = Overflow()
    outbox = Outbox(10, 60, overflow)
    assert outbox.put(frame("12345678"))
    assert not outbox.put(frame("12345"))
    assert not outbox.put(frame("1"))
    assert len(overflow.times) == 1
