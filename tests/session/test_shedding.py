"""An overloaded gateway refuses newcomers. Whoever is inside, or was a moment ago, is none."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.channel.lost_seats import SECONDS, LostSeats
from gateway.connection import end_reasons
from protocol.errors import CloseCode
from tests.session.memory_gateway import RawClient, Rig, open_rig
from tools.harness.client import secret_of

SOON = {"retryAfterMs": end_reasons.NO_ROOM.retry_after_ms}


def overload(rig: Rig) -> None:
    rig.gateway.room.loop.look(trio.current_time(), load=1.0, delay=0.0)


async def ask_to_join(rig: Rig, user: str, channel: str = "lobby", **data: Any) -> RawClient:
    client = await rig.connect()
    own = {"username": user, "userId": user, "sessionSecret": secret_of(user)}
    await client.request("join", **{"channelId": channel, **own, **data})
    await wait_all_tasks_blocked()
    return client


async def refused(client: RawClient) -> None:
    """Check that a client was refused as a newcomer, and told when to come back."""
    answer = await client.next()
    assert (answer["type"], answer["data"]["code"]) == ("error", "rate_limited")
    assert answer["data"]["retryAfterMs"] == SOON["retryAfterMs"]
    closing = await client.event("closing")
    assert closing == {"reason": end_reasons.NO_ROOM.text, "code": 4429, **SOON}
    assert await client.wait_closed() == CloseCode.RATE_LIMITED


async def admitted(client: RawClient) -> None:
    assert (await client.next())["type"] == "ok"


async def test_newcomers_are_refused_and_those_inside_notice_nothing(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        overload(rig)
        await refused(await ask_to_join(rig, "cleo"))
        await refused(await ask_to_join(rig, "dora", channel="elsewhere"))
        assert "sfu_newcomers_refused_total 2.0" in rig.metrics.render().decode()
        assert await ben.take_all() == []
        # They keep all their rights: also new streams.
        assert await ada.ok("create_transport", direction="send")
        assert (await ada.ok("message", data="hello"))["delivered"] == 1
        rig.gateway.room.loop.look(trio.current_time(), load=0.1, delay=0.0)
        await admitted(await ask_to_join(rig, "cleo"))


async def test_a_client_with_the_secret_of_its_seat_rejoins(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        overload(rig)
        await refused(await ask_to_join(rig, "ada", sessionSecret=secret_of("eve")))
        assert ada.closed is None
        await admitted(await ask_to_join(rig, "ada"))
        assert await ada.wait_closed() == CloseCode.REPLACED


async def test_a_client_resumes_its_session(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        joined = await ada.join("ada")
        overload(rig)
        newer = await rig.connect()
        await newer.ok(
            "resume_session", sessionId=joined["sessionId"], sessionSecret=secret_of("ada"), lastEvent=0, lastAnswer=1
        )


async def test_a_client_that_lost_its_connection_comes_back_for_a_while(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        overload(rig)
        await trio.aclose_forcefully(ada.stream)
        await wait_all_tasks_blocked()
        await refused(await ask_to_join(rig, "ada", sessionSecret=secret_of("eve")))
        await refused(await ask_to_join(rig, "ada", channel="elsewhere"))
        await trio.sleep(SECONDS - 5)
        again = await ask_to_join(rig, "ada")
        await admitted(again)
        await trio.aclose_forcefully(again.stream)
        await ben.take_all()
        await trio.sleep(SECONDS + 1)
        await refused(await ask_to_join(rig, "ada"))


@pytest.mark.parametrize("way", ["leave", "close", "removed"])
async def test_a_client_that_left_or_was_removed_is_a_newcomer(autojump_clock: MockClock, way: str) -> None:
    async with open_rig() as rig:
        ada, _ = await rig.joined("ada", "ben")
        overload(rig)
        if way == "leave":
            await ada.ok("leave")
        elif way == "close":
            await ada.close()
        else:
            rig.gateway.channels.moderation.remove("lobby", "ada", by="the admin token")
        await wait_all_tasks_blocked()
        await refused(await ask_to_join(rig, "ada"))


async def test_a_full_plane_takes_no_newcomers_to_its_channels(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.joined("ada")
        rig.gateway.room.planes[0].look(trio.current_time(), load=1.0, loss=0.0)
        await refused(await ask_to_join(rig, "ben"))


async def test_joins_and_leaves_in_a_loop_keep_no_newcomer_out(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.joined("ada", "ben")
        await trio.sleep(5)
        rig.gateway.room.planes[0].look(trio.current_time(), load=0.5, loss=0.0)
        eve = await rig.connect()
        for _ in range(20):
            await eve.join("eve")
            await eve.ok("leave")
        await admitted(await ask_to_join(rig, "cleo"))
        # Those who stay do count: with them, the plane would be full.
        await admitted(await ask_to_join(rig, "dora"))
        await refused(await ask_to_join(rig, "finn"))


async def test_a_gateway_that_shall_not_shed_takes_everybody(autojump_clock: MockClock) -> None:
    async with open_rig(shed_newcomers=False) as rig:
        overload(rig)
        await admitted(await ask_to_join(rig, "ada"))


def test_lost_seats_are_bounded_and_the_oldest_goes_first() -> None:
    seats = LostSeats(2)
    for at, user in enumerate(("ada", "ben", "cleo")):
        seats.add("lobby", user, f"secret of {user}", at)
    assert len(seats) == 2
    assert [seats.is_owner("lobby", user, f"secret of {user}", 3) for user in ("ada", "ben", "cleo")] == [
        False,
        True,
        True,
    ]
    assert seats.is_owner("lobby", "ben", None, 3), "a token has proven it"
    assert not seats.is_owner("lobby", "ben", "secret of cleo", 3)
    seats.add("lobby", "dora", "", SECONDS + 10)
    assert len(seats) == 1, "those whose time is over are forgotten"
