"""Whose seat a user id is: without tokens, only the secret of the session that holds it opens the way to it."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.session.memory_gateway import RawClient, Rig, open_rig, send_transport
from tools.harness.client import secret_of

STRANGER = {"a wrong secret": {"sessionSecret": secret_of("eve")}, "no secret": {}}
"""What a client that does not own the seat may send."""

strangers = pytest.mark.parametrize("stranger", STRANGER.values(), ids=STRANGER)


async def ask_for_the_seat(rig: Rig, **secret: str) -> RawClient:
    """A new client that has asked to join as Ada."""
    client = await rig.connect()
    await client.request("join", channelId="lobby", username="Ada", userId="ada", **secret)
    await wait_all_tasks_blocked()
    return client


async def refusal(client: RawClient) -> dict[str, str]:
    frame = await client.next()
    assert frame["type"] == "error", frame
    data: dict[str, str] = frame["data"]
    return data


@strangers
async def test_a_stranger_cannot_take_a_listed_users_seat(autojump_clock: MockClock, stranger: dict[str, str]) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        eve = await ask_for_the_seat(rig, **stranger)
        assert (await refusal(eve))["code"] == "conflict"
        assert ada.closed is None
        assert await ada.ok("ping") == {}
        assert await ben.take_all() == []
        await eve.join("eve")


async def test_a_wrong_secret_and_none_get_the_same_answer(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.joined("ada")
        answers = [await refusal(await ask_for_the_seat(rig, **one)) for one in STRANGER.values()]
        assert answers[0] == answers[1]


async def test_a_session_whose_secret_the_gateway_made_keeps_its_seat_and_may_be_taken_with_it(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        joined = await ada.ok("join", channelId="lobby", username="Ada", userId="ada")
        assert (await refusal(await ask_for_the_seat(rig)))["code"] == "conflict"
        newer = await ask_for_the_seat(rig, sessionSecret=joined["sessionSecret"])
        assert (await newer.next())["data"]["sessionSecret"] == joined["sessionSecret"]
        assert await ada.wait_closed() == 4409


@strangers
async def test_a_silent_session_keeps_its_seat_until_the_gateway_ends_it(
    autojump_clock: MockClock, stranger: dict[str, str]
) -> None:
    async with open_rig(resume_grace=9) as rig:
        (ada,) = await rig.joined("ada")
        await trio.aclose_forcefully(ada.stream)
        await wait_all_tasks_blocked()
        assert (await refusal(await ask_for_the_seat(rig, **stranger)))["code"] == "conflict"
        await trio.sleep(9)
        eve = await ask_for_the_seat(rig, **stranger)
        assert (await eve.next())["type"] == "ok"


async def test_a_secret_proves_nothing_once_its_session_has_ended(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.close()
        await wait_all_tasks_blocked()
        eve = await ask_for_the_seat(rig, **STRANGER["a wrong secret"])
        assert (await eve.next())["type"] == "ok"
        assert (await refusal(await ask_for_the_seat(rig, sessionSecret=secret_of("ada"))))["code"] == "conflict"
        assert eve.closed is None


@pytest.mark.usefixtures("slow_goodbyes")
@strangers
async def test_a_stranger_cannot_push_out_a_client_that_waits_for_its_own_seat(
    autojump_clock: MockClock, stranger: dict[str, str]
) -> None:
    async with open_rig() as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        newer = await ask_for_the_seat(rig, sessionSecret=secret_of("ada"))
        assert (await refusal(await ask_for_the_seat(rig, **stranger)))["code"] == "conflict"
        assert (await newer.next())["type"] == "ok"


@pytest.mark.usefixtures("slow_goodbyes")
@strangers
async def test_a_stranger_that_waits_for_an_ending_session_does_not_keep_its_owner_out(
    autojump_clock: MockClock, stranger: dict[str, str]
) -> None:
    async with open_rig() as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        await older.request("leave")
        await wait_all_tasks_blocked()
        eve = await ask_for_the_seat(rig, **stranger)
        owner = await ask_for_the_seat(rig, sessionSecret=secret_of("ada"))
        assert await eve.wait_closed() == 4409
        assert (await owner.next())["type"] == "ok"


async def test_a_gateway_that_rejects_duplicate_users_refuses_even_the_right_secret(autojump_clock: MockClock) -> None:
    async with open_rig(duplicate_users="reject") as rig:
        (ada,) = await rig.joined("ada")
        newer = await rig.connect()
        own = {"channelId": "lobby", "username": "Ada", "userId": "ada", "sessionSecret": secret_of("ada")}
        assert await newer.error("join", **own) == "conflict"
        assert ada.closed is None
        await ada.close()
        await wait_all_tasks_blocked()
        await newer.join("ada")


@pytest.mark.usefixtures("slow_goodbyes")
async def test_a_gateway_that_rejects_duplicate_users_does_so_until_the_session_has_ended(
    autojump_clock: MockClock,
) -> None:
    async with open_rig(duplicate_users="reject") as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        await older.request("leave")
        await wait_all_tasks_blocked()
        own = {"channelId": "lobby", "username": "Ada", "userId": "ada", "sessionSecret": secret_of("ada")}
        newer = await rig.connect()
        assert await newer.error("join", **own) == "conflict"
        await trio.sleep(2)
        await newer.join("ada")
