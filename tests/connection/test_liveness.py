"""The detection of dead clients: any bytes from a client are a sign of life."""

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, memory_stream_one_way_pair, wait_all_tasks_blocked

from gateway.connection import end_reasons
from gateway.connection.end_reasons import EndReason
from gateway.connection.liveness import TICK, Liveness
from gateway.connection.outbox import Frame, Outbox
from gateway.connection.websocket import SharedStream
from tests.session.memory_gateway import open_rig

PING_INTERVAL, PING_TIMEOUT = 5.0, 4.5
PATIENCE = PING_INTERVAL + PING_TIMEOUT
MEDIA_GRACE = 20.0


async def test_any_traffic_counts_as_liveness(autojump_clock: MockClock) -> None:
    """A pong waits behind all earlier messages. A WebSocket that reads nothing stands for a long queue."""
    async with open_rig() as rig:
        ada, ben = await rig.connect(read=False), await rig.connect()
        await ada.request("join", channelId="lobby", username="ada", userId="ada")
        await ben.join("ben")
        for _ in range(10):
            await trio.sleep(6)
            await ada.request("ping")
        silent_since = trio.current_time()
        assert ben.frames == []
        left = await ben.voice_state("user_left")
        assert left["reason"] == "timed_out"
        assert trio.current_time() - silent_since == pytest.approx(PATIENCE)


