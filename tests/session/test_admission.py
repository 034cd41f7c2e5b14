"""The conditions for joining, and the time limit."""

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from gateway.connection import end_reasons
from tests.session.memory_gateway import open_rig


async def test_a_client_that_does_not_join_within_ten_seconds_is_closed_with_4408(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        begun = trio.current_time()
        await trio.sleep(9)
        assert await client.error("ping") == "not_joined"  # other requests do not extend the time
        assert await client.wait_closed() == 4408
        assert trio.current_time() - begun == pytest.approx(10)
        await wait_all_tasks_blocked()
        rig.assert_empty()


@pytest.mark.parametrize("given", [{}, {"token": ""}, {"token": "wrong"}, {"token": "sésame "}])
async def test_a_join_without_the_token_is_refused_and_closed_with_4401(
    autojump_clock: MockClock, given: dict[str, str]
) -> None:
    async with open_rig(join_token="sésame") as rig:
        client = await rig.connect()
        assert await client.error("join", channelId="lobby", username="ada", **given) == "unauthenticated"
        assert await client.wait_closed() == 4401
        assert not rig.gateway.channels.channels


async def test_a_join_with_the_token_is_accepted(autojump_clock: MockClock) -> None:
    async with open_rig(join_token="sésame") as rig:
        client = await rig.connect()
        await client.join("ada", token="sésame")


async def test_without_a_configured_token_any_token_is_accepted(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        await client.join("ada", token="whatever")


async def test_a_user_without_an_id_gets_one(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        first, second = await rig.connect(), await rig.connect()
        ids = [(await client.ok("join", channelId="lobby", username="ada"))["userId"] for client in (first, second)]
        assert len(set(ids)) == 2
        assert all(ids)


async def test_names_are_trimmed(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        joined = await client.ok("join", channelId="lobby", username="  Ada \n")
        assert joined["participants"][0]["username"] == "Ada"


async def test_a_draining_gateway_refuses_joins(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        late = await rig.connect()
        rig.gateway.draining = True
        await late.request("join", channelId="lobby", username="late")
        assert await late.wait_closed() == 1001
        await ada.ok("ping")
        rig.gateway.end_all()
        assert await ada.wait_closed() == 1001
        assert ada.frames[-1]["data"]["reason"] == end_reasons.DRAINING.text
        await wait_all_tasks_blocked()
        rig.assert_empty()


async def test_an_upgrade_that_takes_too_long_is_given_up(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ours, theirs = memory_stream_pair()
        rig.nursery.start_soon(rig.serve, theirs)
        await ours.send_all(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n")
        await trio.sleep(9.9)
        assert rig.serving == 1
        await trio.sleep(0.2)
        rig.assert_empty()
        assert [line["event"] for line in rig.log] == ["client not accepted"]
        assert rig.log[0]["why"] == "the upgrade took too long"


async def test_a_stream_that_breaks_during_the_upgrade_does_no_harm(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ours, theirs = memory_stream_pair()
        rig.nursery.start_soon(rig.serve, theirs)
        await ours.send_all(b"GET /ws HTTP/1.1\r\n")
        await trio.aclose_forcefully(ours)
        await trio.sleep(10.1)
        rig.assert_empty()
        assert not [line for line in rig.log if line["level"] == "error"]


async def test_the_subprotocol_is_echoed(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        assert client.websocket.subprotocol == "trio-sfu.v1"
