"""Every end of a session closes its media, then changes the list, then notifies the others."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import structlog
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed

from gateway.channel.moderation import ADMIN
from gateway.connection import end_reasons
from tests.session.memory_gateway import RawClient, Rig, camera, microphone, open_rig, receive_transport, send_transport

STORY = ["media closed", "removed from channel", "members notified"]


async def with_media(rig: Rig) -> tuple[RawClient, RawClient]:
    """Set up two members. The first sends two streams and the second one. Each receives one stream of the other."""
    ada, ben = await rig.joined("ada", "ben")
    sending = await send_transport(ada)
    voice = await microphone(ada, sending)
    await camera(ada, sending)
    own = await microphone(ben, await send_transport(ben))
    await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice)
    await ada.ok("consume", transportId=await receive_transport(ada), producerId=own)
    await ada.take_all()
    await ben.take_all()
    return ada, ben


async def leave(rig: Rig, client: RawClient) -> None:
    await client.ok("leave")


async def close_normally(rig: Rig, client: RawClient) -> None:
    await client.close(1000)


async def close_tab(rig: Rig, client: RawClient) -> None:
    await client.close(1001)


async def cut(rig: Rig, client: RawClient) -> None:
    await trio.aclose_forcefully(client.stream)


async def be_removed(rig: Rig, client: RawClient) -> None:
    await trio.lowlevel.checkpoint()
    rig.gateway.channels.moderation.remove("lobby", "ada", by=ADMIN)


async def be_replaced(rig: Rig, client: RawClient) -> None:
    newer = await rig.connect()
    await newer.join("ada")


async def drain(rig: Rig, client: RawClient) -> None:
    await trio.lowlevel.checkpoint()
    next(iter(rig.gateway.connections.values())).end(end_reasons.DRAINING)


async def send_binary(rig: Rig, client: RawClient) -> None:
    await client.raw(b"\0")


async def break_websocket(rig: Rig, client: RawClient) -> None:
    await client.stream.send_all(b"\xff\xff\xff\xff")


async def send_nonsense(rig: Rig, client: RawClient) -> None:
    for _ in range(21):
        await client.raw("{")


async def flood(rig: Rig, client: RawClient) -> None:
    with suppress(ConnectionClosed):
        for _ in range(4200):
            await client.request("ping")


async def hit_a_bug(rig: Rig, client: RawClient) -> None:
    await trio.lowlevel.checkpoint()
    next(iter(rig.gateway.connections.values())).fail(RuntimeError("a bug"))


WAYS: list[tuple[Callable[[Rig, RawClient], Awaitable[None]], str, int | None]] = [
    (leave, "left", None),
    (close_normally, "left", None),
    (close_tab, "disconnected", None),
    (cut, "disconnected", None),
    (be_removed, "removed", 4403),
    (be_replaced, "replaced", 4409),
    (drain, "draining", 1001),
    (send_binary, "failed", 1003),
    (break_websocket, "failed", None),
    (send_nonsense, "failed", 4400),
    (flood, "failed", 4429),
    (hit_a_bug, "failed", 4500),
]


@pytest.mark.parametrize(("end", "reason", "code"), WAYS, ids=[way[0].__name__ for way in WAYS])
async def test_media_closes_first_then_the_list_changes_then_the_others_are_notified(
    autojump_clock: MockClock, end: Callable[[Rig, RawClient], Awaitable[None]], reason: str, code: int | None
) -> None:
    async with open_rig() as rig:
        ada, ben = await with_media(rig)
        rig.log.clear()
        await end(rig, ada)
        closed = await ben.event("consumer_closed")
        assert closed["reason"] == "user_left"
        left = await ben.voice_state("user_left")
        assert (left["userId"], left["reason"], left["count"]) == ("ada", reason, 1)
        assert len(left["participant"]["producers"]) == 2
        assert [person["userId"] for person in left["participants"]] == ["ben"]

        story = [line for line in rig.lines("ada") if line["event"] in STORY][:3]
        assert [line["event"] for line in story] == STORY
        # Ben's two transports and his producer are left, and no consumer. Everything of Ada's is closed before any
        # event.
        for line in story:
            assert (line["media"].transports, line["media"].producers, line["media"].consumers) == (2, 1, 0)
        assert (story[0]["consumers"], story[0]["producers"], story[0]["transports"]) == (1, 2, 2)
        assert story[1]["remaining"] == 1
        assert story[2]["members"] == 1
        first = rig.lines("ada")[0]
        assert first["event"] == ("client left" if end is leave else "client disconnected")
        if code is not None:
            assert await ada.wait_closed() == code
            closing = [frame["data"] for frame in ada.frames if frame.get("type") == "closing"]
            assert [data["code"] for data in closing] == [code]
            assert ada.frames[-1]["type"] == "closing"


async def test_leave_is_answered_after_everything_is_closed_and_the_others_are_notified(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        ada, ben = await with_media(rig)
        await ada.request("leave")
        answer = await ada.next()
        assert answer["type"] == "ok"
        assert [frame["type"] for frame in ben.frames] == ["consumer_closed", "voice_state"]
        assert rig.gateway.channels.counts().members == 1
        assert await ada.take_all() == []


async def test_after_leaving_a_client_may_join_another_channel_as_another_user(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.ok("leave")
        assert list(rig.gateway.channels.channels) == []
        joined = await ada.join("eve", "cellar")
        assert joined["revision"] == 1
        assert list(rig.gateway.channels.channels) == ["cellar"]
        assert await ada.error("produce", transportId="x", kind="audio", source="other", rtpParameters={}) == "invalid"


async def test_after_leaving_there_are_ten_seconds_to_join_again(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await trio.sleep(100)
        await ada.ok("leave")
        await trio.sleep(9.9)
        assert ada.closed is None
        assert await ada.wait_closed() == 4408


async def test_a_silent_client_is_gone_within_ten_seconds(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect(read=False)
        await ada.request("join", channelId="lobby", username="ada", userId="ada")
        await ben.voice_state("user_joined")
        # Its reader holds only a message or two that no task takes, so later pongs do not come back.
        for number in range(3):
            await ben.ok("message", data=number)
        begun = trio.current_time()
        left = await ben.voice_state("user_left")
        assert left["reason"] == "timed_out"
        assert trio.current_time() - begun <= 10


async def test_a_cancelled_gateway_still_leaves_in_order(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await with_media(rig)
        rig.log.clear()
        for scope in rig.scopes:
            scope.cancel()
        await ada.wait_closed()
        assert [line["event"] for line in rig.lines("ada")] == ["client disconnected", *STORY]
        assert ada.closed == 1001
        await wait_all_tasks_blocked()
        rig.assert_empty()


async def test_the_time_from_the_end_to_the_notification_is_measured(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await with_media(rig)
        await ada.close()
        await wait_all_tasks_blocked()
        text = rig.metrics.render().decode()
        assert "sfu_leave_to_told_seconds_count 1.0" in text
        assert 'sfu_leaves_total{reason="left"} 1.0' in text


@pytest.mark.usefixtures("slow_goodbyes")
async def test_the_measured_time_of_a_leave_begins_with_the_request(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await with_media(rig)
        await ada.ok("leave")
        (received,) = [line for line in rig.lines("ada") if line["event"] == "members notified"]
        assert received["seconds"] == pytest.approx(1)
        (closed,) = [line for line in rig.lines("ada") if line["event"] == "media closed"]
        assert closed["seconds"] == pytest.approx(1)
        assert closed["forced"] == 2


async def test_log_lines_after_leaving_do_not_name_the_user(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.ok("leave")
        await ada.close()
        await wait_all_tasks_blocked()
        assert [line["event"] for line in rig.lines("ada")] == [
            "client joined",
            "client left",
            "media closed",
            "removed from channel",
            "members notified",
        ]
        assert rig.log[-1]["event"] == "client disconnected"


async def test_log_lines_after_a_refused_join_do_not_name_the_user(autojump_clock: MockClock) -> None:
    async with open_rig(max_members=1) as rig:
        await rig.joined("ada")
        ben = await rig.connect()
        assert await ben.error("join", channelId="lobby", username="ben", userId="ben") == "limit_exceeded"
        await ben.close()
        await wait_all_tasks_blocked()
        assert rig.log[-1]["event"] == "client disconnected"
        assert rig.lines("ben") == []


async def test_a_hundred_simultaneous_leaves_are_all_broadcast_in_order(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        watcher, *_others = await rig.joined("watcher", *(f"user-{number}" for number in range(100)))
        for connection in list(rig.gateway.connections.values())[1:]:
            connection.end(end_reasons.DISCONNECTED)
        frames = await watcher.take_all()
        assert [frame["data"]["revision"] for frame in frames] == list(range(102, 202))
        assert [frame["data"]["count"] for frame in frames] == list(range(100, 0, -1))
        assert sorted(frame["data"]["userId"] for frame in frames) == sorted(f"user-{number}" for number in range(100))
        assert watcher.closed is None


@pytest.mark.parametrize("event", ["client disconnected", *STORY])
async def test_a_leave_is_broadcast_even_when_logging_fails(autojump_clock: MockClock, event: str) -> None:
    async with open_rig() as rig:
        ada, ben = await with_media(rig)

        def break_down(_: object, __: str, line: Any) -> Any:
            if line["event"] == event:
                raise RuntimeError("the log is broken")
            return line

        structlog.get_config()["processors"].insert(0, break_down)
        await cut(rig, ada)
        frames = [frame["data"] for frame in await ben.take_all() if frame["type"] == "voice_state"]
        assert [(frame["type"], frame["userId"]) for frame in frames] == [("user_left", "ada")]
        assert rig.serving == 1
        assert rig.router.counts().peers == 1
