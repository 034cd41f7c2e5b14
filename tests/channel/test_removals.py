"""Removals for a time: a removed person stays away, and so does the address, unless it is loopback."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.channel.moderation import ADMIN
from gateway.channel.removals import Removals
from tests.session.memory_gateway import RawClient, Rig, open_rig


async def refusal(rig: Rig, user: str, channel: str = "lobby") -> str:
    """The message with which a new client is refused."""
    client = await rig.connect()
    frame = await client.ask("join", channelId=channel, username=user, userId=user)
    assert (frame["type"], frame["data"]["code"]) == ("error", "forbidden"), frame
    await client.close()
    await wait_all_tasks_blocked()
    return str(frame["data"]["message"])


async def remove(rig: Rig, client: RawClient, user: str, seconds: float | None) -> None:
    rig.gateway.channels.moderation.remove("lobby", user, seconds, by=ADMIN)
    assert await client.wait_closed() == 4403
    await wait_all_tasks_blocked()


async def test_a_removed_user_may_join_again_at_once_by_default(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await rig.joined("ada", "ben")
        await remove(rig, ada, "ada", None)
        await rig.joined("ada")


async def test_a_user_removed_for_a_time_is_refused_until_it_is_over(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await rig.joined("ada", "ben")
        await remove(rig, ada, "ada", 600)
        rig.remote = "192.0.2.7"
        await trio.sleep(17.5)
        message = "a moderator removed this user; joining is possible again in 583 s"
        assert await refusal(rig, "ada") == message
        await trio.sleep(582.5)
        await rig.joined("ada")


async def test_a_removal_for_a_time_outlives_the_channel_and_concerns_no_other_channel(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await remove(rig, ada, "ada", 600)
        rig.assert_empty()
        await refusal(rig, "ada")
        rig.assert_empty()
        await rig.joined("ada", channel="cellar")


async def test_a_removed_user_cannot_come_back_under_another_user_id_from_the_same_address(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        rig.remote = "[2001:db8:1:2::3]:4711"
        (ada,) = await rig.joined("ada")
        await remove(rig, ada, "ada", 600)
        rig.remote = "[2001:db8:1:2:ffff::1]:4712"  # another address of the same site
        await refusal(rig, "eve")
        rig.remote = "[2001:db8:1:3::3]:4711"
        await rig.joined("eve")


async def test_others_behind_the_same_loopback_proxy_may_still_join(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.remote = "127.0.0.1:50000"
        (ada,) = await rig.joined("ada")
        await remove(rig, ada, "ada", 600)
        await refusal(rig, "ada")
        await rig.joined("ben")


async def test_the_newest_address_of_a_resumed_session_is_the_removed_one(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        joined = await ada.join("ada")
        rig.remote = "203.0.113.9:1000"
        again = await rig.connect()
        await again.ok("resume_session", sessionId=joined["sessionId"], sessionSecret=joined["sessionSecret"])
        await remove(rig, again, "ada", 600)
        await refusal(rig, "eve")
        rig.remote = "198.51.100.1"
        await rig.joined("eve")


async def test_a_user_who_has_just_left_can_be_kept_out(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.gateway.channels.moderation.remove("lobby", "ada", 60, by=ADMIN)
        await refusal(rig, "ada")
        await rig.joined("ben")


async def test_who_is_let_in_again_may_also_come_under_another_user_id(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await remove(rig, ada, "ada", 600)
        await refusal(rig, "eve")
        moderation = rig.gateway.channels.moderation
        moderation.readmit("lobby", "ada", by=ADMIN)
        assert moderation.removals == 0
        await rig.joined("ada", "eve")


async def test_an_address_is_kept_out_until_no_removal_needs_it(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, _ = await rig.joined("ada", "ben", "cleo")
        await remove(rig, ada, "ada", 600)
        await remove(rig, ben, "ben", 60)
        moderation = rig.gateway.channels.moderation
        moderation.readmit("lobby", "ben", by=ADMIN)
        assert await refusal(rig, "eve") == "a moderator removed this user; joining is possible again in 600 s"
        rig.remote = "192.0.2.7"
        await rig.joined("ben")
        moderation.readmit("lobby", "ada", by=ADMIN)
        rig.remote = "198.51.100.1"
        await rig.joined("eve")


async def test_one_channel_lets_in_again_and_another_does_not(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        moderation = rig.gateway.channels.moderation
        for channel in ("lobby", "cellar"):
            moderation.remove(channel, "ada", 600, by=ADMIN)
        moderation.readmit("lobby", "ada", by=ADMIN)
        await refusal(rig, "ada", "cellar")
        await rig.joined("ada")


async def test_the_session_secret_opens_no_way_around_a_removal(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await rig.joined("ada", "ben")
        await remove(rig, ada, "ada", 600)
        rig.remote = "192.0.2.7"
        client = await rig.connect()
        own = {"channelId": "lobby", "username": "Ada", "userId": "ada", "sessionSecret": "s" * 22}
        assert await client.error("join", **own) == "forbidden"


def test_the_number_of_removals_is_bounded_and_the_first_to_end_is_forgotten() -> None:
    removals = Removals(3)
    for number, until in enumerate((50.0, 20.0, 90.0, 70.0)):
        removals.add("lobby", f"user-{number}", until, now=0.0)
    assert len(removals) == 3
    assert [removals.seconds_left("lobby", f"user-{number}", "", 0.0) for number in range(4)] == [50, 0, 90, 70]


def test_removals_that_are_over_make_room_for_new_ones() -> None:
    removals = Removals(2)
    removals.add("lobby", "ada", 10.0, now=0.0)
    removals.add("lobby", "ben", 100.0, now=0.0)
    removals.add("lobby", "cleo", 60.0, now=10.0)
    assert [removals.seconds_left("lobby", user, "", 10.0) for user in ("ada", "ben", "cleo")] == [0, 90, 50]


def test_an_address_of_many_removed_users_counts_once_for_each() -> None:
    removals = Removals(4)
    for number in range(4):
        removals.add("lobby", f"user-{number}", 50.0 + number, now=0.0, site="198.51.100.1/32")
    assert len(removals) == 4
    removals.add("lobby", "user-4", 90.0, now=0.0)
    assert len(removals) == 4
    assert removals.seconds_left("lobby", "stranger", "198.51.100.1", 0.0) == 53
    assert not removals.end("lobby", "user-0", 0.0)
    assert removals.end("lobby", "user-3", 0.0)
    assert removals.seconds_left("lobby", "stranger", "198.51.100.1", 0.0) == 52


def test_a_newer_removal_of_the_same_user_replaces_the_older_one() -> None:
    removals = Removals(1)
    removals.add("lobby", "ada", 100.0, now=0.0)
    removals.add("lobby", "ada", 5.0, now=1.0)
    assert (len(removals), removals.seconds_left("lobby", "ada", "", 1.0)) == (1, 4)
