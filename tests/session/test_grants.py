"""Joining with tokens, and the grant that each request needs."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from gateway.config import Config
from gateway.identity.rights import EVERYBODY, GRANTS, MODERATE, WATCH
from gateway.server import StartError, open_server
from gateway.session.dispatch import HANDLERS, NEEDS
from protocol import REQUESTS, Join, Leave, ResumeSession
from protocol.requests import CreateTransport, Produce
from protocol.watching import Watch
from tests.identity.made_up_keys import OTHER_SECRET, SECRET, sign, write_key
from tests.session.example_media import CAPABILITIES, ICE_CREDENTIALS, opus, vp8
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


@pytest.fixture
def key(tmp_path: Path) -> str:
    return write_key(tmp_path, "k1.secret", SECRET)


def token(*grants: str, user: str = "anna", channel: str | list[str] = "lobby", expires: float = FOREVER) -> str:
    return sign({"sub": user, "exp": expires, "channel": channel, "can": list(grants)})


async def joined(rig: Rig, *grants: str, user: str = "anna", **more: Any) -> RawClient:
    client = await rig.connect()
    await client.ok("join", channelId="lobby", username=user, token=token(*grants, user=user, **more))
    return client


def test_each_request_says_which_grant_it_needs() -> None:
    assert NEEDS.keys() == HANDLERS.keys() == {*REQUESTS.values()} - {Join, Leave, ResumeSession}
    needed = {need for need in NEEDS.values() if isinstance(need, str)}
    assert needed <= set(GRANTS)
    assert {data for data, need in NEEDS.items() if callable(need)} == {CreateTransport, Produce, Watch}


def test_each_grant_but_the_reserved_one_opens_a_request() -> None:
    opened = {need for need in NEEDS.values() if isinstance(need, str)}
    publishing = {grant for grant in GRANTS if grant.startswith("publish")}  # ``produce`` and ``create_transport``
    assert opened | publishing | {WATCH} == set(GRANTS)


def test_nobody_moderates_without_a_token() -> None:
    assert EVERYBODY.grants < set(GRANTS)
    assert MODERATE not in EVERYBODY.grants


# Joining.


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "the token is missing or wrong"),
        ({"token": "wrong"}, "the token is missing or wrong"),
        ({"token": sign({"sub": "anna", "exp": FOREVER}, OTHER_SECRET)}, "the token is missing or wrong"),
        ({"token": token(expires=TODAY.timestamp() - 11)}, "the token has expired"),
        ({"token": sign({"sub": "anna", "exp": FOREVER, "aud": "mail"})}, "the token is for another audience"),
    ],
)
async def test_a_join_without_a_right_token_is_refused_and_closed_with_4401(
    autojump_clock: MockClock, key: str, given: dict[str, str], words: str
) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        client = await rig.connect()
        error = (await client.ask("join", channelId="lobby", username="Anna", **given))["data"]
        assert error == {"code": "unauthenticated", "message": words}
        assert await client.wait_closed() == 4401
        assert not rig.gateway.channels.channels


async def test_the_sub_of_the_token_is_the_user_id(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        client = await rig.connect()
        assert (await client.ok("join", channelId="lobby", username="A", token=token()))["userId"] == "anna"
        await client.ok("leave")
        # A client may say so, too. The page does when it joins again.
        await client.ok("join", channelId="lobby", username="A", userId="anna", token=token())


async def test_an_answer_to_join_lists_the_grants(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        client = await rig.connect()
        given = token("moderate", "publish:camera", "made_up")
        answer = await client.ok("join", channelId="lobby", username="A", token=given)
        assert answer["grants"] == ["publish:camera", "moderate"]
    async with open_rig() as rig:
        answer = await (await rig.connect()).ok("join", channelId="lobby", username="A")
        assert answer["grants"] == ["publish", "subscribe", "message", "watch"]


async def test_a_token_decides_whether_its_owner_takes_a_listed_seat(autojump_clock: MockClock, key: str) -> None:
    for gateway in ("replace", "reject"):
        async with open_rig(token_keys=(key,), duplicate_users=gateway) as rig:
            first = await joined(rig)
            second = await rig.connect()
            own = {"channelId": "lobby", "username": "A"}
            assert await second.error("join", **own, token=duplicating("reject")) == "conflict"
            await second.ok("join", **own, token=duplicating("replace"))
            assert await first.wait_closed() == 4409


def duplicating(duplicates: str) -> str:
    return sign({"sub": "anna", "exp": FOREVER, "channel": "lobby", "duplicates": duplicates})


async def test_nobody_takes_the_seat_of_another_user_with_an_own_token(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        anna = await joined(rig)
        mallory = await rig.connect()
        own = token(user="mallory")
        error = (await mallory.ask("join", channelId="lobby", username="A", userId="anna", token=own))["data"]
        assert (error["code"], error["path"]) == ("forbidden", "data.userId")
        assert await anna.ok("ping") == {}


async def test_the_owner_of_a_token_takes_its_own_seat_again(autojump_clock: MockClock, key: str) -> None:
    # The token proves the user id, so no secret of the older session is needed.
    async with open_rig(token_keys=(key,)) as rig:
        former = await joined(rig)
        await joined(rig)
        assert await former.wait_closed() == 4409
        assert list(rig.gateway.channels.channels["lobby"].members) == ["anna"]


@pytest.mark.parametrize(
    ("allowed", "channel", "may"),
    [
        ("lobby", "lobby", True),
        ("lobby", "lobby2", False),
        ("lobby", "lobb", False),
        ("lobby", "LOBBY", False),
        (["a", "b"], "b", True),
        (["a", "b"], "c", False),
        ("team-*", "team-1", True),
        ("team-*", "team-", True),
        ("team-*", "team", False),
        ("team-*", "my-team-1", False),
        ("*", "anything", True),
        ([], "lobby", False),
        ("t.*", "tx1", False),
    ],
)
async def test_a_token_opens_its_channels_and_no_other(
    autojump_clock: MockClock, key: str, allowed: str | list[str], channel: str, may: bool
) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        client = await rig.connect()
        frame = await client.ask("join", channelId=channel, username="A", token=token(channel=allowed))
        if may:
            assert frame["type"] == "ok"
        else:
            assert (frame["data"]["code"], frame["data"]["path"]) == ("forbidden", "data.channelId")
            assert channel not in rig.gateway.channels.channels
            # The token is right, so the client may ask for another channel.
            assert await client.error("ping") == "not_joined"


# Requests.

SEND, RECEIVE = {"direction": "send"}, {"direction": "receive", "rtpCapabilities": CAPABILITIES}
Ask = Callable[[RawClient, str], Any]
VOICE = {"kind": "audio", "rtpParameters": opus(1001), "source": "microphone"}
FACE = {"kind": "video", "rtpParameters": vp8(2001), "source": "camera"}
PRIVILEGED: list[tuple[str, dict[str, Any], set[str]]] = [
    ("create_transport", SEND, {"publish", "publish:camera"}),
    ("create_transport", RECEIVE, {"subscribe"}),
    ("produce", {"transportId": "t", **VOICE}, {"publish", "publish:microphone"}),
    ("produce", {"transportId": "t", **FACE}, {"publish", "publish:camera"}),
    ("consume", {"transportId": "t", "producerId": "p"}, {"subscribe"}),
    ("consume_many", {"transportId": "t", "producerIds": ["p"]}, {"subscribe"}),
    ("message", {"data": 1}, {"message"}),
    ("remove_participant", {"userId": "nobody"}, {"moderate"}),
    ("readmit_participant", {"userId": "nobody"}, {"moderate"}),
    ("mute", {"userId": "nobody", "source": "camera"}, {"moderate"}),
    ("unmute", {"userId": "nobody", "source": "camera"}, {"moderate"}),
    ("deafen", {"userId": "nobody"}, {"moderate"}),
    ("undeafen", {"userId": "nobody"}, {"moderate"}),
    ("lock_channel", {}, {"moderate"}),
    ("unlock_channel", {}, {"moderate"}),
    ("limit_members", {"maxMembers": 9}, {"moderate"}),
]


@pytest.mark.parametrize(("kind", "data", "enough"), PRIVILEGED)
async def test_a_request_needs_its_grant(
    autojump_clock: MockClock, key: str, kind: str, data: dict[str, Any], enough: set[str]
) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        for grant in enough:
            client = await joined(rig, grant)
            frame = await client.ask(kind, **data)
            assert frame["type"] == "ok" or frame["data"]["code"] == "not_found", grant
        others = set(GRANTS) - enough
        if kind == "create_transport" and data == SEND:
            others = {grant for grant in others if not grant.startswith("publish")}
        client = await joined(rig, *others)
        error = (await client.ask(kind, **data))["data"]
        assert error["code"] == "forbidden"
        assert error["message"].startswith("the token does not grant ")
        assert await client.ok("ping") == {}


async def test_a_listener_hears_and_cannot_speak(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        speaker = await joined(rig, "publish:microphone", user="speaker")
        listener = await joined(rig, "subscribe", user="listener")
        sending = await send_transport(speaker)
        voice = await microphone(speaker, sending)
        assert await speaker.error("produce", transportId=sending, **FACE) == "forbidden"
        consumed = await listener.ok("consume", transportId=await receive_transport(listener), producerId=voice)
        await listener.ok("resume", consumerId=consumed["consumerId"])
        assert await listener.error("create_transport", **SEND) == "forbidden"
        assert await listener.error("message", data=1) == "forbidden"
        await listener.ok("stats")


async def test_a_token_that_expires_ends_no_call_and_its_next_privileged_request_is_refused(
    autojump_clock: MockClock, key: str
) -> None:
    async with open_rig(token_keys=(key,), token_leeway=0) as rig:
        ends = TODAY.timestamp() + 60
        anna = await joined(rig, "publish", "subscribe", "message", expires=ends)
        ben = await joined(rig, "publish", "subscribe", user="ben")
        sending, receiving = await send_transport(anna), await receive_transport(anna)
        voice, face = await microphone(anna, sending), await camera(ben, await send_transport(ben))
        seen = (await anna.ok("consume", transportId=receiving, producerId=face))["consumerId"]

        set_time(rig, TODAY + timedelta(seconds=59.9))
        await anna.ok("message", data="still here")
        set_time(rig, TODAY + timedelta(seconds=60))
        for kind, data in (
            ("message", {"data": 1}),
            ("produce", {"transportId": sending, **FACE}),
            ("consume", {"transportId": receiving, "producerId": face}),
        ):
            error = (await anna.ask(kind, **data))["data"]
            assert error["code"] == "forbidden"
            assert error["message"] == "the token has expired; renew it, or join with a new one"
        # The call goes on with everything that it has, also over another network.
        for kind, data in (
            ("ping", {}),
            ("stats", {}),
            ("restart_ice", {"transportId": sending}),
            ("set_ice_parameters", {"transportId": sending, "iceParameters": ICE_CREDENTIALS}),
            ("pause", {"producerId": voice}),
            ("resume", {"producerId": voice}),
            ("set_layers", {"consumerId": seen, "spatial": 0, "temporal": 0}),
            ("set_priority", {"consumerId": seen, "priority": 2}),
            ("resume", {"consumerId": seen}),
        ):
            await anna.ok(kind, **data)
        assert "anna" in rig.gateway.channels.channels["lobby"].members
        # After leaving, the old token opens nothing.
        await anna.ok("leave")
        again = {"channelId": "lobby", "username": "A", "token": token(expires=ends)}
        assert (await anna.ask("join", **again))["data"]["message"] == "the token has expired"
        assert await anna.wait_closed() == 4401


async def test_a_newer_token_brings_the_grants_back(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,), token_leeway=0) as rig:
        anna = await joined(rig, "publish", "message", expires=TODAY.timestamp() + 60)
        await microphone(anna, await send_transport(anna))
        set_time(rig, TODAY + timedelta(seconds=60))
        assert await anna.error("message", data=1) == "forbidden"
        renewed = token("message", "moderate", expires=TODAY.timestamp() + 120)
        assert await anna.ok("renew_token", token=renewed) == {"grants": ["message", "moderate"]}
        await anna.ok("message", data=1)
        await anna.ok("lock_channel")
        # Only the new grants count. What the client has stays.
        assert await anna.error("create_transport", **RECEIVE) == "forbidden"
        assert len((await anna.ok("stats"))["producers"]) == 1
        set_time(rig, TODAY + timedelta(seconds=120))
        assert await anna.error("message", data=1) == "forbidden"


async def test_a_wrong_token_renews_nothing_and_ends_nothing(autojump_clock: MockClock, key: str) -> None:
    async with open_rig(token_keys=(key,)) as rig:
        anna = await joined(rig, "message")
        for given, code, words in (
            ("x", "unauthenticated", "the token is missing or wrong"),
            (token(expires=TODAY.timestamp() - 11), "unauthenticated", "the token has expired"),
            (token("moderate", user="ben"), "forbidden", "the token is for another user"),
            (token("moderate", channel="cellar"), "forbidden", "the token does not allow this channel"),
        ):
            error = (await anna.ask("renew_token", token=given))["data"]
            assert error == {"code": code, "message": words, "path": "data.token"}
            await anna.ok("message", data=1)
            assert await anna.error("lock_channel") == "forbidden"


@pytest.mark.parametrize("settings", [{}, {"join_token": "sesame"}])
async def test_without_tokens_of_users_there_is_nothing_to_renew(
    autojump_clock: MockClock, settings: dict[str, Any]
) -> None:
    async with open_rig(**settings) as rig:
        client = await rig.connect()
        await client.ok("join", channelId="lobby", username="A", token="sesame")
        assert await client.error("renew_token", token="sesame") == "conflict"


def set_time(rig: Rig, now: datetime) -> None:
    rig.gateway.utc_now = lambda: now


async def test_without_tokens_everybody_may_do_everything_but_moderate(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (client,) = await rig.joined("ada")
        sending = await send_transport(client)
        await microphone(client, sending)
        await camera(client, sending)
        await receive_transport(client)
        await client.ok("message", data=1)


# Secrets.


async def test_tokens_and_secrets_are_in_no_log_line_and_no_repr(autojump_clock: MockClock, key: str) -> None:
    good, bad = token("publish"), sign({"sub": "anna", "exp": 1})
    async with open_rig(token_keys=(key,)) as rig:
        anna, late = await rig.connect(), await rig.connect()
        secret = (await anna.ok("join", channelId="lobby", username="A", token=good))["sessionSecret"]
        assert await late.error("join", channelId="lobby", username="A", token=bad) == "unauthenticated"
        await late.wait_closed()
        shown = f"{rig.log} {rig.gateway.seats} {rig.gateway.tokens} {rig.gateway.config}"
        assert "token refused" in shown
        for hidden in (good, bad, secret, SECRET.decode()):
            assert hidden not in shown
    assert "abc" not in repr(Join("lobby", "A", token="abc", session_secret="abc" * 8))


# Starting.


async def test_a_gateway_with_an_unusable_key_does_not_start(tmp_path: Path) -> None:
    weak = write_key(tmp_path, "weak.secret", b"short")
    with pytest.raises(StartError, match="less than 32 bytes"):
        async with open_server(Config(media_port=0, token_keys=(weak,)), listeners=()):
            pass


def test_settings_of_tokens_without_a_key_do_not_leave_the_gateway_open() -> None:
    with pytest.raises(ValueError, match="need token_keys"):
        Config(token_audience="calls")
    with pytest.raises(ValueError, match="need token_keys"):
        Config(token_issuer="us")


def test_one_field_cannot_carry_two_kinds_of_tokens(key: str) -> None:
    with pytest.raises(ValueError, match="token_keys or join_token, not both"):
        Config(token_keys=(key,), join_token="sesame")
