"""The frames that wait for one client: in order, bounded by bytes and age, and never waited for."""

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Event, Ping, TextMessage

from gateway.connection import end_reasons
from gateway.connection.liveness import Liveness
from gateway.connection.outbox import BATCH_BYTES, MOMENT, SENDS_IN_A_MOMENT, Frame, Outbox, SendBudget
from gateway.connection.websocket import SharedStream
from protocol.events import ActiveSpeakers, MessageReceived


def frame(text: str, size: int | None = None) -> Frame:
    return Frame.of_text(text if size is None else text.ljust(size, "."))


async def note_when_stuck(outbox: Outbox, times: list[float]) -> None:
    shared = SharedStream(memory_stream_pair()[0], lambda: 1000, lambda: None)
    assert await Liveness(shared, outbox, ping_interval=1000, ping_timeout=1000).wait_gone() is end_reasons.TOO_SLOW
    times.append(trio.current_time())


def show(event: Event) -> str:
    assert isinstance(event, TextMessage | Ping)
    return "ping" if isinstance(event, Ping) else event.data


class Slow:
    """A network that takes frames when a test allows it.

    ``sent`` holds the texts of the frames (``ping`` for a ping), ``sends`` the number of frames in each send.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.sends: list[int] = []
        self.may = trio.Semaphore(0)
        self._client = Connection(ConnectionType.CLIENT)

    async def __call__(self, data: bytes) -> None:
        await self.may.acquire()
        self._client.receive_data(data)
        texts = [show(event) for event in self._client.events()]
        self.sent += texts
        self.sends.append(len(texts))


def test_a_frame_knows_its_size_in_bytes() -> None:
    made = Frame.of(MessageReceived("ada", "grüß dich"))
    assert made.size == len(made.text.encode()) == len(made.text) + 2


async def test_frames_leave_in_the_order_they_came(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    network, outbox = Slow(), Outbox(100, 10)
    nursery.start_soon(outbox.send_all, network)
    for text in ("one", "two", "three"):
        assert outbox.put(frame(text))
        network.may.release()
    await wait_all_tasks_blocked()
    assert network.sent == ["one", "two", "three"]
    assert outbox.size == 0


async def test_more_bytes_than_allowed_are_refused() -> None:
    await trio.lowlevel.checkpoint()
    outbox = Outbox(100, 10)
    assert outbox.put(frame("a", 60))
    assert outbox.put(frame("b", 40))
    assert not outbox.put(frame("c", 1))
    assert outbox.size == 100


async def test_any_number_of_small_frames_may_wait() -> None:
    await trio.lowlevel.checkpoint()
    outbox = Outbox(100_000, 10)
    assert all(outbox.put(frame("x", 10)) for _ in range(10_000))


async def test_one_frame_larger_than_the_bound_may_wait_alone() -> None:
    await trio.lowlevel.checkpoint()
    outbox = Outbox(100, 10)
    assert outbox.put(frame("snapshot", 500))
    assert not outbox.put(frame("x", 1))


async def test_frames_being_sent_count_until_they_are_sent(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    network, other_network = Slow(), Slow()
    outbox, other = Outbox(100, 10), Outbox(100, 10)
    for sender, link in ((outbox, network), (other, other_network)):
        nursery.start_soon(sender.send_all, link)
        sender.put(frame("a", 100))
    await wait_all_tasks_blocked()
    assert not other.put(frame("b", 1))
    network.may.release()
    await wait_all_tasks_blocked()
    assert outbox.put(frame("b", 100))


async def test_waiting_frames_are_sent_together_up_to_a_limit(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    network, outbox = Slow(), Outbox(10 * BATCH_BYTES, 10)
    texts = ["a", "b", "c" * BATCH_BYTES, "d", *("e" * (BATCH_BYTES // 3) for _ in range(4))]
    for text in texts:
        outbox.put(frame(text))
        network.may.release()
    nursery.start_soon(outbox.send_all, network)
    await outbox.wait_empty()
    assert network.sent == texts
    assert network.sends == [2, 1, 3, 2]


async def test_frames_that_the_client_does_not_read_overflow_after_a_time(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, stuck = Slow(), list[float]()
    outbox = Outbox(100, 10)
    nursery.start_soon(outbox.send_all, network)
    nursery.start_soon(note_when_stuck, outbox, stuck)
    await trio.sleep(3)
    begun = trio.current_time()
    outbox.put(frame("a"))
    await trio.sleep(7)
    outbox.put(frame("b"))
    network.may.release()  # the first was in time
    await trio.sleep(9.9)
    assert not stuck
    await trio.sleep(0.2)
    assert stuck == [begun + 17]
    assert not outbox.put(frame("c"))


async def test_a_frame_that_is_old_only_because_of_the_queue_does_not_overflow(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, stuck = Slow(), list[float]()
    outbox = Outbox(100 * BATCH_BYTES, 10)
    nursery.start_soon(outbox.send_all, network)
    nursery.start_soon(note_when_stuck, outbox, stuck)
    for _ in range(10):
        outbox.put(frame("a", BATCH_BYTES))
    for _ in range(10):
        await trio.sleep(9)
        network.may.release()
    await outbox.wait_empty()
    assert not stuck


async def test_a_client_that_reads_at_the_deadline_keeps_up(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """After a stall of the whole gateway, its timers and its sockets are due in one step, in any order."""
    stuck = list[float]()

    async def take(data: bytes) -> None:
        await trio.sleep(10)

    for _ in range(20):
        outbox = Outbox(100, 10)
        outbox.put(frame("a"))
        nursery.start_soon(note_when_stuck, outbox, stuck)
        nursery.start_soon(outbox.send_all, take)
    await trio.sleep(11)
    assert not stuck


async def test_a_slow_reader_that_keeps_up_never_overflows(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    network, stuck = Slow(), list[float]()
    outbox = Outbox(100, 10)
    nursery.start_soon(outbox.send_all, network)
    nursery.start_soon(note_when_stuck, outbox, stuck)
    for _ in range(20):
        outbox.put(frame("a"))
        await trio.sleep(9)
        network.may.release()
        await wait_all_tasks_blocked()
    assert not stuck


async def test_after_closing_the_queued_frames_are_sent_then_the_last_one_then_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, outbox = Slow(), Outbox(100, 10)
    outbox.put(frame("one"))
    outbox.close(frame("last"), keep_queued=True)
    assert not outbox.put(frame("too late"))
    nursery.start_soon(outbox.send_all, network)
    network.may.release()
    network.may.release()
    with trio.fail_after(1):
        await outbox.wait_empty()
    assert network.sent == ["one", "last"]


async def test_closing_without_queued_frames_keeps_only_those_being_sent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, outbox = Slow(), Outbox(100, 10)
    nursery.start_soon(outbox.send_all, network)
    outbox.put(frame("one"))
    await wait_all_tasks_blocked()
    for text in ("two", "three"):
        outbox.put(frame(text))
    outbox.close(frame("last"), keep_queued=False)
    assert outbox.size == len("one") + len("last")
    network.may.release()
    network.may.release()
    await outbox.wait_empty()
    assert network.sent == ["one", "last"]


def test_a_message_is_encoded_once_and_shared() -> None:
    made = Frame.of(ActiveSpeakers(("ada",)))
    assert made.text == '{"type":"active_speakers","data":{"userIds":["ada"]}}'


async def test_after_an_overflow_every_frame_is_refused_so_that_there_is_no_gap() -> None:
    await trio.lowlevel.checkpoint()
    outbox = Outbox(10, 60)
    assert outbox.put(frame("12345678"))
    assert not outbox.put(frame("12345"))
    assert not outbox.put(frame("1"))


async def test_a_ping_goes_before_waiting_frames_and_behind_those_being_sent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, outbox = Slow(), Outbox(100, 10)
    nursery.start_soon(outbox.send_all, network)
    outbox.put(frame("one"))
    await wait_all_tasks_blocked()
    outbox.put(frame("two"))
    outbox.ping()
    assert outbox.size == len("onetwo")
    network.may.release()
    network.may.release()
    await outbox.wait_empty()
    assert network.sent == ["one", "ping", "two"]
    assert network.sends == [1, 2]


async def test_a_closed_outbox_sends_no_ping(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    network, outbox = Slow(), Outbox(100, 10)
    outbox.close(frame("last"), keep_queued=True)
    outbox.ping()
    nursery.start_soon(outbox.send_all, network)
    network.may.release()
    await outbox.wait_empty()
    assert network.sent == ["last"]


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 200_000])
def test_a_frame_is_framed_as_a_websocket_library_would(size: int) -> None:
    text = "x" * size
    assert Frame.of_text(text).wire == Connection(ConnectionType.SERVER).send(TextMessage(text))
    assert Frame.of_text(text).text == text


@pytest.mark.parametrize("size", [1, 100, 125, 65_500, 65_535])
def test_a_numbered_event_is_framed_like_any_other_and_shares_its_body(size: int) -> None:
    event = Frame.of_text('{"type":"message","data":"' + "x" * size + '"}')
    numbered = event.numbered(1234)
    assert numbered.text == '{"seq":1234,' + event.text[1:]
    assert numbered.wire == Connection(ConnectionType.SERVER).send(TextMessage(numbered.text))
    assert numbered.body is event.body


async def test_a_writer_whose_sends_never_wait_lets_other_tasks_run() -> None:
    outbox = Outbox(max_bytes=1000, max_age=1)
    turns: list[str] = []

    async def send(_: bytes) -> None:  # noqa: ASYNC124: stands for a socket that always has room
        turns.append("writer")
        if turns.count("writer") < 20:
            outbox.put(Frame.of_text("more"))
        elif turns.count("writer") == 20:
            outbox.close(Frame.of_text("last"), keep_queued=False)

    async def other() -> None:
        while "writer" not in turns or len(turns) < 10:
            turns.append("other")
            await trio.lowlevel.checkpoint()

    outbox.put(Frame.of_text("first"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.send_all, send)
        nursery.start_soon(other)
    assert "other" in turns[turns.index("writer") :]


async def test_a_discarded_outbox_is_empty_and_refuses_everything() -> None:  # noqa: ASYNC124: needs a clock
    outbox = Outbox(100, 10)
    assert outbox.put(Frame.of_text("a"))
    outbox.discard()
    assert (outbox.size, outbox.put(Frame.of_text("b"))) == (0, False)


class Network:
    """A socket that takes ``room`` bytes at once. ``text`` has the bytes of all frames so far."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.wire = b""
        self.rest = b""
        self.turns = 0

    def send_now(self, data: bytes) -> int:
        taken = data[: self.room]
        self.room -= len(taken)
        self.wire += taken
        self.rest = data[len(taken) :] if taken else b""
        return len(taken)

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.turns += 1
        self.wire += self.rest + data
        self.rest = b""

    @property
    def texts(self) -> list[str]:
        client = Connection(ConnectionType.CLIENT)
        client.receive_data(self.wire)
        return [show(event) for event in client.events()]


