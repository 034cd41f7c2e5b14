"""``join`` and ``leave``, the list of participants, and ``voice_state``, which keeps it up to date."""

import re
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.config import Config
from protocol.vocabulary import IceServer
from tests.conformance.whole_gateway import closing, hang_up, open_gate
from tests.session.memory_gateway import RawClient, camera, microphone, send_transport

JOINED = {
    "sessionId",
    "userId",
    "channelId",
    "participants",
    "revision",
    "routerRtpCapabilities",
    "iceServers",
    "pingIntervalMs",
    "sessionSecret",
    "epoch",
    "grants",
}
VOICE_STATE = {
    *("type", "channelId", "userId", "username", "epoch", "revision", "participant", "count", "participants")
}


async def test_the_answer_to_join_has_every_field(autojump_clock: MockClock) -> None:
    turn = IceServer(("turn:turn.example.org:3478",), "user", "secret")
    async with open_gate(ice_servers=(IceServer(("stun:stun.example.org",)), turn)) as gate:
        client = await gate.connect()
        joined = await client.ok("join", channelId="lobby", username=" Ada ", userId="ada", metadata={"hat": "red"})
        assert set(joined) == JOINED
        assert (joined["userId"], joined["channelId"], joined["revision"]) == ("ada", "lobby", 1)
        assert joined["pingIntervalMs"] == 5000
        assert joined["iceServers"] == [
            {"urls": ["stun:stun.example.org"]},
            {"urls": ["turn:turn.example.org:3478"], "username": "user", "credential": "secret"},
        ]
        assert joined["participants"] == [
            {
                "userId": "ada",
                "username": "Ada",
                "joinedAt": "2026-11-01T09:30:00.250Z",
                "metadata": {"hat": "red"},
                "producers": [],
            }
        ]
        assert joined["sessionId"] != joined["userId"]


