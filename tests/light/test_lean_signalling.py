"""Lean signalling with a real gateway: answers, refusals, events and ends."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio

from protocol import limits
from protocol.client import ConnectionClosed, RequestError
from protocol.errors import CloseCode
from protocol.requests import Consume, Join, Leave, Ping, ResumeSession, SendMessage
from protocol.responses import Done
from tools.light.lean_signalling import LeanSignalling
from tools.light.websocket import WebSocketPool
from tools.servers import running_gateway

ABSENT = Consume("no-such-transport", "no-such-producer")


@pytest.fixture
async def pool() -> AsyncIterator[WebSocketPool]:
    async with running_gateway() as gateway, trio.open_nursery() as nursery:
        opened = WebSocketPool(gateway.socket)
        nursery.start_soon(opened.run)
        yield opened
        nursery.cancel_scope.cancel()
        opened.close()


async def test_answers_have_the_types_that_requests_name(pool: WebSocketPool) -> None:
    client = await pool.open(LeanSignalling)
    joined = await client.request(Join("lobby", "Ada", "ada"))
    assert [one.user_id for one in joined.participants] == ["ada"]
    assert await client.requests([Ping(), Ping()]) == [Done(), Done()]
    assert await client.requests([]) == []


async def test_a_refusal_raises(pool: WebSocketPool) -> None:
    client = await pool.open(LeanSignalling)
    await client.request(Join("lobby", "Ada", "ada"))
    for ask in (client.requests, client.perform):
        with pytest.raises(RequestError) as refused:
            await ask([ABSENT, ABSENT])
        assert refused.value.code == "not_found"


async def test_the_end_of_the_connection_ends_what_waits(pool: WebSocketPool) -> None:
    client = await pool.open(LeanSignalling)
    await client.request(Join("lobby", "Ada", "ada"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect_closed, client)
        await trio.testing.wait_all_tasks_blocked()
        client.end(CloseCode.ABNORMAL)
    client.close()


async def _expect_closed(client: LeanSignalling) -> None:
    client.ignore()
    with pytest.raises(ConnectionClosed) as closed:
        await client.request(Ping())
    assert closed.value.code == CloseCode.ABNORMAL


async def test_a_leave_of_another_member_is_noted_and_the_event_kept(pool: WebSocketPool) -> None:
    left: list[str] = []
    listener = await pool.open(partial(LeanSignalling, on_left=lambda user_id, at: left.append(user_id)))
    await listener.request(Join("lobby", "Ada", "ada"))
    other = await pool.open(partial(LeanSignalling, keep_events=False))
    await other.request(Join("lobby", "Ben", "ben"))
    await other.request(Leave())
    await listener.request(Ping())
    assert left == ["ben"]
    assert [event[:40].count(b"voice_state") for event in listener.events] == [1, 1]
    assert other.events == []


async def test_what_has_come_is_acknowledged_so_that_the_gateway_forgets_it(pool: WebSocketPool) -> None:
    listener = await pool.open(LeanSignalling)
    joined = await listener.request(Join("lobby", "Ada", "ada"))
    speaker = await pool.open(LeanSignalling)
    await speaker.request(Join("lobby", "Ben", "ben"))
    messages = 2 * limits.ACKNOWLEDGE_BYTES // 15_000 + 1
    for _ in range(messages):
        await speaker.request(SendMessage("x" * 15_000))
        await listener.request(Ping())
    replayed: list[float] = []
    successor = await pool.open(partial(LeanSignalling, on_message=replayed.append))
    # It names no event, so the gateway sends all events again that it still has.
    resumed = await successor.request(ResumeSession(joined.session_id, joined.session_secret, 0, 1000))
    await successor.request(Ping())
    assert resumed.last_event == 1 + messages
    assert len(replayed) - 2 <= 3  # without the two answers
    listener.close()
