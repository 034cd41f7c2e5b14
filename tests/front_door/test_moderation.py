"""The HTTP interface for moderators, before a whole gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.channel.channel import Channel
from gateway.channel.member import Member
from gateway.config import Config
from gateway.http.routes import make_app
from gateway.ops.metrics import Metrics
from gateway.session.moving import move_participant
from tests.front_door.memory_front_door import Answer, Door, request
from tests.front_door.stand_ins import no_channels
from tests.session.memory_gateway import RawClient, Rig, microphone, open_rig, send_transport

ADMIN = {"Authorization": "Bearer open-sesame"}
KITCHEN = "/api/channels/kitchen"


@asynccontextmanager
async def house() -> AsyncIterator[tuple[Rig, Door, RawClient, RawClient]]:
    """A gateway, its door, and Alice and Bob in the kitchen."""
    async with open_rig(admin_token="open-sesame") as rig:
        alice, bob = await rig.joined("alice", "bob", channel="kitchen")
        yield rig, Door(app=make_app(rig.gateway.config, Metrics(), rig.gateway.channels, lambda: True)), alice, bob


async def ask(door: Door, method: str, path: str) -> Answer:
    return await door.ask(request(path, method, ADMIN))


async def test_channels_are_listed_with_their_members_and_rules(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, _alice, _bob):
        await rig.joined("carol", channel="a:b.c")
        for path in ("lock", "limit?members=9"):
            assert (await ask(door, "PUT", f"{KITCHEN}/{path}")).status == 204
        answer = await ask(door, "GET", "/api/channels")
        assert answer.status == 200
        assert answer.json == {
            "channels": [
                {"channelId": "kitchen", "members": 2, "locked": True, "maxMembers": 9},
                {"channelId": "a:b.c", "members": 1, "locked": False},
            ]
        }
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("channel", ["a:b.c", "a%3Ab.c"])
async def test_a_participant_is_removed(autojump_clock: MockClock, channel: str) -> None:
    async with house() as (rig, door, _alice, _bob):
        (carol,) = await rig.joined("carol", channel="a:b.c")
        answer = await ask(door, "DELETE", f"/api/channels/{channel}/participants/carol")
        assert (answer.status, answer.body) == (204, b"")
        assert await carol.wait_closed() == 4403


async def test_a_participant_is_removed_for_a_time(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, alice, _bob):
        assert (await ask(door, "DELETE", f"{KITCHEN}/participants/alice?seconds=60")).status == 204
        assert await alice.wait_closed() == 4403
        again = await rig.connect()
        assert await again.error("join", channelId="kitchen", username="A", userId="alice") == "forbidden"
        await trio.sleep(60)
        await again.close()
        await (await rig.connect()).join("alice", "kitchen")


async def test_a_removed_participant_is_let_in_again(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, _alice, _bob):
        removal = f"{KITCHEN}/removals/alice"
        assert (await ask(door, "DELETE", removal)).status == 404
        assert (await ask(door, "DELETE", f"{KITCHEN}/participants/alice?seconds=60")).status == 204
        assert (await ask(door, "DELETE", f"{removal}?seconds=60")).status == 400
        assert (await ask(door, "DELETE", removal)).status == 204
        await (await rig.connect()).join("alice", "kitchen")
        assert (await ask(door, "DELETE", removal)).status == 404


async def test_an_absent_user_can_be_kept_out_for_a_time(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, _alice, _bob):
        assert (await ask(door, "DELETE", "/api/channels/nowhere/participants/eve?seconds=2592000")).status == 204
        eve = await rig.connect()
        assert await eve.error("join", channelId="nowhere", username="E", userId="eve") == "forbidden"


BAD_NUMBERS = ["", "0", "-1", "1.5", "2592001", "x", "%D9%A1"]


@pytest.mark.parametrize("number", BAD_NUMBERS)
@pytest.mark.parametrize(("method", "path"), [("DELETE", f"{KITCHEN}/participants/alice"), ("PUT", f"{KITCHEN}/lock")])
async def test_a_bad_time_changes_nothing(autojump_clock: MockClock, method: str, path: str, number: str) -> None:
    async with house() as (rig, door, alice, _bob):
        for query in (f"seconds={number}", f"seconds={number}&seconds=5"):
            answer = await ask(door, method, f"{path}?{query}")
            assert (answer.status, answer.text) == (400, "seconds must be a whole number from 1 to 2592000")
        assert await alice.ok("ping") == {}
        assert not rig.gateway.channels.channels["kitchen"].rules


@pytest.mark.parametrize("query", ["", "?members=0", "?members=x", "?members=1000001", "?members=1&members=2"])
async def test_a_bad_limit_changes_nothing(autojump_clock: MockClock, query: str) -> None:
    async with house() as (rig, door, _alice, _bob):
        answer = await ask(door, "PUT", f"{KITCHEN}/limit{query}")
        assert answer.status == 400
        assert answer.text.startswith("members ")
        assert not rig.gateway.channels.channels["kitchen"].rules


async def test_a_source_is_muted_and_unmuted(autojump_clock: MockClock) -> None:
    async with house() as (_rig, door, alice, bob):
        voice = await microphone(alice, await send_transport(alice))
        await bob.take_all()
        path = f"{KITCHEN}/participants/alice/mutes/microphone"
        assert (await ask(door, "PUT", path)).status == 204
        entry = (await bob.voice_state("user_updated"))["participant"]
        assert (entry["mutedSources"], entry["producers"][0]["paused"]) == (["microphone"], True)
        assert await alice.error("resume", producerId=voice) == "forbidden"
        assert (await ask(door, "DELETE", path)).status == 204
        await alice.ok("resume", producerId=voice)


async def test_a_member_is_deafened_and_hears_again(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, _alice, bob):
        path = f"{KITCHEN}/participants/alice/deafen"
        answer = await ask(door, "PUT", path)
        told = await bob.voice_state("user_updated")
        assert (answer.status, answer.headers["channel-revision"]) == (204, str(told["revision"]))
        assert told["participant"]["deafened"] is True
        assert (await ask(door, "GET", f"{KITCHEN}/participants/alice")).json["participant"] == told["participant"]
        assert (await ask(door, "DELETE", path)).status == 204
        assert "deafened" not in (await bob.voice_state("user_updated"))["participant"]
        actions = [line["action"] for line in rig.log if line["event"] == "moderated"]
        assert actions == ["deafen", "undeafen"]


async def test_a_channel_is_locked_limited_and_opened_again(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, alice, _bob):
        for path, state, code in (
            ("lock", {"locked": True}, "locked"),
            ("limit?members=2", {"locked": False, "maxMembers": 2}, "limit_exceeded"),
        ):
            assert (await ask(door, "PUT", f"{KITCHEN}/{path}")).status == 204
            assert await alice.event("channel_state") == state
            eve = await rig.connect()
            assert await eve.error("join", channelId="kitchen", username="E") == code
            assert (await ask(door, "DELETE", f"{KITCHEN}/{path.partition('?')[0]}")).status == 204
            assert await alice.event("channel_state") == {"locked": False}


async def test_a_channel_that_is_not_open_is_locked_for_a_time(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, _alice, _bob):
        assert (await ask(door, "PUT", "/api/channels/attic/lock")).status == 404
        assert (await ask(door, "PUT", "/api/channels/attic/lock?seconds=60")).status == 204
        eve = await rig.connect()
        assert await eve.error("join", channelId="attic", username="E") == "locked"
        assert (await ask(door, "DELETE", "/api/channels/attic/lock")).status == 204
        assert (await ask(door, "DELETE", "/api/channels/attic/lock")).status == 404
        await eve.ok("join", channelId="attic", username="E")


async def test_a_channel_is_ended(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, alice, bob):
        assert (await ask(door, "DELETE", KITCHEN)).status == 204
        assert [await client.wait_closed() for client in (alice, bob)] == [4410, 4410]
        await wait_all_tasks_blocked()
        rig.assert_empty()
        assert (await ask(door, "DELETE", KITCHEN)).status == 404
        (line,) = [line for line in rig.log if line["event"] == "moderated"]
        assert (line["action"], line["by"], line["members"]) == ("end", "the admin token", 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"{KITCHEN}/participants/carol"),
        ("DELETE", "/api/channels/nowhere/participants/alice"),
        ("PUT", f"{KITCHEN}/participants/carol/mutes/camera"),
        ("PUT", f"{KITCHEN}/participants/alice/mutes/trumpet"),
        ("DELETE", f"{KITCHEN}/participants/alice/mutes/camera"),
        ("DELETE", f"{KITCHEN}/removals/carol"),
        ("PUT", f"{KITCHEN}/participants/carol/deafen"),
        ("DELETE", f"{KITCHEN}/participants/alice/deafen"),
        ("PUT", "/api/channels/nowhere/limit?members=5"),
        ("DELETE", "/api/channels/nowhere/limit"),
        ("DELETE", "/api/channels/nowhere"),
    ],
)
async def test_a_decision_about_nobody_is_404(autojump_clock: MockClock, method: str, path: str) -> None:
    async with house() as (_rig, door, alice, bob):
        assert (await ask(door, method, path)).status == 404
        assert await alice.take_all() == await bob.take_all() == []


DECISIONS = [
    ("GET", "/api/channels"),
    ("DELETE", KITCHEN),
    ("PUT", f"{KITCHEN}/lock"),
    ("DELETE", f"{KITCHEN}/lock"),
    ("PUT", f"{KITCHEN}/limit?members=1"),
    ("DELETE", f"{KITCHEN}/limit"),
    ("DELETE", f"{KITCHEN}/participants/alice"),
    ("PUT", f"{KITCHEN}/participants/alice/mutes/camera"),
    ("DELETE", f"{KITCHEN}/participants/alice/mutes/camera"),
    ("PUT", f"{KITCHEN}/participants/alice/deafen"),
    ("DELETE", f"{KITCHEN}/participants/alice/deafen"),
    ("DELETE", f"{KITCHEN}/removals/alice"),
]


@pytest.mark.parametrize(("method", "path"), DECISIONS)
async def test_without_the_admin_token_moderation_is_refused(autojump_clock: MockClock, method: str, path: str) -> None:
    async with house() as (_rig, door, alice, bob):
        for given in (
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            "Basic open-sesame",
            "open-sesame",
            "Bearer \xfc",
        ):
            headers: dict[str, str] = {} if given is None else {"Authorization": given}
            answer = await door.ask(request(path, method, headers))
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "kitchen" not in answer.text
        assert await alice.take_all() == await bob.take_all() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_without_a_configured_token_there_is_no_api(method: str) -> None:
    door = Door(app=make_app(Config(), Metrics(), no_channels(), lambda: True))
    for path in {path for _, path in DECISIONS} | {"/api/"}:
        assert (await door.ask(request(path, method, ADMIN))).status == 404


async def test_other_methods_are_not_allowed() -> None:
    door = Door(app=make_app(Config(admin_token="open-sesame"), Metrics(), no_channels(), lambda: True))
    for path in ("/api/channels", KITCHEN, f"{KITCHEN}/lock"):
        assert (await door.ask(request(path, "POST", ADMIN))).status == 405


# Reading channels, and changing what is in them.


async def test_a_channel_is_read_with_its_list(autojump_clock: MockClock) -> None:
    async with house() as (_rig, door, alice, _bob):
        await microphone(alice, await send_transport(alice))
        assert (await ask(door, "PUT", f"{KITCHEN}/participants/bob/mutes/camera")).status == 204
        found = (await ask(door, "GET", KITCHEN)).json
        assert (found["channelId"], found["members"], found["revision"], found["locked"]) == ("kitchen", 2, 4, False)
        first, second = found["participants"]
        assert (first["userId"], second["userId"]) == ("alice", "bob")
        assert first["producers"][0]["source"] == "microphone"
        assert second["mutedSources"] == ["camera"]
        one = (await ask(door, "GET", f"{KITCHEN}/participants/alice")).json
        assert one == {"channelId": "kitchen", "epoch": found["epoch"], "revision": 4, "participant": first}


async def test_a_decision_says_which_list_it_has_led_to(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, _alice, bob):
        answer = await ask(door, "PUT", f"{KITCHEN}/participants/bob/mutes/camera")
        told = await bob.voice_state("user_updated")
        assert answer.headers["channel-revision"] == str(told["revision"])
        assert answer.headers["channel-epoch"] == str(told["epoch"])
        await ask(door, "DELETE", KITCHEN)
        await wait_all_tasks_blocked()
        assert "kitchen" not in rig.gateway.channels.channels


async def with_body(door: Door, method: str, path: str, body: str) -> Answer:
    headers = {**ADMIN, "Content-Length": str(len(body.encode()))}
    return await door.ask(request(path, method, headers, body.encode()))


async def test_a_name_and_metadata_are_changed(autojump_clock: MockClock) -> None:
    async with house() as (_rig, door, alice, bob):
        answer = await with_body(door, "PATCH", f"{KITCHEN}/participants/alice", '{"metadata":{"role":"host"}}')
        assert (answer.status, answer.json["revision"]) == (200, 3)
        for client in (alice, bob):
            change = await client.voice_state("user_updated")
            assert change["participant"] == answer.json["participant"]
            assert change["participant"]["metadata"] == {"role": "host"}


async def test_a_message_goes_to_all_or_to_some(autojump_clock: MockClock) -> None:
    async with house() as (_rig, door, alice, bob):
        answer = await with_body(door, "POST", f"{KITCHEN}/messages", '{"from":"system","data":"closing soon"}')
        assert answer.json == {"delivered": 2}
        for client in (alice, bob):
            assert await client.event("message") == {"from": "system", "data": "closing soon"}
        answer = await with_body(
            door, "POST", f"{KITCHEN}/messages", '{"from":"system","data":1,"to":["bob","eve","bob"]}'
        )
        assert answer.json == {"delivered": 1}
        assert (await bob.event("message"))["data"] == 1


WRONG = [
    ("PATCH", "/participants/alice", '{"username":""}', "username: "),
    ("PATCH", "/participants/alice", '{"metadata":[]}', "metadata: "),
    ("PATCH", "/participants/alice", "[]", "the body must be a JSON object"),
    ("PATCH", "/participants/alice", "{", "the body: "),
    ("POST", "/messages", '{"data":1}', "from: "),
    ("POST", "/messages", '{"from":"system"}', "data: "),
    ("POST", "/messages", '{"from":"system","data":1,"to":["no such id"]}', "to[0]: "),
    ("PATCH", "/participants/alice?x=1", "{}", "'x' means nothing in this query"),
    ("PATCH", "/participants/no%20id", "{}", "userId: "),
]


@pytest.mark.parametrize(("method", "path", "body", "why"), WRONG)
async def test_a_wrong_body_or_path_changes_nothing(
    autojump_clock: MockClock, method: str, path: str, body: str, why: str
) -> None:
    async with house() as (rig, door, _alice, bob):
        await bob.take_all()
        answer = await with_body(door, method, KITCHEN + path, body)
        assert (answer.status, answer.text.startswith(why)) == (400, True), answer.text
        assert rig.gateway.channels.channels["kitchen"].revision == 2
        assert await bob.take_all() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/channels/nowhere"),
        ("GET", f"{KITCHEN}/participants/eve"),
        ("PATCH", f"{KITCHEN}/participants/eve"),
        ("POST", "/api/channels/nowhere/messages"),
    ],
)
async def test_what_is_not_there_answers_404(autojump_clock: MockClock, method: str, path: str) -> None:
    async with house() as (_rig, door, _alice, _bob):
        body = '{"from":"a","data":1}' if method == "POST" else "{}"
        assert (await with_body(door, method, path, body)).status == 404


async def test_the_channels_need_the_admin_token_too(autojump_clock: MockClock) -> None:
    async with house() as (_rig, door, _alice, _bob):
        for path in ("/api/channels", KITCHEN, f"{KITCHEN}/participants/alice", "/api/openapi.json"):
            answer = await door.ask(request(path, "GET", {"Authorization": "Bearer wrong"}))
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_other_methods_answer_405_with_those_that_there_are(autojump_clock: MockClock) -> None:
    async with house() as (_rig, door, _alice, _bob):
        answer = await ask(door, "OPTIONS", f"{KITCHEN}/participants/alice")
        assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, PATCH")


async def test_a_participant_is_moved(autojump_clock: MockClock) -> None:
    async with house() as (rig, door, alice, bob):
        move = partial(move_participant, rig.gateway, by="the admin token")

        def mover(source: Channel, user_id: str, channel_id: str) -> Member:
            move(source, user_id, channel_id)
            return rig.gateway.channels.channels[channel_id].members[user_id]

        door = Door(app=make_app(rig.gateway.config, Metrics(), rig.gateway.channels, lambda: True, mover))
        to_hall = '{"channelId":"hall"}'
        answer = await with_body(door, "POST", f"{KITCHEN}/participants/alice/move", to_hall)
        assert (answer.status, answer.json["channelId"], answer.json["revision"]) == (200, "hall", 1)
        assert (await alice.event("channel_changed"))["channelId"] == "hall"
        assert (await bob.voice_state("user_left"))["to"] == "hall"
        again = await with_body(door, "POST", f"{KITCHEN}/participants/alice/move", to_hall)
        assert again.status == 404
        assert (await with_body(door, "POST", f"{KITCHEN}/participants/bob/move", "{}")).status == 400
        await rig.joined("bob", channel="hall")
        assert (await with_body(door, "POST", f"{KITCHEN}/participants/bob/move", to_hall)).status == 409