async def test_without_ice_servers_the_list_of_them_is_empty(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        assert (await client.join("ada"))["iceServers"] == []
        assert Config().ice_servers == ()


async def test_the_gateway_makes_up_a_missing_user_id(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ids = set()
        for _ in range(3):
            client = await gate.connect()
            joined = await client.ok("join", channelId="lobby", username="Ada")
            assert re.fullmatch(r"[A-Za-z0-9_.:-]{1,128}", joined["userId"])
            ids.add(joined["userId"])
        assert [one["userId"] for one in joined["participants"]][-1] == joined["userId"]
        assert len(ids) == len(joined["participants"]) == 3


async def test_participants_are_listed_in_the_order_of_joining_with_their_producers(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        zoe, ada, mia = await gate.joined("zoe", "ada", "mia")
        sending = await send_transport(ada)
        voice = await microphone(ada, sending, paused=True)
        picture = await camera(ada, sending)
        await hang_up(zoe)
        await mia.take_all()
        client = await gate.connect()
        joined = await client.join("zoe")
        assert [one["userId"] for one in joined["participants"]] == ["ada", "mia", "zoe"]
        assert joined["participants"][0]["producers"] == [
            {"producerId": voice, "kind": "audio", "source": "microphone", "paused": True},
            {"producerId": picture, "kind": "video", "source": "camera", "paused": False},
        ]


async def test_leave_is_answered_after_media_is_closed_and_the_others_are_notified(
    autojump_clock: MockClock, slow_goodbyes: None
) -> None:
    async with open_gate(courtesy_timeout=2) as gate:
        ada, ben = await gate.joined("ada", "ben")
        await microphone(ada, await send_transport(ada))
        gate.journal.clear()
        begun = trio.current_time()
        assert await ada.ok("leave") == {}
        assert gate.router.counts().producers == gate.router.counts().transports == 0
        await wait_all_tasks_blocked()
        (left,) = [note for note in gate.journal if note.to == "ben" and b'"user_left"' in note.data]
        (answered,) = [note for note in gate.journal if note.to == "ada" and b'"ok"' in note.data]
        assert left.at <= answered.at == pytest.approx(begun + 2)
        assert ben.frames[-1]["data"]["reason"] == "left"


async def test_after_leaving_a_connection_may_join_as_another_user(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        before = await ada.ok("leave")
        assert before == {}
        joined = await ada.join("eve", channel="elsewhere")
        assert (joined["userId"], joined["revision"], len(joined["participants"])) == ("eve", 1, 1)
        await ada.ok("leave")
        await ada.join("ada")
        assert [frame["data"]["type"] for frame in await ben.take_all()] == ["user_left", "user_joined"]


async def test_after_leaving_a_client_has_ten_seconds_to_join_again(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        await ada.ok("leave")
        code, _ = await closing(ada)
        assert code == 4408


async def test_a_channel_begins_anew_after_its_last_member_left(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        clients = await gate.joined("ada", "ben")
        for client in clients:
            await client.ok("leave")
        assert (await clients[0].join("ada"))["revision"] == 1


# The event voice_state.


async def test_user_joined_has_every_field(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        ben = await gate.connect()
        joined = await ben.ok("join", channelId="lobby", username="Ben", userId="ben", metadata={"a": None})
        received = await ada.voice_state("user_joined")
        assert set(received) == VOICE_STATE
        assert (received["channelId"], received["userId"], received["username"]) == ("lobby", "ben", "Ben")
        assert (received["revision"], received["count"]) == (joined["revision"], 2)
        assert received["participants"] == joined["participants"]
        assert received["participant"] == joined["participants"][1]
        assert await ben.take_all() == []  # no client gets its own `user_joined`


async def test_every_member_gets_user_updated_with_every_field(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending = await send_transport(ada)
        voice = await microphone(ada, sending)
        entry = {"producerId": voice, "kind": "audio", "source": "microphone", "paused": False}
        revision = 3
        for change, entries in [
            (None, [entry]),
            ("pause", [{**entry, "paused": True}]),
            ("resume", [entry]),
            ("close", []),
        ]:
            if change:
                await ada.ok(change, producerId=voice)
            for client in (ada, ben):
                received = await client.voice_state("user_updated")
                assert set(received) == VOICE_STATE
                assert (received["userId"], received["revision"], received["count"]) == ("ada", revision, 2)
                assert received["participant"]["producers"] == entries
                assert [one["producers"] for one in received["participants"]] == [entries, []]
            revision += 1


async def test_a_pause_that_changes_nothing_causes_no_event(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        await ben.take_all()
        await ada.ok("resume", producerId=voice)
        assert await ben.take_all() == []


async def test_user_left_has_every_field(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben, cleo = await gate.joined("ada", "ben", "cleo")
        voice = await microphone(ada, await send_transport(ada))
        await ben.take_all()
        await cleo.take_all()
        await ada.ok("leave")
        received = [await client.voice_state("user_left") for client in (ben, cleo)]
        assert received[0] == received[1]
        assert set(received[0]) == VOICE_STATE | {"reason"}
        assert (received[0]["userId"], received[0]["count"], received[0]["reason"]) == ("ada", 2, "left")
        # The entry in the event is the last state of the person.
        assert [one["producerId"] for one in received[0]["participant"]["producers"]] == [voice]
        assert [one["userId"] for one in received[0]["participants"]] == ["ben", "cleo"]


async def test_several_producers_that_close_in_one_step_are_one_change(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending = await send_transport(ada)
        for ssrc in (1, 2, 3):
            await microphone(ada, sending, ssrc)
        before = (await ben.take_all())[-1]["data"]["revision"]
        await ada.ok("close", transportId=sending)
        (received,) = await ben.take_all()
        assert received["data"]["revision"] == before + 1
        assert received["data"]["participant"]["producers"] == []


async def test_events_carry_a_list_of_up_to_a_hundred_members(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        crowd = await gate.joined(*(f"user-{number}" for number in range(100)))
        first = crowd[0]
        client = await gate.connect()
        joined = await client.join("one-more")
        assert len(joined["participants"]) == 101  # the snapshot is always whole
        received = await first.voice_state("user_joined")
        assert set(received) == VOICE_STATE - {"participants"}
        assert (received["count"], received["participant"]["userId"]) == (101, "one-more")
        await client.ok("leave")
        received = await first.voice_state("user_left")
        assert received["count"] == len(received["participants"]) == 100


async def test_members_that_leave_at_once_get_one_event_each(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        crowd = await gate.joined(*(f"user-{number}" for number in range(20)))
        stays, *go = crowd
        for client in go:
            await hang_up(client)
        received = [frame["data"] for frame in await stays.take_all()]
        assert [one["type"] for one in received] == ["user_left"] * 19
        assert [one["count"] for one in received] == list(range(19, 0, -1))
        # Every list in an event is the list after that change. The last event has it.
        for one in received:
            assert len(one.get("participants", range(one["count"]))) == one["count"]
        assert [one["userId"] for one in received[-1]["participants"]] == ["user-0"]


@pytest.mark.parametrize("what", ["other channel", "not in a channel"])
async def test_other_channels_get_no_events(autojump_clock: MockClock, what: str) -> None:
    async with open_gate() as gate:
        bystander: RawClient = await gate.connect()
        if what == "other channel":
            await bystander.join("bea", channel="elsewhere")
        ada, _ = await gate.joined("ada", "ben")
        await microphone(ada, await send_transport(ada))
        await ada.ok("message", data=1)
        assert await bystander.take_all() == []


# The requests message and ping.


async def test_a_message_goes_to_everybody_else_in_the_channel(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben, cleo = await gate.joined("ada", "ben", "cleo")
        await gate.joined("dora", channel="elsewhere")
        for data in (None, 0, "text 🎶", [1, [2]], {"a": {"b": None}}, "x" * 16382):
            assert await ada.ok("message", data=data) == {"delivered": 2}
            for client in (ben, cleo):
                assert await client.event("message") == {"from": "ada", "data": data}
        assert await ada.take_all() == []


@pytest.mark.parametrize(
    ("to", "receivers"),
    [
        (["ben"], ["ben"]),
        (["ben", "cleo"], ["ben", "cleo"]),
        (["ben", "ben"], ["ben"]),
        (["ben", "nobody", "dora"], ["ben"]),
        (["nobody"], []),
        ([], []),
    ],
)
async def test_a_message_goes_once_to_each_named_member(
    autojump_clock: MockClock, to: list[str], receivers: list[str]
) -> None:
    async with open_gate() as gate:
        users = ("ada", "ben", "cleo")
        clients = dict(zip(users, await gate.joined(*users), strict=True))
        clients |= {"dora": (await gate.joined("dora", channel="elsewhere"))[0]}
        answer: Any = await clients["ada"].ok("message", data=1, to=to)
        assert answer == {"delivered": len(receivers)}
        got = {user: len(await client.take_all()) for user, client in clients.items()}
        assert got == {user: int(user in receivers) for user in clients}


async def test_a_ping_gets_an_empty_answer(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        assert await ada.ok("ping") == {}
