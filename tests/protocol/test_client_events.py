"""The events of the Python client: in order, bounded, and ended by an exception with the reason."""

import pytest
import trio

from protocol import ActiveSpeakers, Closing, ConsumerClosed, Event, MessageReceived, encode
from protocol.client import ConnectionClosed, EventsLost
from tests.protocol.scripted_server import WebSocket, answer_everything, client_of, stay, until_gone


async def test_events_come_in_order_and_then_the_end_with_its_reason() -> None:
    sent: list[Event] = [ActiveSpeakers(("a", "b")), MessageReceived("a", {"x": None}), Closing("draining", 1001, 500)]

    async def script(websocket: WebSocket) -> None:
        for event in sent:
            await websocket.send_message(encode(event))
        await websocket.aclose(1001, "draining")

    received = []
    async with client_of(script) as client:
        with pytest.raises(ConnectionClosed) as caught:
            async for event in client.events():
                received.append(event)
    assert received == sent
    assert (caught.value.code, caught.value.closing) == (1001, sent[-1])


async def test_an_event_of_a_later_version_is_skipped() -> None:
    async def script(websocket: WebSocket) -> None:
        await websocket.send_message('{"type":"weather","data":{"rain":true}}')
        await websocket.send_message(encode(ActiveSpeakers(())))
        await stay(websocket)

    async with client_of(script) as client:
        assert await anext(client.events()) == ActiveSpeakers(())


@pytest.mark.parametrize(
    "frame",
    [
        "{",
        "[]",
        b'{"type":"active_speakers","data":{"userIds":[]}}',
        '{"type":"active_speakers","data":{"userIds":[5]}}',
        '{"type":7}',
    ],
)
async def test_a_frame_that_cannot_be_read_ends_the_connection_with_1002(frame: str | bytes) -> None:
    codes = []

    async def script(websocket: WebSocket) -> None:
        await websocket.send_message(frame)
        codes.append(await until_gone(websocket))

    async with client_of(script) as client:
        with pytest.raises(ConnectionClosed) as caught:
            await anext(client.events())
        assert caught.value.code == 1002
    assert codes == [1002]


async def test_unread_events_are_dropped_oldest_first_and_the_gap_shows() -> None:
    events: list[Event] = [ConsumerClosed(str(number), "failed") for number in range(10)]
    all_sent = trio.Event()

    async def script(websocket: WebSocket) -> None:
        for event in events:
            await websocket.send_message(encode(event))
        all_sent.set()
        await answer_everything(websocket)

    size = len(encode(events[0]))
    async with client_of(script, event_buffer=3 * size) as client:
        await all_sent.wait()
        await client.ping()  # the answer follows the events
        iterator = client.events()
        with pytest.raises(EventsLost) as caught:
            await anext(iterator)
        assert caught.value.count == 7
        assert [await anext(iterator) for _ in range(3)] == events[7:]


async def test_an_event_larger_than_the_buffer_is_still_delivered() -> None:
    event = MessageReceived("a", "x" * 1000)

    async def script(websocket: WebSocket) -> None:
        await websocket.send_message(encode(event))
        await stay(websocket)

    async with client_of(script, event_buffer=10) as client:
        assert await anext(client.events()) == event


async def test_a_cancelled_wait_loses_no_event() -> None:
    release = trio.Event()

    async def script(websocket: WebSocket) -> None:
        await release.wait()
        await websocket.send_message(encode(ActiveSpeakers(("a",))))
        await stay(websocket)

    async with client_of(script) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anext, client.events())
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        release.set()
        assert await anext(client.events()) == ActiveSpeakers(("a",))


async def test_a_program_that_reads_no_events_still_answers_pings() -> None:
    ponged = trio.Event()

    async def script(websocket: WebSocket) -> None:
        for number in range(200):
            await websocket.send_message(encode(ConsumerClosed(str(number), "failed")))
        await websocket.ping(b"are you there")
        ponged.set()
        await stay(websocket)

    async with client_of(script):
        with trio.fail_after(5):
            await ponged.wait()


async def test_two_tasks_that_wait_for_events_get_each_event_once() -> None:
    release = trio.Event()
    received = []

    async def script(websocket: WebSocket) -> None:
        await release.wait()
        for number in range(2):
            await websocket.send_message(encode(ConsumerClosed(str(number), "failed")))
        await stay(websocket)

    async with client_of(script) as client:

        async def take_one() -> None:
            received.append(await anext(client.events()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_one)
            nursery.start_soon(take_one)
            await trio.testing.wait_all_tasks_blocked()
            release.set()
    assert {event.consumer_id for event in received if isinstance(event, ConsumerClosed)} == {"0", "1"}