async def test_a_frame_for_an_idle_network_waits_for_no_task(nursery: trio.Nursery) -> None:
    network = Network(room=100)
    outbox = Outbox(100, 10, network.send_now)
    nursery.start_soon(outbox.send_all, network.send)
    await wait_all_tasks_blocked()
    assert outbox.put(frame("one"))
    assert (network.texts, outbox.size) == (["one"], 0)
    await wait_all_tasks_blocked()
    assert network.turns == 0


@pytest.mark.parametrize("room", [0, 1, 4, 20])
async def test_what_the_network_does_not_take_at_once_follows_in_order(nursery: trio.Nursery, room: int) -> None:
    network = Network(room)
    outbox = Outbox(100, 10, network.send_now)
    nursery.start_soon(outbox.send_all, network.send)
    await wait_all_tasks_blocked()
    texts = ["one", "two", "three", "four"]
    assert all(outbox.put(frame(text)) for text in texts)
    outbox.ping()
    await wait_all_tasks_blocked()
    sent = [text for text in network.texts if text != "ping"]
    assert (sent, outbox.size) == (texts, 0)
    assert "ping" in network.texts


async def test_a_frame_that_was_begun_counts_until_it_is_sent(nursery: trio.Nursery) -> None:
    network = Network(room=5)
    outbox = Outbox(20, 10, network.send_now)
    nursery.start_soon(outbox.send_all, network.send)
    await wait_all_tasks_blocked()
    assert outbox.put(frame("a", 15))
    assert not outbox.put(frame("b", 10))
    outbox.close(frame("bye"), keep_queued=False)
    await outbox.wait_empty()
    assert network.texts == ["a".ljust(15, "."), "bye"]


