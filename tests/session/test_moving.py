"""``move``: a client goes to another channel in one step, and everybody sees it in exactly one of the two."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.channel.moderation import ADMIN
from gateway.channel.speakers import prefer_speakers
from gateway.ops.room import Room
from tests.identity.made_up_keys import SECRET, sign, write_key
from tests.session.memory_gateway import (
    TODAY,
    RawClient,
    Rig,
    camera,
    microphone,
    open_rig,
    receive_transport,
    send_transport,
)
from tools.harness.client import secret_of

Line = tuple[str, str, str, int]


async def changes(client: RawClient) -> list[Line]:
    """The channel, type, user and revision of each change of a list that has come, without other events."""
    frames = await client.take_all()
    told = [frame["data"] for frame in frames if frame["type"] == "voice_state"]
    return [(one["channelId"], one["type"], one["userId"], one["revision"]) for one in told]


def journal_of(rig: Rig) -> list[tuple[str, str, str | None]]:
    """Everything that the journal gets from now on: the channel, the type and the user of each entry."""
    lines: list[tuple[str, str, str | None]] = []
    rig.gateway.journal.followers.append(lambda entry, _: lines.append((entry.channel_id, entry.type, entry.user_id)))
    return lines


async def two_channels(rig: Rig) -> tuple[RawClient, RawClient, RawClient]:
    """Ada and Ben in the lobby, Cleo in the studio."""
    ada, ben = await rig.joined("ada", "ben")
    (cleo,) = await rig.joined("cleo", channel="studio")
    return ada, ben, cleo


async def test_members_of_both_channels_are_told_and_the_answer_has_the_new_list(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await two_channels(rig)
        moved = await ada.ok("move", channelId="studio")
        assert [one["userId"] for one in moved["participants"]] == ["cleo", "ada"]
        assert (moved["channelId"], moved["userId"], moved["revision"]) == ("studio", "ada", 2)
        assert moved["mediaKept"]
        assert moved["epoch"] == rig.gateway.channels.channels["studio"].epoch
        left, joined = await ben.voice_state("user_left"), await cleo.voice_state("user_joined")
        assert (left["channelId"], left["reason"], left["to"], left["count"]) == ("lobby", "moved", "studio", 1)
        assert [one["userId"] for one in left["participants"]] == ["ben"]
        assert (joined["channelId"], joined["userId"], joined["count"]) == ("studio", "ada", 2)
        assert "to" not in joined
        assert await ada.take_all() == []


async def test_the_journal_has_both_changes_next_to_each_other(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        lines = journal_of(rig)
        await ada.ok("move", channelId="studio")
        await ada.close()
        await wait_all_tasks_blocked()
        assert lines == [
            ("studio", "channel_opened", None),
            ("lobby", "user_left", "ada"),
            ("studio", "user_joined", "ada"),
            ("lobby", "channel_closed", None),
            ("studio", "user_left", "ada"),
            ("studio", "channel_closed", None),
        ]
        rig.assert_empty()


async def test_whoever_watches_both_gets_the_leave_and_then_the_join_also_as_a_member_of_one(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await two_channels(rig)
        eve = await rig.connect()
        for client in (ada, ben, cleo, eve):
            await client.ok("watch", prefix="")
        await ada.ok("move", channelId="studio")
        both: list[Line] = [("lobby", "user_left", "ada", 3), ("studio", "user_joined", "ada", 2)]
        for client in (ben, cleo, eve):
            assert await changes(client) == both
        # Who moves has the new list, and gets its own leave of the old one.
        assert await changes(ada) == both[:1]


async def test_what_waits_for_a_watcher_comes_before_the_move(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await two_channels(rig)
        producer = await microphone(ben, await send_transport(ben))
        await cleo.ok("watch", channelIds=["lobby"])
        # Both requests are served before the feed's task runs, or after it. The order is the same.
        await ben.request("pause", producerId=producer)
        await ada.request("move", channelId="studio")
        assert await changes(cleo) == [
            ("lobby", "user_updated", "ben", 4),
            ("lobby", "user_left", "ada", 5),
            ("studio", "user_joined", "ada", 2),
        ]


async def test_streams_to_and_from_the_old_channel_close_before_the_lists_change(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await two_channels(rig)
        sending, receiving = await send_transport(ada), await receive_transport(ada)
        voice = await microphone(ada, sending)
        of_ben = await microphone(ben, await send_transport(ben))
        consumed = await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice)
        own = await ada.ok("consume", transportId=receiving, producerId=of_ben)
        for client in (ada, ben, cleo):
            await client.take_all()
        moved = await ada.ok("move", channelId="studio")
        closed = await ben.event("consumer_closed")
        assert closed == {"consumerId": consumed["consumerId"], "reason": "user_left"}
        left = await ben.voice_state("user_left")
        assert [one["producerId"] for one in left["participant"]["producers"]] == [voice]
        assert rig.router.counts().consumers == 0
        # The client's own objects live on, and the new channel has its voice.
        assert moved["mediaKept"]
        assert [one["producerId"] for one in moved["participants"][-1]["producers"]] == [voice]
        joined = await cleo.voice_state("user_joined")
        assert joined["participant"] == moved["participants"][-1]
        assert await ada.error("resume", consumerId=own["consumerId"]) == "not_found"
        assert await ada.error("consume", transportId=receiving, producerId=of_ben) == "not_found"
        assert await ben.error("consume", transportId=receiving, producerId=voice) == "not_found"
        await cleo.ok("consume", transportId=await receive_transport(cleo), producerId=voice)
        # A change of the producer goes to the new channel alone.
        await ada.ok("pause", producerId=voice)
        assert (await cleo.event("consumer_updated"))["producerPaused"]
        assert (await cleo.voice_state("user_updated"))["channelId"] == "studio"
        assert await ben.take_all() == []
        assert [frame["type"] for frame in await ada.take_all()] == ["voice_state"]


async def test_a_channel_on_another_plane_takes_the_client_without_its_media(autojump_clock: MockClock) -> None:
    async with open_rig(routers=2) as rig:
        ada, ben, _ = await two_channels(rig)
        planes = [channel.plane for channel in rig.gateway.channels.channels.values()]
        assert sorted(planes) == [0, 1]
        old, new = (rig.gateway.routers[plane] for plane in planes)
        voice = await microphone(ada, await send_transport(ada))
        await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice)
        await ada.ok("create_transport", direction="receive")
        await ben.take_all()
        moved = await ada.ok("move", channelId="studio")
        assert not moved["mediaKept"]
        assert moved["participants"][-1]["producers"] == []
        assert (await ben.event("consumer_closed"))["reason"] == "user_left"
        assert [one["source"] for one in (await ben.voice_state("user_left"))["participant"]["producers"]]
        counts = old.counts()
        assert (counts.peers, counts.transports, counts.producers, counts.consumers) == (1, 1, 0, 0)
        again = await microphone(ada, await send_transport(ada))
        assert again != voice
        counts = new.counts()
        assert (counts.peers, counts.transports, counts.producers) == (2, 1, 1)
        await ada.close()
        await wait_all_tasks_blocked()
        assert new.counts().peers == 1
        assert new.counts().transports == 0


async def test_a_plane_without_room_refuses_a_newcomer_from_another_plane(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(routers=2) as rig:
        ada, ben, _ = await two_channels(rig)
        monkeypatch.setattr(Room, "is_on", lambda *_: False)
        answer = await ada.ask("move", channelId="studio")
        assert (answer["data"]["code"], answer["data"]["retryAfterMs"]) == ("rate_limited", 5000)
        assert await changes(ben) == []
        monkeypatch.undo()
        await ada.ok("move", channelId="studio")


async def refuse_full(rig: Rig) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    rig.gateway.channels.moderation.limit("studio", 1, by=ADMIN)
    return {}


async def refuse_locked(rig: Rig) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    rig.gateway.channels.moderation.lock("studio", by=ADMIN)
    return {}


async def refuse_removed(rig: Rig) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    rig.gateway.channels.moderation.remove("studio", "ada", 600, by=ADMIN)
    return {}


async def refuse_taken(rig: Rig) -> dict[str, Any]:
    other = await rig.connect()
    await other.join("ada", "studio")
    return {}


async def refuse_same(rig: Rig) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"channelId": "lobby"}


async def refuse_other(rig: Rig) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"userId": "ben"}


REFUSALS = [
    (refuse_full, "limit_exceeded"),
    (refuse_locked, "locked"),
    (refuse_removed, "forbidden"),
    (refuse_taken, "conflict"),
    (refuse_same, "conflict"),
    (refuse_other, "forbidden"),
]


@pytest.mark.parametrize(("prepare", "code"), REFUSALS, ids=[one[0].__name__ for one in REFUSALS])
async def test_a_refused_move_changes_nothing(autojump_clock: MockClock, prepare: Any, code: str) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await two_channels(rig)
        voice = await microphone(ada, await send_transport(ada))
        await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice)
        more = await prepare(rig)
        for client in (ada, ben, cleo):
            await client.take_all()
        lines = journal_of(rig)
        assert await ada.error("move", **{"channelId": "studio", **more}) == code
        assert lines == []
        assert rig.router.counts().consumers == 1
        assert await ben.take_all() == await cleo.take_all() == []
        assert list(rig.gateway.channels.channels["lobby"].members) == ["ada", "ben"]
        # The client goes on where it is.
        await ada.ok("message", data="still here")
        assert (await ben.event("message"))["data"] == "still here"


async def test_a_place_for_which_another_client_waits_is_taken(autojump_clock: MockClock, slow_goodbyes: None) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        (twin,) = await rig.joined("ada", channel="studio")
        await send_transport(twin)
        await twin.request("leave")  # its transport takes a second to say goodbye
        newcomer = await rig.connect()
        await newcomer.request("join", channelId="studio", username="ada", userId="ada", sessionSecret=secret_of("ada"))
        await wait_all_tasks_blocked()
        assert await ada.error("move", channelId="studio") == "conflict"
        await trio.sleep(2)
        assert await ada.error("move", channelId="studio") == "conflict"
        await newcomer.ok("leave")
        assert (await ada.ok("move", channelId="studio"))["revision"] == 1


async def test_there_may_be_no_more_channels_than_the_limit(autojump_clock: MockClock) -> None:
    async with open_rig(max_channels=1) as rig:
        (ada,) = await rig.joined("ada")
        assert await ada.error("move", channelId="studio") == "limit_exceeded"
        assert list(rig.gateway.channels.channels) == ["lobby"]


async def test_a_token_must_allow_the_channel_and_must_not_have_expired(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = write_key(tmp_path, "k1.secret", SECRET)
    async with open_rig(token_keys=(key,)) as rig:
        token = sign({"sub": "ada", "exp": TODAY.timestamp() + 600, "channel": ["lobby", "team-*"], "can": []})
        ada = await rig.connect()
        await ada.ok("join", channelId="lobby", username="Ada", token=token)
        answer = await ada.ask("move", channelId="studio")
        assert (answer["data"]["code"], answer["data"]["path"]) == ("forbidden", "data.channelId")
        assert (await ada.ok("move", channelId="team-1"))["channelId"] == "team-1"
        # A newer token must be for the channel that the client is in now.
        other = sign({"sub": "ada", "exp": TODAY.timestamp() + 900, "channel": "lobby"})
        assert await ada.error("renew_token", token=other) == "forbidden"
        monkeypatch.setattr(rig.gateway, "utc_now", lambda: TODAY.replace(year=2027))
        assert await ada.error("move", channelId="team-2") == "forbidden"


async def test_a_move_counts_as_two_messages(autojump_clock: MockClock) -> None:
    async with open_rig(message_rate=0.1, message_burst=2) as rig:
        (ada,) = await rig.joined("ada")
        await ada.ok("move", channelId="a")
        assert await ada.error("move", channelId="b") == "rate_limited"
        await trio.sleep(20)
        await ada.ok("move", channelId="b")


async def test_a_session_resumes_in_the_channel_to_which_it_moved(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ben, _, cleo = await two_channels(rig)
        ada = await rig.connect()
        session = await ada.join("dora")
        await ada.ok("move", channelId="studio")
        await cleo.ok("message", data="hello")
        await cleo.take_all()
        named = {name: session[name] for name in ("sessionId", "sessionSecret")}
        again = await rig.connect()
        again.last_event = 0
        resumed = await again.ok("resume_session", **named, lastEvent=0, lastAnswer=1)
        assert not resumed["lost"]
        moved, heard = await again.next(), await again.next()
        assert moved["data"]["channelId"] == "studio"
        assert (heard["type"], heard["data"]["data"]) == ("message", "hello")
        assert await cleo.take_all() == []
        # After a loss, the answer says where the client is.
        lost = await rig.connect()
        log = rig.gateway.seats[session["sessionId"]].member.connection.replay_log
        assert log is not None
        log.start_over()
        resumed = await lost.ok("resume_session", **named, lastEvent=0, lastAnswer=0)
        assert (resumed["lost"], resumed["channelId"]) == (True, "studio")
        await lost.close()
        assert (await cleo.voice_state("user_left"))["userId"] == "dora"
        assert [line for line in await changes(ben) if line[1] == "user_left"][-1][0] == "lobby"


async def test_a_seat_that_was_lost_is_that_of_the_new_channel(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _, _ = await two_channels(rig)
        await ada.ok("move", channelId="studio")
        await trio.aclose_forcefully(ada.stream)
        await wait_all_tasks_blocked()
        secret, now = secret_of("ada"), trio.current_time()
        assert rig.gateway.lost_seats.is_owner("studio", "ada", secret, now)
        assert not rig.gateway.lost_seats.is_owner("lobby", "ada", secret, now)


async def test_a_lock_behind_the_client_does_not_let_it_back_in(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _, _ = await two_channels(rig)
        rig.gateway.channels.moderation.lock("lobby", by=ADMIN)
        await ada.ok("move", channelId="studio")
        assert await ada.error("move", channelId="lobby") == "locked"


async def test_a_source_that_is_muted_in_the_new_channel_arrives_paused(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _, cleo = await two_channels(rig)
        voice = await microphone(ada, await send_transport(ada))
        moderation = rig.gateway.channels.moderation
        await ada.ok("move", channelId="studio")
        moderation.mute("studio", "ada", "microphone", by=ADMIN)
        await ada.ok("move", channelId="lobby")
        await ada.ok("resume", producerId=voice)  # only the studio muted it
        await cleo.take_all()
        moved = await ada.ok("move", channelId="studio")
        entry = moved["participants"][-1]
        assert entry["mutedSources"] == ["microphone"]
        assert [one["paused"] for one in entry["producers"]] == [True]
        assert (await cleo.voice_state("user_joined"))["participant"] == entry
        assert await ada.error("resume", producerId=voice) == "forbidden"


async def test_deafness_belongs_to_one_channel(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await two_channels(rig)
        receiving = await receive_transport(ada)
        here, there = [await microphone(one, await send_transport(one)) for one in (ben, cleo)]
        channels, moderation = rig.gateway.channels.channels, rig.gateway.channels.moderation

        async def hears(voice: str, channel: str) -> bool:
            await ada.ok("consume", transportId=receiving, producerId=voice, paused=False)
            peer = channels[channel].members["ada"].peer
            assert peer is not None
            return [consumer.held for consumer in peer.consumers.values()] == [False]

        moderation.deafen("lobby", "ada", by=ADMIN)
        assert not await hears(here, "lobby")
        moved = await ada.ok("move", channelId="studio")
        assert "deafened" not in moved["participants"][-1]
        assert await hears(there, "studio")
        moved = await ada.ok("move", channelId="lobby")
        assert moved["participants"][-1]["deafened"] is True
        assert not await hears(here, "lobby")


async def test_the_old_channel_has_no_say_in_the_producers_any_more(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _, _ = await two_channels(rig)
        transport = await send_transport(ada)
        await microphone(ada, transport)
        await camera(ada, transport)
        lobby = rig.gateway.channels.channels["lobby"]
        member = lobby.members["ada"]
        voice, picture = (one.producer for one in member.publications.values())
        voice.set_muted(True)  # as one that is not among the loudest
        lobby.speakers = ("ada",)
        prefer_speakers(lobby, trio.current_time())
        member.quality.announced = member.quality.measured = "poor"
        assert picture.speaking
        await ada.ok("move", channelId="studio")
        assert not voice.muted
        assert not picture.speaking
        # So the new channel is told with the next measurement.
        assert (member.quality.announced, member.quality.measured) == ("excellent", "poor")


async def test_each_join_and_leave_is_counted(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.ok("move", channelId="studio")
        await ada.ok("leave")
        await ada.join("ada")
        text = rig.metrics.render().decode()
        assert 'sfu_leaves_total{reason="moved"} 1' in text
        assert 'sfu_leaves_total{reason="left"} 1' in text
        assert "sfu_joins_total 3" in text


async def test_the_log_names_the_new_channel(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        rig.log.clear()
        await ada.ok("move", channelId="studio")
        await ada.ok("leave")
        lines = [(line["event"], line["channel"]) for line in rig.lines("ada") if line["event"] != "media closed"]
        assert lines == [
            ("client moved", "lobby"),
            ("client joined", "studio"),
            ("client left", "studio"),
            ("removed from channel", "studio"),
            ("members notified", "studio"),
        ]
