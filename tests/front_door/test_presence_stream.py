"""``GET /api/presence`` over real sockets: every reader ends with the true list, however often its stream breaks."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field

from gateway.config import Config
from gateway.http import presence
from gateway.server import Server, open_server
from protocol.client import Client, connect
from tests.eventually import eventually
from tests.front_door.memory_front_door import connect_tcp, parse, read_all, request
from tests.identity.made_up_keys import SECRET, sign, write_key

FOREVER = 4_000_000_000


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Server]:
    async with open_server(Config(port=0, media_port=0, planes=1, **settings)) as server:
        yield server


@define
class Event:
    """One server-sent event."""

    id: str
    data: Any
    type: str = "message"


class StreamEnded(Exception):
    """The gateway has ended the stream in order."""


@define
class Stream:
    """The client's end of one stream. ``comments`` counts the lines that only show that it is alive."""

    stream: trio.abc.Stream
    head: bytes = b""
    comments: int = 0
    _received: bytes = b""
    _body: bytes = b""

    async def open(self, target: str, headers: dict[str, str]) -> None:
        await self.stream.send_all(request(target, headers=headers))
        self.head = await self._read_to(b"\r\n\r\n")

    async def _read_to(self, end: bytes) -> bytes:
        while end not in self._received:
            await self._read()
        found, _, self._received = self._received.partition(end)
        return found

    async def _read(self) -> None:
        data = await self.stream.receive_some(65536)
        if not data:
            raise EOFError
        self._received += data

    async def _line(self) -> bytes:
        """The next line of the body, which comes in chunks (RFC 9112 section 7.1)."""
        while b"\n" not in self._body:
            size = int(await self._read_to(b"\r\n"), 16)
            while len(self._received) < size + 2:
                await self._read()
            if not size:
                raise StreamEnded
            self._body += self._received[:size]
            self._received = self._received[size + 2 :]
        line, _, self._body = self._body.partition(b"\n")
        return line

    async def next(self) -> Event:
        """The next event. Raises ``EOFError`` at the end of the connection, and :exc:`StreamEnded`."""
        name, kind = "", "message"
        while True:
            line = (await self._line()).decode()
            key, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif key == "id":
                name = value
            elif key == "event":
                kind = value
            elif key == "data":
                return Event(name, json.loads(value), kind)


@define
class Mirror:
    """What a backend keeps: the list of each channel. It knows nothing but the events."""

    lists: dict[str, dict[str, Any]] = field(factory=dict)
    positions: dict[str, tuple[int, int]] = field(factory=dict)
    ids: list[str] = field(factory=list)

    def take(self, event: Event) -> None:
        assert event.id not in self.ids
        self.ids.append(event.id)
        data = event.data
        channel, position = data["channelId"], (data["epoch"], data["revision"])
        if "snapshot" in data:
            self.lists[channel] = {one["userId"]: one for one in data["participants"]}
        elif position <= self.positions.get(channel, (0, 0)):
            return
        elif data["type"] == "user_left":
            del self.lists[channel][data["userId"]]
        else:
            self.lists.setdefault(channel, {})[data["userId"]] = data["participant"]
        self.positions[channel] = position

    def users(self, channel: str) -> list[str]:
        return sorted(self.lists.get(channel, {}))


@asynccontextmanager
async def stream_of(server: Server, query: str, last: str | None = None, **headers: str) -> AsyncIterator[Stream]:
    if last is not None:
        headers["Last-Event-ID"] = last
    async with await connect_tcp(server) as tcp:
        stream = Stream(tcp)
        await stream.open(f"{presence.PATH}?{query}", headers)
        yield stream


async def follow(server: Server, query: str, mirror: Mirror, count: int) -> None:
    """Read ``count`` events into the mirror, and break the stream."""
    async with stream_of(server, query, mirror.ids[-1] if mirror.ids else None) as stream:
        with trio.fail_after(10):
            for _ in range(count):
                mirror.take(await stream.next())


@asynccontextmanager
async def member(server: Server, user: str, channel: str = "lobby", **more: Any) -> AsyncIterator[Client]:
    async with connect(server.url.replace("http", "ws", 1) + "/ws") as client:
        await client.join(channel, user, user_id=user, **more)
        yield client


async def status_of(server: Server, query: str, **headers: str) -> int:
    async with await connect_tcp(server) as tcp:
        await tcp.send_all(request(presence.PATH + query, headers=headers))
        with trio.move_on_after(2):
            return int(parse(await read_all(tcp)).status)
    return 200


async def test_a_stream_begins_with_a_snapshot_and_tells_each_change() -> None:
    async with (
        running() as server,
        member(server, "ada"),
        stream_of(server, "channel=lobby&channel=studio") as stream,
    ):
        assert b"200 OK" in stream.head
        assert b"text/event-stream" in stream.head.lower()
        mirror = Mirror()
        for _ in range(2):
            mirror.take(await stream.next())
        assert (mirror.users("lobby"), mirror.users("studio")) == (["ada"], [])
        async with member(server, "ben"):
            event = await stream.next()
            assert event.data.keys() >= {"type", "channelId", "epoch", "revision", "participant", "count"}
            mirror.take(event)
            assert mirror.users("lobby") == ["ada", "ben"]
        mirror.take(await stream.next())
        assert mirror.users("lobby") == ["ada"]


