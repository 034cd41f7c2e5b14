"""The close of a connection: with a reason and a code, in bounded time, whatever the client does."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed

from gateway.channel.moderation import ADMIN
from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.connection.end_reasons import EndReason
from tests.session.memory_gateway import RawClient, Rig, open_rig


async def stuck_before_the_close_frame(rig: Rig) -> RawClient:
    """Connect a client whose WebSocket stops reading after two messages, and so never sees a close frame."""
    client = await rig.connect(read=False)
    for _ in range(3):
        await client.request("ping")
    await wait_all_tasks_blocked()
    return client


CLOSED_BY_US = [
    end_reason
    for end_reason in vars(end_reasons).values()
    if isinstance(end_reason, EndReason) and end_reason.code is not None
]


def connection_of(rig: Rig) -> Connection:
    """Return the newest connection."""
    return list(rig.gateway.connections.values())[-1]


@pytest.mark.parametrize(
    "end_reason", CLOSED_BY_US, ids=[end_reason.text.replace(" ", "-") for end_reason in CLOSED_BY_US]
)
async def test_a_reading_client_gets_the_reason_and_then_the_code_at_once(
    autojump_clock: MockClock, end_reason: EndReason
) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        begun = trio.current_time()
        connection_of(rig).end(end_reason)
        assert await ada.wait_closed() == end_reason.code
        assert trio.current_time() == begun
        expected: dict[str, Any] = {"reason": end_reason.text, "code": end_reason.code}
        if end_reason.retry_after_ms is not None:
            expected["retryAfterMs"] = end_reason.retry_after_ms
        assert ada.frames == [{"type": "closing", "data": expected}]
        await wait_all_tasks_blocked()
        rig.assert_empty()


async def test_the_first_reason_stands(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        for end_reason in (end_reasons.REPLACED, end_reasons.DRAINING, end_reasons.INTERNAL):
            connection_of(rig).end(end_reason)
        assert await ada.wait_closed() == 4409
        assert [line["event"] for line in rig.lines("ada")].count("client disconnected") == 1


async def test_queued_messages_are_sent_before_the_reason(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        await ben.request("message", data="last words")
        await ben.next()
        rig.gateway.channels.moderation.remove("lobby", "ada", by=ADMIN)
        await ada.wait_closed()
        assert [frame["type"] for frame in ada.frames] == ["message", "closing"]


async def test_a_client_that_does_not_read_costs_one_second_and_gets_no_goodbye(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        stuck = await rig.connect(read=False, streams=lockstep_stream_pair)
        await stuck.request("join", channelId="lobby", username="stuck", userId="stuck")
        await wait_all_tasks_blocked()
        ben = await rig.connect()
        await ben.join("ben")
        for number in range(5):
            await ben.ok("message", data=number)
        begun = trio.current_time()
        rig.gateway.channels.moderation.remove("lobby", "stuck", by=ADMIN)
        left = (await ben.voice_state("user_left"))["reason"]
        assert left == "removed"
        assert trio.current_time() == begun  # the others do not wait for the goodbye
        await wait_all_tasks_blocked()
        assert rig.serving == 2
        await trio.sleep(1.01)
        assert rig.serving == 1
        assert [line["event"] for line in rig.log].count("goodbye cut off") == 1


async def test_a_client_that_never_answers_the_close_frame_is_dropped_after_one_second(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        await stuck_before_the_close_frame(rig)
        connection_of(rig).end(end_reasons.DRAINING)
        await trio.sleep(0.99)
        assert rig.serving == 1
        await trio.sleep(0.02)
        assert rig.serving == 0
        assert 'sfu_forced_cleanups_total{layer="gateway"} 1.0' in rig.metrics.render().decode()


async def test_a_reset_while_saying_goodbye_ends_it_at_once(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        stuck = await rig.connect(read=False, streams=lockstep_stream_pair)
        for _ in range(5):
            await stuck.request("ping")
        await wait_all_tasks_blocked()
        connection_of(rig).end(end_reasons.DRAINING)
        await trio.sleep(0.3)
        assert rig.serving == 1
        await trio.aclose_forcefully(stuck.stream)
        await wait_all_tasks_blocked()
        assert rig.serving == 0


async def test_a_silent_client_gets_no_goodbye_and_its_stream_is_closed(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        connection_of(rig).end(end_reasons.TIMED_OUT)
        assert await ada.wait_closed() == 1006
        assert ada.frames == []
        await wait_all_tasks_blocked()
        rig.assert_empty()


async def test_a_ping_from_the_client_during_the_close_does_no_harm(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        client = await stuck_before_the_close_frame(rig)
        connection_of(rig).end(end_reasons.DRAINING)
        await wait_all_tasks_blocked()
        assert rig.serving == 1  # the close frame is sent and not answered yet
        with trio.move_on_after(0.5):
            await client.websocket.ping(b"still here")
        assert rig.serving == 0  # trio-websocket's reader raised, so nothing is left to wait for
        assert not [line for line in rig.log if line["level"] == "error"]


async def test_a_bug_is_reported_with_the_log_reference_only(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        connection_of(rig).fail(RuntimeError("a secret detail"))
        assert await ada.wait_closed() == 4500
        (logged,) = [line for line in rig.log if line["event"] == "session failed"]
        (closing,) = ada.frames
        assert logged["reference"] in closing["data"]["reason"]
        assert "secret" not in str(ada.frames)
        assert "secret" in str(logged["exc_info"])
        assert logged["user"] == "ada"
        assert "sfu_session_errors_total 1.0" in rig.metrics.render().decode()


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_a_close_frame_of_the_client_is_answered(autojump_clock: MockClock, code: int) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        begun = trio.current_time()
        await ada.close(code)
        await wait_all_tasks_blocked()
        assert trio.current_time() == begun
        with pytest.raises(ConnectionClosed):
            await ada.websocket.get_message()
        rig.assert_empty()