async def test_a_client_that_answers_pings_stays_for_ever(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await trio.sleep(24 * 3600)
        assert await ada.ok("ping") == {}


class Speaking(trio.abc.ReceiveStream):
    """Bytes arrive just before each deadline."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.sleep(PATIENCE)
        return b"here"

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_bytes_that_arrive_at_the_deadline_count(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """After a stall of the whole gateway, its timers and its sockets are due in one step, in any order."""

    for _ in range(20):
        shared = shared_over(Speaking())
        nursery.start_soon(read, shared)
        nursery.start_soon(must_stay, Liveness(shared, pinging(nursery, []), PING_INTERVAL, PING_TIMEOUT))
    await trio.sleep(10 * PATIENCE)


def shared_over(stream: trio.abc.ReceiveStream) -> SharedStream:
    return SharedStream(trio.StapledStream(memory_stream_one_way_pair()[0], stream), lambda: 1000, lambda: None)


def pinging(nursery: trio.Nursery, pings: list[float]) -> Outbox:
    """Make an outbox that notes when it sends, to a client that reads at once."""

    async def take(data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        pings.append(trio.current_time())

    outbox = Outbox(1000, 10)
    nursery.start_soon(outbox.send_all, take)
    return outbox


async def read(shared: SharedStream) -> None:
    while True:
        await shared.receive_some()


async def must_stay(liveness: Liveness) -> None:
    raise AssertionError(await liveness.wait_gone())


async def test_after_a_stall_of_the_gateway_a_client_is_pinged_before_it_counts_as_dead(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    pings: list[float] = []
    network, theirs = memory_stream_one_way_pair()
    shared = shared_over(theirs)
    nursery.start_soon(read, shared)
    nursery.start_soon(must_stay, Liveness(shared, pinging(nursery, pings), PING_INTERVAL, PING_TIMEOUT))
    await wait_all_tasks_blocked()
    autojump_clock.jump(60)
    await wait_all_tasks_blocked()
    assert pings == [60]
    await trio.sleep(PING_TIMEOUT / 2 - 0.1)
    await network.send_all(b"pong")
    await trio.sleep(PING_INTERVAL + 2 * TICK)
    assert pings == [60, pytest.approx(60 + PING_TIMEOUT / 2 - 0.1 + PING_INTERVAL, abs=TICK)]


async def test_clients_that_fell_quiet_at_different_times_are_pinged_together(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    pings: list[float] = []
    begun = trio.current_time()
    for _ in range(50):
        shared = shared_over(memory_stream_one_way_pair()[1])
        nursery.start_soon(Liveness(shared, pinging(nursery, pings), PING_INTERVAL, PING_TIMEOUT).wait_gone)
        await trio.sleep(1 / 50)
    await trio.sleep(PING_INTERVAL + TICK)
    assert len(pings) == 50
    assert len(set(pings)) <= 1 / TICK + 1
    late = [at - begun - PING_INTERVAL - number / 50 for number, at in enumerate(pings)]
    assert all(-1e-9 <= seconds <= TICK + 1e-9 for seconds in late)


@pytest.mark.parametrize(("interval", "timeout"), [(0.1, 0.1), (0.001, 3), (60, 0.01), (7, 7)])
async def test_with_any_configuration_there_is_time_to_answer_and_the_end_is_on_time(
    autojump_clock: MockClock, nursery: trio.Nursery, interval: float, timeout: float
) -> None:
    pings: list[float] = []
    begun = trio.current_time()
    shared = shared_over(memory_stream_one_way_pair()[1])
    end_reason = await Liveness(shared, pinging(nursery, pings), interval, timeout).wait_gone()
    assert end_reason is end_reasons.TIMED_OUT
    assert trio.current_time() - begun == pytest.approx(interval + timeout)
    (pinged,) = pings
    assert interval <= pinged - begun <= interval + min(TICK, timeout / 2) + 1e-9


@pytest.mark.parametrize("age", [0.01, 3, 10, 60])
async def test_with_any_configuration_a_client_that_reads_nothing_ends_on_time(
    autojump_clock: MockClock, nursery: trio.Nursery, age: float
) -> None:
    """The outbox fills between two checks, and nothing wakes the task that checks."""
    outbox = Outbox(1000, age)
    liveness = Liveness(shared_over(Speaking()), outbox, ping_interval=1000, ping_timeout=1000)
    ended: list[tuple[EndReason, float]] = []

    async def watch() -> None:
        ended.append((await liveness.wait_gone(), trio.current_time()))

    nursery.start_soon(watch)
    await trio.sleep(33.3)
    assert not ended
    begun = trio.current_time()
    outbox.put(Frame.of_text("something"))
    await trio.sleep(age + 1)
    ((end_reason, at),) = ended
    assert end_reason is end_reasons.TOO_SLOW
    assert at - begun == pytest.approx(age)


async def test_a_client_that_only_pings_by_itself_may_stay_for_weeks(autojump_clock: MockClock) -> None:
    async with open_rig(max_message_bytes=1024) as rig:
        (ada,) = await rig.joined("ada")
        for _ in range(2000):
            await trio.sleep(4.9)
            await ada.websocket.ping()
        assert await ada.ok("ping") == {}


# The media of a client with a quiet WebSocket.


@define
class Media:
    """Media that comes until ``until`` (in seconds). ``asked`` counts the calls."""

    until: float
    asked: list[float] = field(factory=list)

    def heard_at(self) -> float:
        now = trio.current_time()
        self.asked.append(now)
        return min(now, self.until)


def quiet_with(media: Media) -> Liveness:
    """Make a client that sends nothing on its WebSocket from now on."""
    shared = shared_over(memory_stream_one_way_pair()[1])
    return Liveness(shared, Outbox(1000, 1000), PING_INTERVAL, PING_TIMEOUT, MEDIA_GRACE, media.heard_at)


@pytest.mark.parametrize("until", [-1.0, 0.0, 0.1, 4.0, 9.0, 9.5, 9.6, 10.4, 10.5, 10.6, 15.0, 19.9, 20.0, 1000.0])
async def test_media_postpones_the_end_of_a_silent_websocket_for_a_while(
    autojump_clock: MockClock, until: float
) -> None:
    begun = trio.current_time()
    media = Media(begun + until)
    assert await quiet_with(media).wait_gone() is end_reasons.TIMED_OUT
    expected = max(PATIENCE, min(until + PATIENCE, MEDIA_GRACE))
    assert trio.current_time() - begun == pytest.approx(expected)


async def test_media_is_checked_only_when_the_websocket_was_silent_for_too_long(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    media = Media(1e9)
    shared = shared_over(Speaking())
    outbox = Outbox(1000, 1000)
    nursery.start_soon(read, shared)
    liveness = Liveness(shared, outbox, PING_INTERVAL, PING_TIMEOUT + 1, MEDIA_GRACE, media.heard_at)
    nursery.start_soon(must_stay, liveness)
    await trio.sleep(100)
    assert media.asked == []
    gone = Media(1e9)
    await quiet_with(gone).wait_gone()
    assert len(gone.asked) <= 6


async def test_a_websocket_that_returns_while_media_kept_it_is_watched_as_before(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    network, theirs = memory_stream_one_way_pair()
    shared = shared_over(theirs)
    nursery.start_soon(read, shared)
    media = Media(trio.current_time() + 9)
    ended: list[float] = []

    async def watch() -> None:
        liveness = Liveness(shared, Outbox(1000, 1000), PING_INTERVAL, PING_TIMEOUT, MEDIA_GRACE, media.heard_at)
        await liveness.wait_gone()
        ended.append(trio.current_time())

    nursery.start_soon(watch)
    await trio.sleep(9.6)
    await network.send_all(b"pong")
    back = trio.current_time()
    await trio.sleep(30)
    assert ended == [pytest.approx(back + PATIENCE)]


async def test_after_a_stall_the_gateway_checks_both_websocket_and_media(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Bytes and media that came during the stall are not read yet. Neither may count as silent before that."""
    pings: list[float] = []
    shared = shared_over(memory_stream_one_way_pair()[1])
    media = Media(1e9)
    ended: list[float] = []

    async def watch() -> None:
        outbox = pinging(nursery, pings)
        await Liveness(shared, outbox, PING_INTERVAL, PING_TIMEOUT, MEDIA_GRACE, media.heard_at).wait_gone()
        ended.append(trio.current_time())

    nursery.start_soon(watch)
    await wait_all_tasks_blocked()
    autojump_clock.jump(12)
    await wait_all_tasks_blocked()
    assert pings == [12]
    await trio.sleep(30)
    assert ended == [pytest.approx(MEDIA_GRACE)]
