"""Joining with a listed user id and the secret of its session: each newcomer replaces the older session, in order."""

import pytest
import structlog
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.channel.channel import Channel
from gateway.channel.member import Member
from gateway.channel.moderation import ADMIN
from gateway.config import Config
from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.ops.metrics import Metrics
from gateway.presence.journal import Journal
from protocol.errors import RequestError
from protocol.vocabulary import Participant
from tests.session.memory_gateway import RawClient, Rig, capture_logs, open_rig, send_transport
from tools.harness.client import secret_of


async def ask_to_join(client: RawClient, user: str = "ada") -> None:
    await client.request("join", channelId="lobby", username=user, userId=user, sessionSecret=secret_of(user))


def users(rig: Rig, channel: str = "lobby") -> list[str]:
    return list(rig.gateway.channels.channels[channel].members)


async def test_the_older_session_is_closed_and_the_others_see_it_leave_before_the_newer_one_joins(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        older, ben = await rig.joined("ada", "ben")
        newer = await rig.connect()
        joined = await newer.join("ada")
        assert await older.wait_closed() == 4409
        left, came = await ben.voice_state("user_left"), await ben.voice_state("user_joined")
        assert (left["userId"], left["reason"], came["userId"]) == ("ada", "replaced", "ada")
        assert came["revision"] == left["revision"] + 1 == joined["revision"]
        assert users(rig) == ["ben", "ada"]


@pytest.mark.usefixtures("slow_goodbyes")
async def test_a_newer_session_waits_until_the_older_one_is_cleaned_up(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        older, ben = await rig.joined("ada", "ben")
        await send_transport(older)
        newer = await rig.connect()
        begun = trio.current_time()
        await ask_to_join(newer)
        assert await ben.voice_state("user_left")
        assert trio.current_time() - begun == pytest.approx(1)
        assert rig.router.counts().transports == 0
        assert (await newer.next())["type"] == "ok"
        assert trio.current_time() - begun == pytest.approx(1)


@pytest.mark.usefixtures("slow_goodbyes")
async def test_of_three_who_join_at_once_the_last_one_wins(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        older, ben = await rig.joined("ada", "ben")
        await send_transport(older)
        clients = [await rig.connect() for _ in range(3)]
        for client in clients:
            await ask_to_join(client)
            await wait_all_tasks_blocked()
        assert [await client.wait_closed() for client in (older, *clients[:2])] == [4409] * 3
        assert (await clients[2].next())["type"] == "ok"
        changes = [(frame["data"]["type"], frame["data"]["userId"]) for frame in await ben.take_all()]
        assert changes == [("user_left", "ada"), ("user_joined", "ada")]


async def test_of_three_who_join_an_empty_channel_one_after_the_other_the_last_one_wins(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        clients = [await rig.connect() for _ in range(3)]
        for client in clients:
            await ask_to_join(client)
        await wait_all_tasks_blocked()
        assert [client.closed for client in clients] == [4409, 4409, None]
        assert users(rig) == ["ada"]


async def test_a_waiter_does_not_end_a_newcomer_that_took_the_seat_before_it(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    with capture_logs():
        config, metrics = Config(), Metrics()
        channel = Channel(
            "lobby", Journal(1_000_000, 100_000, 1, trio.current_time), metrics, 10, structlog.get_logger()
        )

        def somebody() -> Member:
            connection = Connection(config, metrics, structlog.get_logger())
            return Member("session", connection, Participant("ada", "ada", "2026-11-01T09:30:00Z"))

        async def sit(member: Member) -> None:
            with member.connection.scope:
                async with channel.seat(member, lambda _: None):
                    await trio.sleep_forever()

        older, waiter, last = somebody(), somebody(), somebody()
        channel.admit(older, lambda _: None)
        nursery.start_soon(sit, waiter)
        await wait_all_tasks_blocked()
        channel.remove(older)  # wakes the waiter, which has not run yet when the last one comes
        async with channel.seat(last, lambda _: None):
            await wait_all_tasks_blocked()
            assert waiter.connection.end_reason is end_reasons.REPLACED
            assert last.connection.end_reason is None
            assert channel.members == {"ada": last}
            assert channel.occupants == 1


@pytest.mark.usefixtures("slow_goodbyes")
async def test_a_waiter_that_gives_up_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        waiter = await rig.connect()
        await ask_to_join(waiter)
        await wait_all_tasks_blocked()
        await waiter.close()
        await wait_all_tasks_blocked()
        assert rig.gateway.channels.channels["lobby"].occupants == 1
        await trio.sleep(2)
        rig.assert_empty()


@pytest.mark.usefixtures("slow_goodbyes")
async def test_a_channel_stays_the_same_one_while_somebody_waits_for_a_seat(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        before = rig.gateway.channels.channels["lobby"]
        newer = await rig.connect()
        await ask_to_join(newer)
        joined = (await newer.next())["data"]
        assert rig.gateway.channels.channels["lobby"] is before
        assert joined["revision"] == 3
        assert [line["event"] for line in rig.log if line["event"].startswith("channel ")] == ["channel opened"]


@pytest.mark.usefixtures("slow_goodbyes")
async def test_waiting_for_a_seat_does_not_use_up_the_time_to_join(autojump_clock: MockClock) -> None:
    async with open_rig(join_timeout=0.5) as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        newer = await rig.connect()
        await ask_to_join(newer)
        assert (await newer.next())["type"] == "ok"
        assert newer.closed is None


@pytest.mark.usefixtures("slow_goodbyes")
async def test_a_newcomer_waits_for_a_leaving_session_which_keeps_its_connection(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        older, ben = await rig.joined("ada", "ben")
        await send_transport(older)
        await older.request("leave")
        await wait_all_tasks_blocked()
        newer = await rig.connect()
        await ask_to_join(newer)
        assert (await newer.next())["type"] == "ok"
        assert (await older.next())["type"] == "ok"
        assert (await ben.voice_state("user_left"))["reason"] == "left"
        await trio.sleep(5)
        assert older.closed is None
        await older.join("ada", "cellar")


@pytest.mark.usefixtures("slow_goodbyes")
async def test_a_moderator_can_also_remove_a_user_who_waits_for_a_seat(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        waiter = await rig.connect()
        await ask_to_join(waiter)
        await wait_all_tasks_blocked()
        rig.gateway.channels.moderation.remove("lobby", "ada", by=ADMIN)
        assert await waiter.wait_closed() == 4403
        assert await older.wait_closed() == 4409
        await wait_all_tasks_blocked()
        rig.assert_empty()


async def test_removing_an_absent_user_fails(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.joined("ada")
        with pytest.raises(RequestError, match="no such participant"):
            rig.gateway.channels.moderation.remove("lobby", "ben", by=ADMIN)
        with pytest.raises(RequestError, match="no such participant"):
            rig.gateway.channels.moderation.remove("cellar", "ada", by=ADMIN)


async def test_the_same_user_may_be_in_two_channels(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        first, second = await rig.connect(), await rig.connect()
        await first.join("ada", "lobby")
        await second.join("ada", "cellar")
        assert (first.closed, second.closed) == (None, None)


async def test_many_who_take_turns_with_one_user_id_leave_no_gap_and_no_twin(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (watcher,) = await rig.joined("watcher")
        clients = [await rig.connect() for _ in range(20)]
        for number, client in enumerate(clients):
            await ask_to_join(client)
            if number % 3 == 0:
                await wait_all_tasks_blocked()
        frames = await watcher.take_all()
        assert [frame["data"]["revision"] for frame in frames] == list(range(2, 2 + len(frames)))
        assert [frame["data"]["type"] for frame in frames] == ["user_joined", "user_left"] * (len(frames) // 2) + [
            "user_joined"
        ]
        assert [client.closed for client in clients] == [4409] * 19 + [None]