class Takes(trio.abc.Stream):
    """A stream that takes a few bytes at once, and all bytes of a task that waits."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.wire = b""

    def send_nowait(self, data: bytes) -> int:
        taken = data[: self.at_once]
        self.wire += taken
        return len(taken)

    def reset_on_close(self) -> None:
        raise NotImplementedError

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.wire += data

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


async def test_the_rest_of_a_frame_comes_before_a_frame_of_trio_websocket() -> None:
    for at_once in range(5):
        stream = Takes(at_once)
        shared = SharedStream(stream, lambda: 1000, lambda: None)
        one, two, pong = frame("one").wire, frame("two").wire, b"\x8a\x00"
        sent = shared.send_now(one)
        assert sent == at_once
        assert shared.send_now(two) == (0 if 0 < sent < len(one) else at_once)
        await shared.send_all(pong)
        await shared.send_frames(b"" if sent else one)
        assert stream.wire == (one + pong if sent else pong + one)


async def test_nothing_is_sent_at_once_after_a_close_frame_or_on_a_broken_stream() -> None:
    class Broken(Takes):
        def send_nowait(self, data: bytes) -> int:
            raise trio.BrokenResourceError

    assert SharedStream(Broken(9), lambda: 1000, lambda: None).send_now(frame("one").wire) == 0
    stream = Takes(99)
    shared = SharedStream(stream, lambda: 1000, lambda: None)
    await shared.send_all(b"\x88\x02\x03\xe8")
    assert shared.send_now(frame("one").wire) == 0
    assert stream.wire == b"\x88\x02\x03\xe8"


async def test_of_the_frames_of_one_moment_only_the_first_is_sent_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network = Network(room=1000)
    outbox = Outbox(1000, 10, network.send_now)
    nursery.start_soon(outbox.send_all, network.send)
    await wait_all_tasks_blocked()
    for text in ("one", "two", "three"):
        assert outbox.put(frame(text))
    assert network.texts == ["one"]
    await wait_all_tasks_blocked()
    assert (network.texts, network.turns) == (["one", "two", "three"], 1)
    await trio.sleep(MOMENT)
    assert outbox.put(frame("four"))
    assert (network.texts[-1], network.turns) == ("four", 1)


async def test_one_step_does_not_send_to_very_many_at_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    budget, networks = SendBudget(), [Network(room=1000) for _ in range(SENDS_IN_A_MOMENT + 5)]
    outboxes = [Outbox(1000, 10, network.send_now, budget) for network in networks]
    for outbox, network in zip(outboxes, networks, strict=True):
        nursery.start_soon(outbox.send_all, network.send)
    await wait_all_tasks_blocked()
    for outbox in outboxes:
        outbox.put(frame("one"))
    assert sum(bool(network.wire) for network in networks) == SENDS_IN_A_MOMENT
    await wait_all_tasks_blocked()
    assert all(network.texts == ["one"] for network in networks)


async def test_frames_that_are_not_counted_leave_the_bound_to_others(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budget, networks = SendBudget(), [Network(room=1000) for _ in range(SENDS_IN_A_MOMENT + 5)]
    outboxes = [Outbox(1000, 10, network.send_now, budget) for network in networks]
    for outbox, network in zip(outboxes, networks, strict=True):
        nursery.start_soon(outbox.send_all, network.send)
    await wait_all_tasks_blocked()
    for outbox in outboxes:
        outbox.put(frame("one"), counted=False)
    assert all(network.texts == ["one"] for network in networks)
    assert budget.take(trio.current_time())


async def test_a_frame_may_come_while_somebody_waits_until_all_is_sent(nursery: trio.Nursery) -> None:
    network, outbox = Slow(), Outbox(100, 10)
    nursery.start_soon(outbox.send_all, network)
    outbox.put(frame("one"))
    nursery.start_soon(outbox.wait_empty)
    await wait_all_tasks_blocked()
    assert outbox.put(frame("two"))
    network.may.release()
    network.may.release()
    await wait_all_tasks_blocked()
    assert network.sent == ["one", "two"]
