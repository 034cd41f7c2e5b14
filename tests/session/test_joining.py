"""Joining and leaving, as clients see it."""

from trio.testing import MockClock

from tests.session.memory_gateway import open_rig


async def test_a_joining_client_gets_the_list_with_itself_on_it(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        joined = await ada.join("ada", metadata={"colour": "blue"})
        assert joined["userId"] == "ada"
        assert joined["channelId"] == "lobby"
        assert joined["revision"] == 1
        assert joined["pingIntervalMs"] == 5000
        assert joined["participants"] == [
            {
                "userId": "ada",
                "username": "ada",
                "joinedAt": "2026-11-01T09:30:00.250Z",
                "metadata": {"colour": "blue"},
                "producers": [],
            }
        ]


async def test_the_others_are_notified_of_joins_and_leaves(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.connect(), await rig.connect()
        await ada.join("ada")
        await ben.join("ben")
        change = await ada.voice_state("user_joined")
        assert (change["userId"], change["revision"], change["count"]) == ("ben", 2, 2)
        assert [person["userId"] for person in change["participants"]] == ["ada", "ben"]
        await ben.close()
        change = await ada.voice_state("user_left")
        assert (change["userId"], change["revision"], change["count"]) == ("ben", 3, 1)
        assert change["reason"] == "left"
        await ada.close()
        await ada.wait_closed()
        assert await ben.take_all() == []
        rig.assert_empty()
