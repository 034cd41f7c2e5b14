"""The requests of moderators: removing, muting, deafening, locking, limiting and ending."""

from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.channel.member import Member
from gateway.channel.moderation import ADMIN
from gateway.session import moving
from protocol.vocabulary import Participant
from tests.identity.made_up_keys import SECRET, sign, write_key
from tests.session.example_media import CAPABILITIES
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

FOREVER = TODAY.timestamp() + 86_400
USUAL = ["publish", "subscribe", "message"]


@pytest.fixture
def key(tmp_path: Path) -> str:
    return write_key(tmp_path, "k1.secret", SECRET)


async def join(rig: Rig, user: str, *, moderates: bool = False, channel: str = "lobby", **more: Any) -> RawClient:
    """A client with a token of its own that joined and took every frame."""
    client = await rig.connect()
    await client.ok("join", channelId=channel, username=user, token=token(user, moderates), **more)
    await wait_all_tasks_blocked()
    client.forget()
    return client


def token(user: str, moderates: bool = False) -> str:
    grants = [*USUAL, "moderate"] if moderates else USUAL
    return sign({"sub": user, "exp": FOREVER, "channel": "*", "can": grants})


async def refusal(rig: Rig, user: str, moderates: bool = False, **more: Any) -> Any:
    """The error that a new client gets for its join."""
    client = await rig.connect()
    frame = await client.ask("join", channelId="lobby", username=user, token=token(user, moderates), **more)
    assert frame["type"] == "error", frame
    await client.close()
    await wait_all_tasks_blocked()
    return frame["data"]


async def lose(client: RawClient) -> None:
    """Break the connection without a close frame."""
    await client.stream.aclose()
    await wait_all_tasks_blocked()


MODERATION: list[tuple[str, dict[str, Any]]] = [
    ("remove_participant", {"userId": "ben"}),
    ("readmit_participant", {"userId": "ben"}),
    ("mute", {"userId": "ben", "source": "microphone"}),
    ("unmute", {"userId": "ben", "source": "microphone"}),
    ("deafen", {"userId": "ben"}),
    ("undeafen", {"userId": "ben"}),
    ("lock_channel", {}),
    ("unlock_channel", {}),
    ("limit_members", {"maxMembers": 5}),
    ("end_channel", {}),
]


@pytest.mark.parametrize(("kind", "data"), MODERATION)
async def test_moderating_needs_the_grant(autojump_clock: MockClock, key: str, kind: str, data: dict[str, Any]) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        ada, ben = await join(rig, "ada"), await join(rig, "ben")
        ada.forget()
        error = (await ada.ask(kind, **data))["data"]
        assert error == {"code": "forbidden", "message": "the token does not grant moderate"}
        assert await ben.take_all() == []


@pytest.mark.parametrize(("kind", "data"), MODERATION)
async def test_nobody_moderates_where_everybody_may_join(
    autojump_clock: MockClock, kind: str, data: dict[str, Any]
) -> None:
    async with open_rig() as rig:
        ada, _ben = await rig.joined("ada", "ben")
        assert await ada.error(kind, **data) == "forbidden"


