"""A client's faults affect that client only."""

from typing import NoReturn

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked

from gateway.connection import end_reasons
from gateway.session import dispatch
from gateway.session.observer import MemberObserver
from protocol.requests import Ping
from tests.session.memory_gateway import RawClient, Rig, microphone, open_rig, receive_transport, send_transport


async def stuck_member(rig: Rig) -> RawClient:
    """Connect a member that stops reading, over a stream without a buffer."""
    stuck = await rig.connect(read=False, streams=lockstep_stream_pair)
    await stuck.request("join", channelId="lobby", username="stuck", userId="stuck")
    await wait_all_tasks_blocked()
    return stuck


async def test_a_slow_reader_is_closed_when_too_many_bytes_wait_and_delays_no_other_client(
    autojump_clock: MockClock,
) -> None:
    async with open_rig(outbox_bytes=64 * 1024, message_burst=1000) as rig:
        await stuck_member(rig)
        ada, ben = await rig.joined("ada", "ben")
        begun = trio.current_time()
        for number in range(10):
            await ada.ok("message", data=[number, "x" * 15_000])
        left = next(frame["data"] for frame in await ben.take_all() if frame["type"] == "voice_state")
        assert trio.current_time() == begun
        assert (left["userId"], left["reason"]) == ("stuck", "failed")
        assert "the client reads too slowly" in [line.get("why") for line in rig.lines("stuck")]
        assert 'sfu_closes_total{code="4413"} 1.0' in rig.metrics.render().decode()


async def test_a_slow_reader_is_closed_when_a_message_has_waited_too_long(autojump_clock: MockClock) -> None:
    async with open_rig(outbox_age=3) as rig:
        await stuck_member(rig)
        (ben,) = await rig.joined("ben")
        for number in range(4):
            await ben.ok("message", data=number)
        begun = trio.current_time()
        left = await ben.voice_state("user_left")
        assert (left["userId"], left["reason"]) == ("stuck", "failed")
        assert trio.current_time() - begun <= 3


async def test_a_slow_reader_that_wakes_up_gets_the_reason_without_queued_frames(autojump_clock: MockClock) -> None:
    async with open_rig(outbox_bytes=64 * 1024, message_burst=1000) as rig:
        stuck = await stuck_member(rig)
        (ada,) = await rig.joined("ada")
        for number in range(10):
            await ada.ok("message", data=[number, "x" * 15_000])
        await wait_all_tasks_blocked()
        rig.nursery.start_soon(stuck.read)
        assert await stuck.wait_closed() == 4413
        assert stuck.frames[-1]["data"]["code"] == 4413
        assert len([frame for frame in stuck.frames if frame["type"] == "message"]) < 5


async def test_a_burst_of_messages_does_not_close_a_reading_client(autojump_clock: MockClock) -> None:
    async with open_rig(message_burst=10_000) as rig:
        ada, ben = await rig.joined("ada", "ben")
        for number in range(1000):
            await ada.request("message", data=number)
        received = [frame["data"]["data"] for frame in await ben.take_all()]
        assert received == list(range(1000))


async def test_a_bug_in_a_request_is_answered_with_a_reference_and_ends_only_that_session(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")

        def break_down(*_: object) -> NoReturn:
            raise RuntimeError("a secret detail")

        monkeypatch.setitem(dispatch.HANDLERS, Ping, break_down)
        answer = await ada.ask("ping")
        assert answer["data"]["code"] == "internal"
        assert "secret" not in str(answer)
        assert await ada.wait_closed() == 4500
        assert answer["data"]["reference"] in ada.frames[-1]["data"]["reason"]
        (logged,) = [line for line in rig.log if line["event"] == "session failed"]
        assert logged["reference"] == answer["data"]["reference"]
        assert (await ben.voice_state("user_left"))["reason"] == "failed"
        assert ben.closed is None


async def test_a_reset_in_the_middle_of_a_burst_ends_one_session(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        for _ in range(50):
            await ada.request("message", data="x")
        await trio.aclose_forcefully(ada.stream)
        frames = await ben.take_all()
        assert frames[-1]["data"]["reason"] == "disconnected"
        await ben.ok("ping")


async def test_a_bug_in_notifying_a_member_ends_only_that_member_and_is_logged_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice)

        def break_down(*_: object) -> NoReturn:
            raise RuntimeError("a bug")

        monkeypatch.setattr(MemberObserver, "consumer_closed", break_down)
        await ada.ok("close", producerId=voice)
        assert await ben.wait_closed() == 4500
        assert [line["event"] for line in rig.log if line["level"] == "error"] == ["session failed"]
        await ada.ok("ping")


async def test_many_simultaneous_leaves_with_much_metadata_close_no_reading_client(autojump_clock: MockClock) -> None:
    async with open_rig(outbox_bytes=1024**2) as rig:
        clients = [await rig.connect() for _ in range(40)]
        for number, client in enumerate(clients):
            await client.join(f"user-{number}", metadata={"about": "x" * 4000})
        await wait_all_tasks_blocked()
        for client in clients:
            client.forget()
        for connection in list(rig.gateway.connections.values())[10:]:
            connection.end(end_reasons.DISCONNECTED)
        await wait_all_tasks_blocked()
        assert [client.closed for client in clients[:10]] == [None] * 10
        seen = [frame["data"] for frame in clients[0].frames]
        assert [change["count"] for change in seen] == list(range(39, 9, -1))
        assert len(seen[0]["participants"]) == 39
        assert "participants" not in seen[-1]


async def test_endless_pausing_is_rate_limited_before_the_others_notice(
    autojump_clock: MockClock,
) -> None:
    async with open_rig(message_burst=10) as rig:
        ada, ben = await rig.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        answers = [await ada.ask("resume" if number % 2 else "pause", producerId=voice) for number in range(20)]
        assert [answer["type"] for answer in answers] == ["ok"] * 9 + ["error"] * 11
        assert answers[-1]["data"]["code"] == "rate_limited"
        assert len(await ben.take_all()) == 10
        await ada.ok("close", producerId=voice)
