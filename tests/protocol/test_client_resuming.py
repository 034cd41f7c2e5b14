"""The Python client goes on with its session over another connection, and its program notices nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from protocol import GetStats, MessageReceived, VoiceState, limits
from protocol.client import AnswerLost, Client, ConnectionClosed, StateLost, Timeouts, connect_over
from protocol.client_websocket import ClientWebSocket
from tests.conformance.whole_gateway import Gate, open_gate


class Network:
    """The way of one client to the gateway. It has the client's ends of all streams, and may be down."""

    def __init__(self, gate: Gate, name: str) -> None:
        self._gate = gate
        self._name = name
        self.streams: list[trio.abc.Stream] = []
        self.is_down = False

    async def open_stream(self) -> trio.abc.Stream:
        if self.is_down:
            raise OSError("the network is unreachable")
        self.streams.append(self._gate.stream(self._name))
        return self.streams[-1]

    async def cut(self) -> None:
        """Break the present connection."""
        await trio.aclose_forcefully(self.streams[-1])


@asynccontextmanager
async def joined(gate: Gate, name: str, resume: float = 20) -> AsyncIterator[tuple[Client, Network]]:
    network = Network(gate, name)
    timeouts = Timeouts(resume=resume)
    first = await network.open_stream()
    async with connect_over(first, timeouts=timeouts, open_stream=network.open_stream) as client:
        await client.join("lobby", name, user_id=name)
        yield client, network


async def messages(client: Client, count: int) -> list[object]:
    """Return the data of the next ``count`` messages."""
    found: list[object] = []
    with trio.fail_after(60):
        async for event in client.events():
            if isinstance(event, MessageReceived):
                found.append(event.data)
            if len(found) == count:
                return found
    raise AssertionError("unreachable")


async def test_a_session_goes_on_after_its_connection_broke(autojump_clock: MockClock) -> None:
    async with open_gate(resume_grace=5) as gate, joined(gate, "ada") as (ada, _):
        async with joined(gate, "ben") as (ben, network):
            await ada.send_message(1)
            await network.cut()
            await ada.send_message(2)
            await wait_all_tasks_blocked()
            await ada.send_message(3)
            assert await messages(ben, 3) == [1, 2, 3]
            assert (await ben.send_message("here")).delivered == 1
            assert len(network.streams) == 2
        events = ada.events()
        kinds = [event.type for event in [await anext(events) for _ in range(3)] if isinstance(event, VoiceState)]
        assert kinds == ["user_joined", "user_left"]


async def test_requests_wait_for_the_next_connection_and_are_served_once(autojump_clock: MockClock) -> None:
    async with open_gate(resume_grace=5) as gate, joined(gate, "ada") as (ada, _), joined(gate, "ben") as (ben, way):
        way.is_down = True
        await way.cut()
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(ben.send_message, number)
            await trio.sleep(1)
            way.is_down = False
        assert sorted(await messages(ada, 5)) == list(range(5))  # type: ignore[type-var]
        await trio.sleep(1)
        assert await ada.stats() is not None


async def test_a_program_may_change_its_connection_by_itself(autojump_clock: MockClock) -> None:
    async with open_gate(resume_grace=5) as gate, joined(gate, "ada") as (ada, _), joined(gate, "ben") as (ben, way):
        for number in range(3):
            ben.reconnect()
            assert (await ben.send_message(number)).delivered == 1
        assert await messages(ada, 3) == [0, 1, 2]
        assert len(way.streams) == 4


async def test_a_program_may_change_its_connection_although_the_gateway_has_no_grace(autojump_clock: MockClock) -> None:
    async with open_gate() as gate, joined(gate, "ada") as (ada, _), joined(gate, "ben") as (ben, way):
        await messages_pass(ada, ben)
        for number in range(5):
            way.is_down = number == 2  # the first attempt fails, and the old connection must keep the session
            ben.reconnect()
            await ada.send_message(number)
            await trio.sleep(0.1)
            way.is_down = False
            assert (await ben.send_message(number)).delivered == 1
        assert await messages(ada, 5) == list(range(5))
        assert await messages(ben, 5) == list(range(5))
        assert len(way.streams) == 6
        for stream in way.streams[:-1]:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some(1)


async def test_a_client_may_end_while_it_changes_its_connection(autojump_clock: MockClock) -> None:
    async with open_gate() as gate, joined(gate, "ada") as (ada, _):
        for rounds in range(12):
            async with joined(gate, "ben") as (ben, way):
                ben.reconnect()
                for _ in range(3 * rounds):
                    await trio.lowlevel.checkpoint()
            for stream in way.streams:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.receive_some(1)
            await wait_all_tasks_blocked()
            assert list(gate.server.gateway.channels.channels["lobby"].members) == ["ada"]
        await ada.ping()


async def test_a_session_that_the_gateway_has_ended_ends_the_connection(autojump_clock: MockClock) -> None:
    async with open_gate() as gate, joined(gate, "ada") as (ada, way):  # without a grace a broken stream ends it
        await way.cut()
        with pytest.raises(ConnectionClosed) as closed:
            await ada.ping()
        assert closed.value.code == 1006