async def test_last_event_id_resumes_without_a_gap() -> None:
    async with running() as server, member(server, "ada"):
        mirror = Mirror()
        await follow(server, "channel=lobby", mirror, 1)
        async with member(server, "ben"):
            pass
        async with member(server, "cleo"):
            await follow(server, "channel=lobby", mirror, 3)
            assert mirror.users("lobby") == ["ada", "cleo"]
        await follow(server, "channel=lobby", mirror, 1)
        assert mirror.users("lobby") == ["ada"]
        assert len(mirror.ids) == 5


async def test_a_prefix_follows_channels_that_open_later() -> None:
    async with running() as server, member(server, "ada", "team-1"), member(server, "eve", "other"):
        mirror = Mirror()
        await follow(server, "prefix=team-", mirror, 1)
        async with member(server, "ben", "team-2"):
            await follow(server, "prefix=team-", mirror, 1)
        await follow(server, "prefix=team-", mirror, 1)
        assert {name: mirror.users(name) for name in mirror.lists} == {"team-1": ["ada"], "team-2": []}


@pytest.mark.parametrize("last", ["nonsense", "1-1", "", "ffffffffffffffff-7", "snapshot"])
async def test_an_id_that_the_gateway_does_not_know_gets_a_snapshot(last: str) -> None:
    async with running() as server, member(server, "ada"), stream_of(server, "channel=lobby", last) as stream:
        event = await stream.next()
        assert event.data["snapshot"] is True
        assert [one["userId"] for one in event.data["participants"]] == ["ada"]


async def test_who_follows_a_prefix_and_cannot_resume_is_told_to_forget_all_its_channels() -> None:
    async with running() as server, member(server, "ada", "team-1"):
        async with stream_of(server, "prefix=team-", "1-1") as stream:
            reset, snapshot = await stream.next(), await stream.next()
        assert (reset.type, reset.data) == ("reset", {"prefix": "team-"})
        assert (snapshot.type, snapshot.data["channelId"]) == ("message", "team-1")
        async with stream_of(server, "prefix=team-") as stream:
            assert (await stream.next()).data == snapshot.data


async def test_who_has_only_some_of_the_snapshots_gets_them_all_again() -> None:
    async with running() as server, member(server, "ada", "a"), member(server, "ben", "b"):
        first, second = Mirror(), Mirror()
        await follow(server, "channel=a&channel=b", first, 1)
        async with stream_of(server, "channel=a&channel=b", first.ids[0]) as stream:
            for _ in range(2):
                second.take(await stream.next())
        assert (second.users("a"), second.users("b")) == (["ada"], ["ben"])


async def test_what_is_forgotten_comes_as_a_snapshot() -> None:
    async with running(journal_channel_bytes=4096) as server, member(server, "ada"):
        mirror = Mirror()
        await follow(server, "channel=lobby", mirror, 1)
        async with connect(server.url.replace("http", "ws", 1) + "/ws") as client:
            for _ in range(8):
                await client.join("lobby", "ben", user_id="ben")
                await client.leave()
        async with stream_of(server, "channel=lobby", mirror.ids[-1]) as stream:
            event = await stream.next()
        assert (event.data["snapshot"], event.data["revision"]) == (True, 17)


async def test_a_quiet_stream_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "HEARTBEAT", 0.05)
    async with running() as server, stream_of(server, "channel=lobby") as stream:
        await stream.next()
        with trio.move_on_after(0.5):
            await stream.next()
        assert stream.comments >= 3


async def test_a_reader_that_is_gone_leaves_nothing_behind() -> None:
    async with running() as server:
        async with stream_of(server, "channel=lobby&channel=studio") as stream:
            await stream.next()
            assert server.gateway.feed.count == 2
        await eventually(lambda: not server.gateway.feed.count)


async def test_a_reader_that_reads_nothing_is_closed_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "_MOST_WAITING", 20_000)
    async with running(response_timeout=0.5) as server, stream_of(server, "channel=lobby") as stream:
        async with connect(server.url.replace("http", "ws", 1) + "/ws") as client:
            with trio.fail_after(20):
                while server.gateway.feed.count:
                    await client.join("lobby", "ben", user_id="ben", metadata={"text": "x" * 4000})
                    await client.leave()
        with pytest.raises(EOFError):
            while True:
                await stream.next()


