"""The HTTP interface for moderators."""

import threading

import pytest

from gateway.config import Config
from gateway.http.routes import make_app
from gateway.ops.metrics import Metrics
from tests.front_door.memory_front_door import Door, request
from tests.front_door.stand_ins import Rooms

ADMIN = {"Authorization": "Bearer open-sesame"}


@pytest.fixture
def rooms() -> Rooms:
    return Rooms({"kitchen": ["alice", "bob"], "a:b.c": ["carol"]})


@pytest.fixture
def door(rooms: Rooms) -> Door:
    return Door(app=make_app(Config(admin_token="open-sesame"), Metrics(), rooms, lambda: True))


async def test_channels_are_listed_with_their_number_of_members(door: Door) -> None:
    answer = await door.ask(request("/api/channels", headers=ADMIN))
    assert answer.status == 200
    assert answer.json == {"channels": [{"channelId": "kitchen", "members": 2}, {"channelId": "a:b.c", "members": 1}]}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("channel", ["a:b.c", "a%3Ab.c"])
async def test_a_participant_is_removed(door: Door, rooms: Rooms, channel: str) -> None:
    answer = await door.ask(request(f"/api/channels/{channel}/participants/carol", "DELETE", ADMIN))
    assert (answer.status, answer.body) == (204, b"")
    assert rooms.by_id["a:b.c"] == []


async def test_a_participant_is_removed_for_a_time(door: Door, rooms: Rooms) -> None:
    for query in ("", "?seconds=1", "?seconds=2592000"):
        rooms.by_id["kitchen"] = ["alice"]
        answer = await door.ask(request(f"/api/channels/kitchen/participants/alice{query}", "DELETE", ADMIN))
        assert (answer.status, rooms.by_id["kitchen"]) == (204, [])
    assert rooms.seconds == [None, 1, 2592000]


async def test_an_absent_user_can_be_kept_out_for_a_time(door: Door, rooms: Rooms) -> None:
    answer = await door.ask(request("/api/channels/nowhere/participants/eve?seconds=60", "DELETE", ADMIN))
    assert (answer.status, rooms.seconds) == (204, [60])


@pytest.mark.parametrize(
    "query", ["seconds=", "seconds=0", "seconds=-1", "seconds=1.5", "seconds=2592001", "seconds=x", "seconds=%D9%A1"]
)
async def test_a_bad_time_removes_nobody(door: Door, rooms: Rooms, query: str) -> None:
    for path in (query, f"{query}&seconds=5"):
        answer = await door.ask(request(f"/api/channels/kitchen/participants/alice?{path}", "DELETE", ADMIN))
        assert (answer.status, answer.text) == (400, "seconds must be a whole number from 1 to 2592000")
    assert rooms.by_id["kitchen"] == ["alice", "bob"]


@pytest.mark.parametrize("path", ["kitchen/participants/carol", "nowhere/participants/alice"])
async def test_removing_an_absent_user_is_404(door: Door, rooms: Rooms, path: str) -> None:
    answer = await door.ask(request(f"/api/channels/{path}", "DELETE", ADMIN))
    assert answer.status == 404
    assert rooms.by_id["kitchen"] == ["alice", "bob"]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic open-sesame", "open-sesame", "Bearer \xfc"]
)
@pytest.mark.parametrize(
    ("path", "method"), [("/api/channels", "GET"), ("/api/channels/kitchen/participants/alice", "DELETE")]
)
async def test_without_the_admin_token_moderation_is_refused(
    door: Door, rooms: Rooms, authorization: str | None, path: str, method: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await door.ask(request(path, method, headers))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "kitchen" not in answer.text
    assert rooms.by_id["kitchen"] == ["alice", "bob"]


@pytest.mark.parametrize("path", ["/api/channels", "/api/channels/kitchen/participants/alice", "/api/"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_without_a_configured_token_there_is_no_api(rooms: Rooms, path: str, method: str) -> None:
    door = Door(app=make_app(Config(), Metrics(), rooms, lambda: True))
    answer = await door.ask(request(path, method, ADMIN))
    assert answer.status == 404
    assert rooms.by_id["kitchen"] == ["alice", "bob"]


async def test_other_methods_are_not_allowed(door: Door) -> None:
    answer = await door.ask(request("/api/channels", "DELETE", ADMIN))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_moderation_runs_in_the_thread_of_the_gateway(door: Door, rooms: Rooms) -> None:
    """The called code belongs to trio."""
    await door.ask(request("/api/channels/kitchen/participants/alice", "DELETE", ADMIN))
    assert rooms.threads == {threading.get_ident()}