async def test_each_decision_is_logged_with_its_moderator_and_counted(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, _ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        await mia.ok("mute", userId="ben", source="camera")
        await mia.ok("unmute", userId="ben", source="camera")
        await mia.ok("deafen", userId="ben")
        await mia.ok("undeafen", userId="ben")
        await mia.ok("lock_channel", seconds=60)
        await mia.ok("unlock_channel")
        await mia.ok("limit_members", maxMembers=5)
        await mia.ok("limit_members")
        await mia.ok("remove_participant", userId="ben", seconds=600)
        await mia.ok("readmit_participant", userId="ben")
        rig.gateway.channels.moderation.end("lobby", by=ADMIN)
        assert await mia.wait_closed() == 4410
        lines = [line for line in rig.log if line["event"] == "moderated"]
        assert {line["channel"] for line in lines} == {"lobby"}
        assert [(line["action"], line["by"]) for line in lines] == [
            ("mute", "mia"),
            ("unmute", "mia"),
            ("deafen", "mia"),
            ("undeafen", "mia"),
            ("lock", "mia"),
            ("unlock", "mia"),
            ("limit", "mia"),
            ("end_limit", "mia"),
            ("remove", "mia"),
            ("readmit", "mia"),
            ("end", "the admin token"),
        ]
        assert (lines[0]["member"], lines[0]["source"]) == ("ben", "camera")
        assert (lines[8]["member"], lines[8]["for_seconds"]) == ("ben", 600)
        text = rig.metrics.render().decode()
        for line in lines:
            assert f'sfu_moderations_total{{action="{line["action"]}"}} 1.0' in text


# Removing.


async def test_a_moderator_removes_a_member_for_a_time(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        mia.forget()
        await mia.ok("remove_participant", userId="ben", seconds=60)
        assert await ben.wait_closed() == 4403
        left = await mia.voice_state("user_left")
        assert (left["userId"], left["reason"]) == ("ben", "removed")
        rig.remote = "192.0.2.7"
        assert (await refusal(rig, "ben"))["code"] == "forbidden"
        await trio.sleep(60)
        await join(rig, "ben")


async def test_a_moderator_lets_a_removed_user_in_again(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        assert await mia.error("readmit_participant", userId="ben") == "not_found"
        await mia.ok("remove_participant", userId="ben", seconds=60)
        assert await ben.wait_closed() == 4403
        await mia.ok("readmit_participant", userId="ben")
        ben = await join(rig, "ben")
        # That is over, and so is a removal whose time is over.
        assert await mia.error("readmit_participant", userId="ben") == "not_found"
        await mia.ok("remove_participant", userId="ben", seconds=60)
        await trio.sleep(60)
        assert await mia.error("readmit_participant", userId="ben") == "not_found"


async def test_removing_an_absent_user_is_not_found(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia = await join(rig, "mia", moderates=True)
        assert await mia.error("remove_participant", userId="ben") == "not_found"
        await mia.ok("remove_participant", userId="ben", seconds=60)
        assert await mia.error("remove_participant", userId="ben", seconds=0) == "invalid"
        assert await mia.error("remove_participant", userId="ben", seconds=2592001) == "invalid"


async def test_a_moderator_concerns_only_the_own_channel(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben", channel="cellar")
        assert await mia.error("remove_participant", userId="ben") == "not_found"
        assert await mia.error("mute", userId="ben", source="camera") == "not_found"
        assert await mia.error("deafen", userId="ben") == "not_found"
        await mia.ok("lock_channel")
        await mia.ok("end_channel")
        await join(rig, "eve", channel="cellar")
        assert await ben.ok("ping") == {}


# Muting.


async def muted_call(rig: Rig) -> tuple[RawClient, RawClient, str, str]:
    """A moderator who hears a member, and the ids of the member's voice and sending transport."""
    mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
    transport = await send_transport(ben)
    voice = await microphone(ben, transport)
    heard = await mia.ok("consume", transportId=await receive_transport(mia), producerId=voice, paused=False)
    assert not heard["producerPaused"]
    await wait_all_tasks_blocked()
    mia.forget()
    ben.forget()
    return mia, ben, voice, transport


async def test_a_muted_member_cannot_resume_and_everybody_sees_it(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, voice, _ = await muted_call(rig)
        await mia.ok("mute", userId="ben", source="microphone")
        assert (await mia.event("consumer_updated"))["producerPaused"]
        for client in (mia, ben):
            entry = (await client.voice_state("user_updated"))["participant"]
            assert entry["mutedSources"] == ["microphone"]
            assert entry["producers"][0]["paused"]
        error = (await ben.ask("resume", producerId=voice))["data"]
        assert error == {"code": "forbidden", "message": "a moderator muted your microphone"}
        await ben.ok("pause", producerId=voice)
        producer = rig.gateway.channels.channels["lobby"].members["ben"].publications[voice].producer
        assert producer.paused
        # Nobody but its owner turns a microphone on.
        await mia.ok("unmute", userId="ben", source="microphone")
        entry = (await ben.voice_state("user_updated"))["participant"]
        assert "mutedSources" not in entry
        assert entry["producers"][0]["paused"]
        await ben.ok("resume", producerId=voice)
        assert not producer.paused


async def test_a_new_producer_of_a_muted_source_starts_paused(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, voice, transport = await muted_call(rig)
        await mia.ok("mute", userId="ben", source="microphone")
        await ben.ok("close", producerId=voice)
        again = await microphone(ben, transport, 1002)
        assert await ben.error("resume", producerId=again) == "forbidden"
        publications = rig.gateway.channels.channels["lobby"].members["ben"].publications
        assert publications[again].entry.paused
        # Other sources are free.
        assert not publications[await camera(ben, transport)].entry.paused


async def test_a_mute_outlives_the_session(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, _voice, _ = await muted_call(rig)
        await mia.ok("mute", userId="ben", source="microphone")
        await ben.ok("leave")
        again = await ben.ok("join", channelId="lobby", username="ben", token=token("ben"))
        assert again["participants"][-1]["mutedSources"] == ["microphone"]
        voice = await microphone(ben, await send_transport(ben))
        assert await ben.error("resume", producerId=voice) == "forbidden"
        # It may also end while its user is away.
        await ben.ok("leave")
        await mia.ok("unmute", userId="ben", source="microphone")
        assert await mia.error("unmute", userId="ben", source="microphone") == "not_found"
        again = await ben.ok("join", channelId="lobby", username="ben", token=token("ben"))
        assert "mutedSources" not in again["participants"][-1]


async def test_the_mutes_of_a_channel_end_with_it(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await muted_call(rig)
        await mia.ok("mute", userId="ben", source="microphone")
        await ben.ok("leave")
        await mia.ok("leave")
        again = await ben.ok("join", channelId="lobby", username="ben", token=token("ben"))
        assert "mutedSources" not in again["participants"][-1]


async def test_the_number_of_muted_users_is_bounded(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,), max_members=2) as rig:
        mia = await join(rig, "mia", moderates=True)
        for user in ("u1", "u2", "u3"):
            client = await join(rig, user)
            await mia.ok("mute", userId=user, source="camera")
            await client.ok("leave")
        channel = rig.gateway.channels.channels["lobby"]
        assert channel.restraints.mutes == {"u2": ("camera",), "u3": ("camera",)}


async def test_muting_fails_for_absent_users_and_unknown_sources(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia = await join(rig, "mia", moderates=True)
        assert await mia.error("mute", userId="ben", source="microphone") == "not_found"
        assert await mia.error("unmute", userId="mia", source="microphone") == "not_found"
        assert await mia.error("mute", userId="mia", source="trumpet") == "invalid"


async def test_muting_twice_is_one_change(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await muted_call(rig)
        for _ in range(2):
            await mia.ok("mute", userId="ben", source="microphone")
        await mia.ok("mute", userId="ben", source="camera")
        await ben.voice_state("user_updated")
        entry = (await ben.voice_state("user_updated"))["participant"]
        assert entry["mutedSources"] == ["microphone", "camera"]
        assert await ben.take_all() == []


# Deafening.


async def listener(rig: Rig) -> tuple[RawClient, RawClient, str, str]:
    """A moderator, a member who hears the moderator, and the ids of the member's consumer and receiving transport."""
    mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
    voice = await microphone(mia, await send_transport(mia))
    receiving = await receive_transport(ben)
    heard = await ben.ok("consume", transportId=receiving, producerId=voice, paused=False)
    await wait_all_tasks_blocked()
    mia.forget()
    ben.forget()
    return mia, ben, str(heard["consumerId"]), receiving


def held(rig: Rig, user: str = "ben", channel: str = "lobby") -> list[bool]:
    """For each consumer of a member, whether the gateway lets nothing through."""
    peer = rig.gateway.channels.channels[channel].members[user].peer
    assert peer is not None
    return [consumer.held for consumer in peer.consumers.values()]


async def test_a_deafened_member_cannot_resume_and_everybody_sees_it(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, consumer, _ = await listener(rig)
        before = rig.gateway.channels.channels["lobby"].revision
        await mia.ok("deafen", userId="ben")
        for client in (mia, ben):
            change = await client.voice_state("user_updated")
            assert (change["userId"], change["revision"], change["participant"]["deafened"]) == (
                "ben",
                before + 1,
                True,
            )
            # Deafening mutes nothing.
            assert "mutedSources" not in change["participant"]
        await ben.ok("pause", consumerId=consumer)
        await ben.ok("resume", consumerId=consumer)
        assert held(rig) == [True]
        await mia.ok("undeafen", userId="ben")
        for client in (mia, ben):
            change = await client.voice_state("user_updated")
            assert "deafened" not in change["participant"]
        assert held(rig) == [False]
        assert await ben.take_all() == []


async def test_a_deafened_member_still_speaks_and_reads(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await listener(rig)
        await mia.ok("deafen", userId="ben")
        ben.forget()
        await microphone(ben, await send_transport(ben))
        publications = rig.gateway.channels.channels["lobby"].members["ben"].publications
        assert [one.entry.paused for one in publications.values()] == [False]
        await mia.ok("message", data="read this")
        assert [frame["type"] for frame in await ben.take_all()] == ["voice_state", "message"]


async def test_a_consumer_that_a_deafened_member_makes_gets_nothing(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, consumer, receiving = await listener(rig)
        await mia.ok("deafen", userId="ben")
        (voice,) = rig.gateway.channels.channels["lobby"].members["mia"].publications
        await ben.ok("close", consumerId=consumer)
        await ben.ok("consume", transportId=receiving, producerId=voice, paused=False)
        assert held(rig) == [True]
        await ben.ok("leave")
        await ben.ok("join", channelId="lobby", username="ben", token=token("ben"))
        await ben.ok("consume_many", transportId=await receive_transport(ben), producerIds=[voice], paused=False)
        assert held(rig) == [True]


async def test_deafness_outlives_the_session(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await listener(rig)
        await mia.ok("deafen", userId="ben")
        await ben.ok("leave")
        again = await ben.ok("join", channelId="lobby", username="ben", token=token("ben"))
        assert again["participants"][-1]["deafened"] is True
        # It may also end while its user is away.
        await ben.ok("leave")
        await mia.ok("undeafen", userId="ben")
        assert await mia.error("undeafen", userId="ben") == "not_found"
        again = await ben.ok("join", channelId="lobby", username="ben", token=token("ben"))
        assert "deafened" not in again["participants"][-1]


async def test_a_resumed_session_stays_deafened(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.connect(), (await rig.joined("ben"))[0]
        joined = await ada.join("ada")
        voice = await microphone(ben, await send_transport(ben))
        await ada.ok("consume", transportId=await receive_transport(ada), producerId=voice, paused=False)
        rig.gateway.channels.moderation.deafen("lobby", "ada", by=ADMIN)
        again = await rig.connect()
        secret = {"sessionId": joined["sessionId"], "sessionSecret": joined["sessionSecret"]}
        await again.ok("resume_session", **secret, lastEvent=0, lastAnswer=1)
        assert held(rig, "ada") == [True]
        member = rig.gateway.channels.channels["lobby"].members["ada"]
        assert member.participant.deafened


async def test_the_deafness_of_a_channel_ends_with_it(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await listener(rig)
        await mia.ok("deafen", userId="ben")
        await ben.ok("leave")
        await mia.ok("leave")
        again = await ben.ok("join", channelId="lobby", username="ben", token=token("ben"))
        assert "deafened" not in again["participants"][-1]


async def test_the_number_of_deafened_users_is_bounded(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,), max_members=2) as rig:
        mia = await join(rig, "mia", moderates=True)
        for user in ("u1", "u2", "u3"):
            client = await join(rig, user)
            await mia.ok("deafen", userId=user)
            await client.ok("leave")
        channel = rig.gateway.channels.channels["lobby"]
        assert list(channel.restraints.deafened) == ["u2", "u3"]


async def test_deafening_fails_for_absent_users(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia = await join(rig, "mia", moderates=True)
        assert await mia.error("deafen", userId="ben") == "not_found"
        assert await mia.error("undeafen", userId="mia") == "not_found"


async def test_deafening_twice_is_one_change(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await listener(rig)
        for _ in range(2):
            await mia.ok("deafen", userId="ben")
        await ben.voice_state("user_updated")
        assert await ben.take_all() == []


async def test_a_mute_and_deafness_are_two_decisions(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await listener(rig)
        await mia.ok("mute", userId="ben", source="microphone")
        await mia.ok("deafen", userId="ben")
        await mia.ok("unmute", userId="ben", source="microphone")
        assert held(rig) == [True]
        entries = [frame["data"]["participant"] for frame in await ben.take_all()]
        shown = [(entry.get("mutedSources"), entry.get("deafened")) for entry in entries]
        assert shown == [(["microphone"], None), (["microphone"], True), (None, True)]


async def test_a_moderator_pays_for_deafening(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await listener(rig)
        budget = rig.gateway.channels.channels["lobby"].members["mia"].connection.broadcast_budget
        while budget.take(1, trio.current_time()):
            pass
        for kind in ("deafen", "undeafen"):
            assert await mia.error(kind, userId="ben") == "rate_limited"
        assert await ben.take_all() == []


# Locking.


async def test_a_locked_channel_refuses_newcomers_and_keeps_its_members(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        mia.forget()
        await mia.ok("lock_channel")
        for client in (mia, ben):
            assert await client.event("channel_state") == {"locked": True}
        assert await refusal(rig, "eve") == {"code": "locked", "message": "a moderator locked this channel"}
        await mia.ok("lock_channel")  # changes nothing, so nobody hears of it
        assert await ben.take_all() == []
        await mia.ok("unlock_channel")
        assert await ben.event("channel_state") == {"locked": False}
        await join(rig, "eve")


async def test_a_newcomer_hears_of_a_lock_and_a_limit(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia = await join(rig, "mia", moderates=True)
        await mia.ok("lock_channel")
        await mia.ok("limit_members", maxMembers=7)
        other = await rig.connect()
        await other.ok("join", channelId="lobby", username="max", token=token("max", moderates=True))
        assert await other.event("channel_state") == {"locked": True, "maxMembers": 7}


async def test_a_member_of_a_locked_channel_resumes_its_session(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await rig.connect(), await rig.joined("ben")
        joined = await ada.join("ada")
        rig.gateway.channels.moderation.lock("lobby", by=ADMIN)
        again = await rig.connect()
        await again.ok("resume_session", sessionId=joined["sessionId"], sessionSecret=joined["sessionSecret"])
        assert await again.ok("ping") == {}


async def test_a_listed_member_of_a_locked_channel_joins_again_with_its_secret(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await rig.joined("ada", "ben")
        rig.gateway.channels.moderation.lock("lobby", by=ADMIN)
        again, stranger = await rig.connect(), await rig.connect()
        own = {"channelId": "lobby", "username": "Ada", "userId": "ada"}
        assert await stranger.error("join", **own, sessionSecret="x" * 22) == "locked"
        await again.join("ada")
        assert await ada.wait_closed() == 4409


async def test_a_member_that_lost_its_session_comes_back_for_a_time(autojump_clock: MockClock) -> None:
    async with open_rig(lost_member_seconds=60) as rig:
        ada, ben, _cleo = await rig.joined("ada", "ben", "cleo")
        rig.gateway.channels.moderation.lock("lobby", by=ADMIN)
        await lose(ada)
        await lose(ben)
        assert list(rig.gateway.channels.channels["lobby"].members) == ["cleo"]
        stranger = await rig.connect()
        own = {"channelId": "lobby", "username": "Ada", "userId": "ada"}
        assert await stranger.error("join", **own, sessionSecret="x" * 22) == "locked"
        await (await rig.connect()).join("ada")
        await trio.sleep(60)
        late = await rig.connect()
        with pytest.raises(AssertionError, match="locked"):
            await late.join("ben")


async def test_the_owner_of_a_token_comes_back_into_a_locked_channel(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        await mia.ok("lock_channel")
        await lose(ben)
        await join(rig, "ben")


@pytest.mark.parametrize("way", ["leave", "removed"])
async def test_a_member_that_left_a_locked_channel_is_a_newcomer(autojump_clock: MockClock, key: str, way: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        await mia.ok("lock_channel")
        if way == "leave":
            await ben.ok("leave")
        else:
            await mia.ok("remove_participant", userId="ben")
            assert await ben.wait_closed() == 4403
        assert (await refusal(rig, "ben"))["code"] == "locked"


@pytest.mark.usefixtures("slow_goodbyes")
async def test_a_lock_also_refuses_a_stranger_who_waits_for_a_seat(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ben = await rig.joined("ada", "ben")
        await send_transport(ada)
        await ada.request("leave")  # From now on anybody may wait for this user id.
        await wait_all_tasks_blocked()
        stranger = await rig.connect()
        number = await stranger.request("join", channelId="lobby", username="Ada", userId="ada", sessionSecret="x" * 22)
        await wait_all_tasks_blocked()
        rig.gateway.channels.moderation.lock("lobby", by=ADMIN)
        answer = await stranger.next()
        assert (answer["id"], answer["data"]["code"]) == (number, "locked")


async def test_a_moderator_enters_a_locked_channel(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia = await join(rig, "mia", moderates=True)
        await mia.ok("lock_channel")
        other = await join(rig, "max", moderates=True)
        await other.ok("unlock_channel")
        await join(rig, "eve")


async def test_a_lock_ends_with_the_channel(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia = await join(rig, "mia", moderates=True)
        await mia.ok("lock_channel")
        await mia.ok("limit_members", maxMembers=1)
        await mia.ok("leave")
        eve = await join(rig, "eve")
        await join(rig, "ben")
        assert [frame["type"] for frame in await eve.take_all()] == ["voice_state"]


async def test_a_lock_with_a_time_outlives_its_channel_for_this_time(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        await mia.ok("lock_channel", seconds=100)
        await mia.ok("leave")
        await lose(ben)
        assert not rig.gateway.channels.channels
        await trio.sleep(99)
        # Attempts do not begin the time anew, and open nothing.
        assert (await refusal(rig, "eve"))["code"] == "locked"
        await join(rig, "ben")  # It was a member, and lost its session.
        assert (await refusal(rig, "eve"))["code"] == "locked"
        ben = await join(rig, "ben")
        await ben.ok("leave")
        await trio.sleep(99)
        assert (await refusal(rig, "eve"))["code"] == "locked"
        await trio.sleep(1)
        await join(rig, "eve")
        assert not rig.gateway.channels.channels["lobby"].rules


async def test_a_channel_that_is_not_open_can_be_locked_and_unlocked(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        moderation = rig.gateway.channels.moderation
        moderation.lock("lobby", 60, by=ADMIN)
        client = await rig.connect()
        assert await client.error("join", channelId="lobby", username="A") == "locked"
        moderation.unlock("lobby", by=ADMIN)
        await client.ok("join", channelId="lobby", username="A")


# Limiting.


async def test_a_limit_refuses_further_members_and_removes_nobody(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, cleo = [await join(rig, user, moderates=user == "mia") for user in ("mia", "ben", "cleo")]
        cleo.forget()
        await mia.ok("limit_members", maxMembers=2)
        assert await cleo.event("channel_state") == {"locked": False, "maxMembers": 2}
        refused = await refusal(rig, "eve")
        assert refused == {"code": "limit_exceeded", "message": "the channel has 2 members already"}
        # A member that takes its own seat again makes the channel no larger.
        await join(rig, "ben")
        assert await ben.wait_closed() == 4409
        await cleo.ok("leave")
        assert (await refusal(rig, "cleo"))["code"] == "limit_exceeded"
        await mia.ok("limit_members", maxMembers=3)
        await join(rig, "cleo")
        await mia.ok("limit_members")
        await join(rig, "eve")


async def test_a_limit_with_a_time_outlives_its_channel(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia = await join(rig, "mia", moderates=True)
        await mia.ok("limit_members", maxMembers=1, seconds=100)
        await mia.ok("leave")
        await trio.sleep(99)
        await join(rig, "ben")
        assert (await refusal(rig, "eve"))["code"] == "limit_exceeded"


async def test_a_client_that_goes_before_it_gets_in_does_not_begin_the_time_anew(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        channels = rig.gateway.channels
        channels.moderation.limit("lobby", 1, 100, by=ADMIN)
        await trio.sleep(60)
        entry = Participant("ada", "Ada", "2026-11-01T09:30:00.250Z")
        with rig.gateway.register_connection("198.51.100.1") as connection, trio.CancelScope() as scope:
            scope.cancel()
            async with channels.seat("lobby", Member("s", connection, entry), lambda _: None):
                raise AssertionError("it got in")
        await trio.sleep(40)
        await rig.joined("ben")
        assert not channels.channels["lobby"].rules


async def test_the_gateways_own_limit_counts_in_any_case(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,), max_members=1) as rig:
        mia = await join(rig, "mia", moderates=True)
        await mia.ok("limit_members", maxMembers=10)
        assert (await refusal(rig, "eve"))["message"] == "the channel has 1 members already"
        assert await mia.error("limit_members", maxMembers=0) == "invalid"


# Ending.


async def test_ending_a_channel_ends_every_session_in_order(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, *_ = await muted_call(rig)
        await mia.ok("end_channel")
        for client in (mia, ben):
            assert await client.wait_closed() == 4410
        closing = ben.frames[-1]
        assert closing["type"] == "closing"
        assert closing["data"] == {"reason": "a moderator ended the channel", "code": 4410}
        lefts = [frame["data"] for frame in (*mia.frames, *ben.frames) if frame["type"] == "voice_state"]
        assert {left["reason"] for left in lefts if left["type"] == "user_left"} <= {"ended"}
        await wait_all_tasks_blocked()
        rig.assert_empty()
        text = rig.metrics.render().decode()
        assert 'sfu_leaves_total{reason="ended"} 2.0' in text
        assert 'sfu_closes_total{code="4410"} 2.0' in text
        await join(rig, "eve")


@pytest.mark.usefixtures("slow_goodbyes")
async def test_ending_a_channel_ends_waiting_clients_and_no_session_that_leaves(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        await send_transport(ada)
        left = await ada.request("leave")
        await wait_all_tasks_blocked()
        waiter = await rig.connect()
        await waiter.request("join", channelId="lobby", username="Ada", userId="ada", sessionSecret="x" * 22)
        await wait_all_tasks_blocked()
        rig.gateway.channels.moderation.end("lobby", by=ADMIN)
        assert await waiter.wait_closed() == 4410
        assert await ben.wait_closed() == 4410
        ada.forget()
        assert (await ada.next())["id"] == left
        assert (await ada.join("ada"))["channelId"] == "lobby"


async def test_a_member_hears_nothing_of_a_muted_camera(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        face = await camera(ben, await send_transport(ben))
        await mia.ok("mute", userId="ben", source="camera")
        receiving = (await mia.ok("create_transport", direction="receive", rtpCapabilities=CAPABILITIES))["transportId"]
        consumed = await mia.ok("consume", transportId=receiving, producerId=face, paused=False)
        assert consumed["producerPaused"]


# Moving others.


async def test_a_moderator_moves_a_member_who_learns_everything_in_one_event(
    autojump_clock: MockClock, key: str
) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben, eve = await join(rig, "mia", moderates=True), await join(rig, "ben"), await join(rig, "eve")
        (cleo,) = [await join(rig, "cleo", channel="studio")]
        voice = await microphone(ben, await send_transport(ben))
        heard = (await eve.ok("consume", transportId=await receive_transport(eve), producerId=voice))["consumerId"]
        for client in (mia, ben, eve):
            await client.take_all()
        answer = await mia.ok("move", channelId="studio", userId="ben")
        assert (answer["channelId"], answer["userId"], answer["mediaKept"]) == ("studio", "ben", True)
        told = await ben.event("channel_changed")
        own = {"sessionId", "sessionSecret", "grants"}
        assert {
            name for name in told if told[name] != answer[name]
        } == own  # the moderator gets no secret of the member
        ben_seat = rig.gateway.channels.channels["studio"].members["ben"]
        assert (told["sessionSecret"], told["sessionId"]) == (ben_seat.secret, ben_seat.session_id)
        assert [each["userId"] for each in told["participants"]] == ["cleo", "ben"]
        assert told["participants"][1]["producers"][0]["producerId"] == voice
        assert (await eve.event("consumer_closed"))["consumerId"] == heard
        left = await eve.voice_state("user_left")
        assert (left["userId"], left["reason"], left["to"]) == ("ben", "moved", "studio")
        assert (await cleo.voice_state("user_joined"))["userId"] == "ben"
        # The session goes on, in the new channel.
        await ben.ok("message", data="hello")
        assert (await cleo.event("message"))["from"] == "ben"
        assert [line["to"] for line in rig.log if line.get("action") == "move"] == ["studio"]


async def test_only_a_moderator_moves_others_and_only_where_both_may_be(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        assert await ben.error("move", channelId="studio", userId="mia") == "forbidden"
        assert await mia.error("move", channelId="studio", userId="eve") == "not_found"
        assert await mia.error("move", channelId="lobby", userId="ben") == "conflict"
        guest = await rig.connect()
        bound = sign({"sub": "guest", "exp": FOREVER, "channel": "lobby", "can": USUAL})
        await guest.ok("join", channelId="lobby", username="guest", token=bound)
        assert await mia.error("move", channelId="studio", userId="guest") == "forbidden"
        other = await join(rig, "ben", channel="studio")
        assert await mia.error("move", channelId="studio", userId="ben") == "conflict"
        await other.ok("ping")
        assert set(rig.gateway.channels.channels["lobby"].members) == {"mia", "ben", "guest"}


async def test_a_fault_while_a_member_is_moved_ends_the_member_alone(
    autojump_clock: MockClock, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_: Any) -> NoReturn:
        raise RuntimeError("a bug")

    async with open_rig(token_keys=(key,)) as rig:
        mia, ben = await join(rig, "mia", moderates=True), await join(rig, "ben")
        await mia.take_all()
        monkeypatch.setattr(moving, "close_consumers", break_down)
        assert await mia.error("move", channelId="studio", userId="ben") == "media_failed"
        assert await ben.wait_closed() == 4500
        left = await mia.voice_state("user_left")
        assert (left["userId"], left["reason"]) == ("ben", "failed")
        await wait_all_tasks_blocked()
        assert list(rig.gateway.channels.channels) == ["lobby"]
        await mia.ok("ping")