async def test_a_gateway_that_stops_tells_who_left_and_ends_the_stream() -> None:
    mirror = Mirror()
    async with trio.open_nursery() as nursery:
        async with running() as server:
            nursery.start_soon(stay, server, "ada")  # noqa: ASYNC111: it outlives the gateway
            await eventually(lambda: server.gateway.seats)
            tcp = await connect_tcp(server)
            stream = Stream(tcp)
            await stream.open(f"{presence.PATH}?channel=lobby", {})
            mirror.take(await stream.next())
            assert mirror.users("lobby") == ["ada"]
        async with tcp:
            with pytest.raises(StreamEnded):
                while True:
                    mirror.take(await stream.next())
        assert mirror.users("lobby") == []
        nursery.cancel_scope.cancel()


async def stay(server: Server, user: str) -> None:
    async with member(server, user):
        await trio.sleep_forever()


async def test_there_are_no_more_streams_than_the_operator_allows() -> None:
    async with running(max_presence_streams=1) as server, stream_of(server, "channel=lobby"):
        assert await status_of(server, "?channel=lobby") == 503


async def test_one_address_has_a_quarter_of_the_streams() -> None:
    settings = {"max_presence_streams": 4, "join_token": "sesame", "trusted_proxies": ("127.0.0.1",)}
    headers = {"Authorization": "Bearer sesame", "X-Forwarded-For": "198.51.100.7"}
    async with running(**settings) as server, stream_of(server, "channel=lobby", **headers):
        assert await status_of(server, "?channel=lobby", **headers) == 429
        elsewhere = {**headers, "X-Forwarded-For": "198.51.100.8"}
        assert await status_of(server, "?channel=lobby", **elsewhere) == 200


async def test_one_address_has_no_more_streams_than_connections() -> None:
    settings = {"max_connections_per_address": 1, "join_token": "sesame", "trusted_proxies": ("127.0.0.1",)}
    headers = {"Authorization": "Bearer sesame", "X-Forwarded-For": "198.51.100.7"}
    async with running(**settings) as server, stream_of(server, "channel=lobby", **headers):
        assert await status_of(server, "?channel=lobby", **headers) == 429
        elsewhere = {**headers, "X-Forwarded-For": "198.51.100.8"}
        assert await status_of(server, "?channel=lobby", **elsewhere) == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?channel=",
        "?channel=no%20id",
        "?prefix=a&prefix=b",
        "?channel=a&prefix=b",
        "?channel=a&color=red",
        "?prefix=%",
        "?" + "&".join(f"channel=c{number}" for number in range(101)),
        "?" + "&".join(["channel=c"] * 300),
    ],
)
async def test_a_bad_query_is_400(query: str) -> None:
    async with running() as server:
        assert await status_of(server, query) == 400


async def test_only_get_reads_presence() -> None:
    async with running() as server, await connect_tcp(server) as tcp:
        await tcp.send_all(request(f"{presence.PATH}?channel=a", method="POST"))
        assert parse(await read_all(tcp)).status == 405


# Who may read.

FOREIGN: dict[str, dict[str, str]] = {
    "a host elsewhere": {"Host": "192.0.2.7"},
    "a proxy": {"X-Forwarded-For": "198.51.100.7"},
    "a proxy of the standard": {"Forwarded": "for=198.51.100.7"},
    "a proxy that says its name": {"Via": "1.1 proxy"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_without_tokens_only_programs_on_this_machine_read(headers: dict[str, str]) -> None:
    async with running() as server:
        assert await status_of(server, "?channel=lobby") == 200
        assert await status_of(server, "?channel=lobby", **headers) == 401


async def test_the_admin_token_reads_everything() -> None:
    async with running(admin_token="open-sesame") as server:
        assert await status_of(server, "?prefix=", Via="1.1 p", Authorization="Bearer open-sesame") == 200
        assert await status_of(server, "?prefix=", Via="1.1 p", Authorization="Bearer sesame") == 401
        assert await status_of(server, "?prefix=") == 200


async def test_a_shared_token_is_needed_where_join_needs_it() -> None:
    async with running(join_token="sesame") as server:
        assert await status_of(server, "?prefix=") == 401
        assert await status_of(server, "?prefix=", Authorization="Bearer sesame") == 200


async def test_a_json_web_token_must_grant_watch_and_allow_the_channels(tmp_path: Path) -> None:
    def bearer(*grants: str) -> str:
        return "Bearer " + sign({"sub": "backend", "exp": FOREVER, "channel": "team-*", "can": list(grants)})

    async with running(token_keys=(write_key(tmp_path, "k1.secret", SECRET),)) as server:
        assert await status_of(server, "?channel=team-1") == 401
        assert await status_of(server, "?channel=team-1", Authorization=bearer("subscribe")) == 403
        assert await status_of(server, "?channel=team-1", Authorization=bearer("watch")) == 200
        assert await status_of(server, "?prefix=team-a", Authorization=bearer("watch")) == 200
        assert await status_of(server, "?channel=lobby", Authorization=bearer("watch")) == 403
        assert await status_of(server, "?prefix=", Authorization=bearer("watch")) == 403