@pytest.mark.parametrize(("resume", "seconds"), [(0, 0), (8, 8)])
async def test_a_client_tries_for_as_long_as_it_may(autojump_clock: MockClock, resume: float, seconds: float) -> None:
    async with open_gate(resume_grace=9) as gate, joined(gate, "ada", resume) as (ada, way):
        way.is_down = True
        before = trio.current_time()
        await way.cut()
        with pytest.raises(ConnectionClosed):
            async for _ in ada.events():
                pass
        assert seconds - 2 <= trio.current_time() - before <= seconds


async def test_lost_events_are_replaced_by_the_whole_state(autojump_clock: MockClock) -> None:
    async with open_gate(resume_grace=9) as gate, joined(gate, "ada") as (ada, _), joined(gate, "ben") as (ben, way):
        await messages_pass(ada, ben)
        way.is_down = True
        await way.cut()
        for number in range(limits.MAX_UNACKNOWLEDGED_BYTES // 15_000 + 2):
            await ada.send_message([number, "x" * 15_000])
        way.is_down = False
        events = ben.events()
        with trio.fail_after(60):
            lost = await anext(events)
        assert isinstance(lost, StateLost)
        assert [one.user_id for one in lost.state.participants or ()] == ["ada", "ben"]
        await ada.send_message("next")
        assert await messages(ben, 1) == ["next"]


async def messages_pass(sender: Client, receiver: Client) -> None:
    await sender.send_message("hello")
    await messages(receiver, 1)


async def test_a_request_whose_answer_is_lost_says_so(autojump_clock: MockClock) -> None:
    async with open_gate(resume_grace=9) as gate, joined(gate, "ada") as (ada, _), joined(gate, "ben") as (ben, way):
        errors: list[BaseException] = []

        async def ask() -> None:
            try:
                await ben.request(GetStats())
            except AnswerLost as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.lowlevel.checkpoint()
            member = gate.server.gateway.channels.channels["lobby"].members["ben"]
            log = member.connection.replay_log
            while log is None or log.answers < 2:  # noqa: ASYNC110: the gateway has no event for this
                await trio.lowlevel.checkpoint()
            way.is_down = True
            ben.reconnect()
            for number in range(limits.MAX_UNACKNOWLEDGED_BYTES // 15_000 + 2):
                await ada.send_message([number, "x" * 15_000])
            way.is_down = False
        assert len(errors) == 1


async def test_what_has_come_is_acknowledged(autojump_clock: MockClock) -> None:
    async with open_gate() as gate, joined(gate, "ada") as (ada, _), joined(gate, "ben") as (ben, _):
        log = gate.server.gateway.channels.channels["lobby"].members["ben"].connection.replay_log
        assert log is not None
        for number in range(40):
            await ada.send_message([number, "x" * 15_000])
            await messages(ben, 1)
            assert log.size < limits.ACKNOWLEDGE_BYTES + 3 * 15_000
        await trio.sleep(11)
        assert log.size < 1000
        before = log.answers
        await trio.sleep(60)
        assert log.answers == before  # acknowledgements alone cause no further ones


async def test_changes_with_much_metadata_are_acknowledged_before_the_gateway_drops_them(
    autojump_clock: MockClock,
) -> None:
    async with open_gate() as gate, joined(gate, "ada") as (ada, _), joined(gate, "ben") as (_, _):
        log = gate.server.gateway.channels.channels["lobby"].members["ben"].connection.replay_log
        assert log is not None
        largest = 0
        for number in range(80):
            await ada.update(metadata={"number": number, "about": "x" * 4000})
            await trio.testing.wait_all_tasks_blocked()
            largest = max(largest, log.size)
        assert limits.ACKNOWLEDGE_BYTES // 2 < largest < limits.MAX_UNACKNOWLEDGED_BYTES


async def test_more_waiting_requests_than_may_be_unanswered_do_not_hinder_resuming(autojump_clock: MockClock) -> None:
    async with open_gate(resume_grace=9) as gate, joined(gate, "ada") as (ada, way):
        way.is_down = True
        await way.cut()
        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(ada.ping)
            await trio.sleep(1)
            way.is_down = False
        assert len(way.streams) == 2


async def test_a_late_answer_to_resume_session_does_not_cost_the_session(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, late = ClientWebSocket.send, iter([True])

    async def send_slowly(websocket: ClientWebSocket, text: str) -> None:
        await send(websocket, text)
        if "resume_session" in text and next(late, False):
            await trio.sleep(5)  # the client gives the attempt up, although the gateway has taken this socket

    monkeypatch.setattr(ClientWebSocket, "send", send_slowly)
    async with open_gate() as gate, joined(gate, "ada") as (ada, way), joined(gate, "ben") as (ben, _):
        ada.reconnect()
        assert (await ada.send_message("still here")).delivered == 1
        assert len(way.streams) == 3
        assert await messages(ben, 1) == ["still here"]
