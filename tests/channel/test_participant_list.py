"""The list of a channel: its events, its content and its revision."""

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.connection.connection import Connection
from gateway.connection.outbox import Frame
from tests.session.memory_gateway import RawClient, Rig, camera, microphone, open_rig, send_transport


def connection_of(rig: Rig, user: str) -> Connection:
    return rig.gateway.channels.channels["lobby"].members[user].connection


def revisions(client: RawClient) -> list[int]:
    return [frame["data"]["revision"] for frame in client.frames if frame["type"] == "voice_state"]


async def test_everybody_sees_every_change_exactly_once_and_in_order(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        clients: list[RawClient] = []
        snapshots: list[int] = []
        for number in range(5):
            client = await rig.connect()
            snapshots.append((await client.join(f"user-{number}"))["revision"])
            clients.append(client)
        transports = [await send_transport(client) for client in clients]
        for client, transport in zip(clients, transports, strict=True):
            producer = await microphone(client, transport)
            await client.ok("pause", producerId=producer)
            await client.ok("close", producerId=producer)
        await clients[4].ok("leave")
        await wait_all_tasks_blocked()
        last = 5 + 3 * 5 + 1
        for client, snapshot in zip(clients[:4], snapshots, strict=False):
            assert revisions(client) == list(range(snapshot + 1, last + 1))
        # A member that left saw every change but its own leave.
        assert revisions(clients[4]) == list(range(6, last))


async def test_members_are_listed_in_the_order_of_joining(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        clients = await rig.joined("zoe", "ada", "mia")
        await clients[0].ok("leave")
        last = await clients[0].join("zoe")
        assert [person["userId"] for person in last["participants"]] == ["ada", "mia", "zoe"]


async def test_up_to_a_hundred_members_are_listed_in_each_change(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        first, *_others = await rig.joined(*(f"user-{number}" for number in range(99)))
        hundredth, next_one = await rig.connect(), await rig.connect()
        await hundredth.join("user-99")
        change = await first.voice_state("user_joined")
        assert (change["count"], len(change["participants"])) == (100, 100)
        assert len((await next_one.join("user-100"))["participants"]) == 101
        change = await first.voice_state("user_joined")
        assert change["count"] == 101
        assert "participants" not in change
        assert change["participant"]["userId"] == "user-100"


async def test_a_channel_that_is_full_refuses_and_the_connection_may_try_another(autojump_clock: MockClock) -> None:
    async with open_rig(max_members=2) as rig:
        await rig.joined("ada", "ben")
        cleo = await rig.connect()
        assert await cleo.error("join", channelId="lobby", username="cleo") == "limit_exceeded"
        await cleo.join("cleo", "cellar")


async def test_a_user_may_replace_its_own_session_in_a_full_channel(autojump_clock: MockClock) -> None:
    async with open_rig(max_members=2) as rig:
        await rig.joined("ada", "ben")
        newer = await rig.connect()
        await newer.join("ada")


async def test_there_are_no_more_channels_than_allowed(autojump_clock: MockClock) -> None:
    async with open_rig(max_channels=1) as rig:
        await rig.joined("ada")
        ben = await rig.connect()
        assert await ben.error("join", channelId="cellar", username="ben") == "limit_exceeded"
        await ben.join("ben")


async def test_a_change_is_encoded_once_for_all_members(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig() as rig:
        await rig.joined(*(f"user-{number}" for number in range(10)))
        sent: list[Frame] = []

        def send(_: Connection, frame: Frame, *, kept: Frame | None = None) -> bool:
            assert kept is not None
            assert kept.size < frame.size
            sent.append(frame)
            return True

        newer = await rig.connect()
        monkeypatch.setattr(Connection, "send", send)
        await newer.join("newer")
        assert len(sent) == 10
        assert len({id(frame) for frame in sent}) == 1


async def test_an_exception_while_notifying_a_member_ends_only_that_member(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await rig.joined("ada", "ben", "cleo")
        broken, send = connection_of(rig, "ben"), Connection.send

        def send_or_break(connection: Connection, frame: Frame, *, kept: Frame | None = None) -> bool:
            if connection is broken:
                raise RuntimeError("a bug")
            return send(connection, frame, kept=kept)

        monkeypatch.setattr(Connection, "send", send_or_break)
        dora = await rig.connect()
        await dora.join("dora")
        assert await ben.wait_closed() == 4500
        for client in (ada, cleo):
            assert (await client.voice_state("user_joined"))["userId"] == "dora"
            left = await client.voice_state("user_left")
            assert (left["userId"], left["reason"]) == ("ben", "failed")
        assert [line["user"] for line in rig.log if line["event"] == "session failed"] == ["ben"]


async def test_producers_are_listed_with_kind_source_and_pause(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        voice = await microphone(ada, sending, paused=True)
        picture = await camera(ada, sending)
        await ada.ok("resume", producerId=voice)
        states = [frame["data"] for frame in await ben.take_all()]
        assert [state["type"] for state in states] == ["user_updated"] * 3
        first = {"producerId": voice, "kind": "audio", "source": "microphone", "paused": True}
        second = {"producerId": picture, "kind": "video", "source": "camera", "paused": False}
        assert states[0]["participant"]["producers"] == [first]
        assert states[1]["participant"]["producers"] == [first, second]
        assert states[2]["participants"][0]["producers"] == [{**first, "paused": False}, second]


async def test_a_request_that_changes_nothing_causes_no_event(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        await ben.take_all()
        await ada.ok("resume", producerId=voice)
        assert await ben.take_all() == []


async def test_closing_a_transport_with_two_producers_is_one_change(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        await microphone(ada, sending)
        await camera(ada, sending)
        await ben.take_all()
        await ada.ok("close", transportId=sending)
        (change,) = await ben.take_all()
        assert change["data"]["participant"]["producers"] == []
        assert "participants" in change["data"]


async def test_a_channel_is_closed_when_its_last_member_has_left_and_starts_anew(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.ok("leave")
        assert not rig.gateway.channels.channels
        assert (await ada.join("ada"))["revision"] == 1
