"""Which requests for /ws become WebSockets, and the answers to the others."""

import pytest
import trio
from starlette.types import Receive, Scope, Send
from trio.testing import MockClock, memory_stream_pair

from gateway.config import Config
from gateway.connection.accounts import Account
from gateway.ops.loop_time import Payer, payer
from protocol.limits import SUBPROTOCOL
from tests.front_door.memory_front_door import Clients, Door, hello_app, parse, put_in_debt, request, upgrade

NAMED = Config(allowed_hosts=("meet.example.org", "abcdef"))
"""A gateway whose hosts are the names in these tests, so that only the check of the origin decides."""


async def test_an_upgrade_is_passed_on_with_its_whole_handshake() -> None:
    door = Door()
    data = upgrade()
    assert await door.raw(data) == b"HTTP/1.1 204 A client now\r\n\r\n"
    assert door.clients.heads == [data]
    assert door.clients.came == ["somewhere:1"]


async def test_a_frame_that_does_not_wait_for_the_answer_is_refused_not_lost() -> None:
    door = Door()
    answer = await door.ask(upgrade() + b"\x81\x80\x00\x00\x00\x00")
    assert answer.status == 400
    assert "wait for the answer" in answer.text
    assert door.clients.came == []


@pytest.mark.parametrize(
    "data",
    [
        upgrade("/ws?channel=a"),
        upgrade("http://localhost/ws"),
        upgrade(Connection="keep-alive, Upgrade"),
        upgrade(Upgrade="WebSocket"),
        upgrade(Sec_WebSocket_Protocol=SUBPROTOCOL),
        upgrade(Sec_WebSocket_Protocol=f"other, {SUBPROTOCOL}"),
        upgrade(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"),
    ],
)
async def test_the_handshakes_of_real_clients_are_accepted(data: bytes) -> None:
    door = Door()
    assert (await door.raw(data)).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("offered", ["chat", "trio-sfu.v2", "trio-sfu.v1.1, TRIO-SFU.V1"])
async def test_a_client_of_unknown_subprotocols_gets_the_known_one(offered: str) -> None:
    door = Door()
    answer = await door.ask(upgrade(Sec_WebSocket_Protocol=offered))
    assert answer.status == 400
    assert SUBPROTOCOL in answer.text
    assert door.clients.came == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_request_for_ws_without_an_upgrade_gets_426(method: str) -> None:
    answer = await Door().ask(request("/ws", method), method)
    assert answer.status == 426
    assert answer.headers["upgrade"] == "websocket"
    assert method == "HEAD" or "WebSockets only" in answer.text


async def test_other_methods_are_not_allowed() -> None:
    answer = await Door().ask(request("/ws", "DELETE"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "data",
    [
        upgrade(Connection=None),
        upgrade(Connection="close"),
        upgrade(Upgrade="h2c"),
        upgrade(Upgrade="h2c, websocket"),
        upgrade(Sec_WebSocket_Version=None),
        upgrade(Sec_WebSocket_Key=None),
        upgrade(Sec_WebSocket_Key="short"),
        upgrade(Sec_WebSocket_Key="not base64 at all!!!!!!!"),
        upgrade(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="),
        upgrade().replace(b"Upgrade: websocket\r\n", b"Upgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\n"),
        upgrade(Sec_WebSocket_Protocol="caf\xe9"),
        upgrade(Sec_WebSocket_Extensions="\xff"),
        upgrade(Connection="Upgrade\xff"),
        upgrade(Host="caf\xe9"),
        upgrade(Host="xn--\xff"),
        upgrade(Content_Length="5"),
        upgrade(Transfer_Encoding="chunked"),
        upgrade().replace(b"GET", b"HEAD", 1),
        upgrade().replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    ],
)
async def test_a_bad_handshake_gets_400_at_once(data: bytes) -> None:
    door = Door()
    with trio.fail_after(1):
        received = await door.raw(data)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert door.clients.came == []


async def test_another_version_of_websocket_gets_the_supported_one() -> None:
    answer = await Door().ask(upgrade(Sec_WebSocket_Version="8"))
    assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://meet.example.org", "meet.example.org"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://MEET.example.org", "meet.EXAMPLE.org:443"),
        ("http://meet.example.org:80", "meet.example.org"),
        ("http://meet.example.org", "meet.example.org:80"),
        ("https://meet.example.org:443", "meet.example.org"),
        ("HTTPS://meet.example.org", "meet.example.org:0443"),
        ("wss://meet.example.org", "meet.example.org"),
        ("ws://meet.example.org:80", "meet.example.org"),
        ("http://[0:0:0:0:0:0:0:1]", "[::1]:80"),
        ("https://[2001:DB8::1]:443", "[2001:db8:0::1]"),
        ("https://meet.example.org:", "meet.example.org"),
    ],
)
async def test_a_page_from_the_gateways_own_host_may_connect(origin: str, host: str) -> None:
    assert (await Door(NAMED).raw(upgrade(Origin=origin, Host=host))).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "meet.example.org"),
        ("https://meet.example.org.evil.example", "meet.example.org"),
        ("https://meet.example.org:8443", "meet.example.org"),
        ("http://meet.example.org", "meet.example.org:8080"),
        ("null", "meet.example.org"),
        ("", "meet.example.org"),
        ("https://meet.example.org:99999", "meet.example.org"),
        ("https://meet.example.org:44x", "meet.example.org"),
        ("https://meet.example.org:443", "meet.example.org:80"),
        ("http://meet.example.org:443", "meet.example.org"),
        ("http://meet.example.org", "meet.example.org:443"),
        ("https://meet.example.org/call", "meet.example.org"),
        ("https://evil.example@meet.example.org", "meet.example.org"),
        ("https://meet.example.org https://evil.example", "meet.example.org"),
        ("https://meet.example.org.", "meet.example.org"),
        ("http://[::1]", "[::2]"),
        ("http://[::1", "[::1]"),
        ("https://", "meet.example.org"),
        ("chrome-extension://abcdef", "abcdef"),
        ("file://", "meet.example.org"),
    ],
)
async def test_a_page_from_elsewhere_gets_403_in_words(origin: str, host: str) -> None:
    door = Door(NAMED)
    answer = await door.ask(upgrade(Origin=origin, Host=host))
    assert answer.status == 403
    assert "may not connect" in answer.text
    assert door.clients.came == []


async def test_configured_origins_may_connect_and_no_others() -> None:
    door = Door(Config(allowed_origins=("https://meet.example.org", "https://other.example/")))
    assert (await door.raw(upgrade(Origin="https://Other.example"))).startswith(b"HTTP/1.1 204 ")
    assert (await door.raw(upgrade(Origin=None))).startswith(b"HTTP/1.1 204 ")
    assert (await door.ask(upgrade(Origin="https://third.example"))).status == 403
    assert (await door.ask(upgrade(Origin="https://127.0.0.1", Host="127.0.0.1"))).status == 403


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://call.example.org:443", "https://call.example.org"),
        ("https://call.example.org", "https://call.example.org:443"),
        ("http://call.example.org:80", "http://call.example.org"),
        ("HTTPS://Call.Example.ORG", "https://call.example.org"),
        ("https://call.example.org/", "https://call.example.org"),
        ("https://call.example.org:443/", "https://call.example.org"),
        ("wss://call.example.org", "https://call.example.org"),
        ("ws://call.example.org:80", "http://call.example.org"),
        ("https://call.example.org:8443", "https://call.example.org:8443"),
        ("https://[2001:db8:0:0:0:0:0:1]:443", "https://[2001:db8::1]"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("null", "null"),
        ("file://", "file://"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://AbCdEf", "chrome-extension://abcdef"),
    ],
)
async def test_equal_origins_may_be_written_differently(allowed: str, origin: str) -> None:
    door = Door(Config(allowed_origins=("https://other.example", allowed)))
    assert (await door.raw(upgrade(Origin=origin))).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://call.example.org:443", "http://call.example.org"),
        ("https://call.example.org:80", "https://call.example.org"),
        ("http://call.example.org:443", "https://call.example.org"),
        ("https://call.example.org:8443", "https://call.example.org"),
        ("https://example.org", "https://call.example.org"),
        ("https://call.example.org", "null"),
        ("https://call.example.org", "capacitor://call.example.org"),
        ("capacitor://localhost", "https://localhost"),
        ("null", ""),
        ("null", "file://"),
    ],
)
async def test_similar_origins_are_not_equal(allowed: str, origin: str) -> None:
    assert (await Door(Config(allowed_origins=(allowed,))).ask(upgrade(Origin=origin))).status == 403


async def test_of_several_origins_each_must_be_allowed() -> None:
    door = Door(Config(allowed_origins=("https://a.example", "https://b.example")))

    async def status(*origins: str) -> int:
        lines = "".join(f"Origin: {origin}\r\n" for origin in origins)
        return parse(await door.raw(upgrade().replace(b"\r\n\r\n", f"\r\n{lines}\r\n".encode()))).status

    assert await status("https://a.example", "https://b.example") == 204
    assert await status("https://a.example", "https://evil.example") == 403
    assert await status("https://evil.example", "https://a.example") == 403


async def test_a_star_lets_every_page_connect() -> None:
    door = Door(Config(allowed_origins=("*",)))
    assert (await door.raw(upgrade(Origin="null"))).startswith(b"HTTP/1.1 204 ")


async def test_clients_are_limited_and_the_next_one_gets_503() -> None:
    async def stay(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"in")
        await trio.sleep_forever()

    door = Door(Config(max_connections=1), clients=Clients(stay))
    first, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.front.serve, server, "somewhere:1")
        await first.send_all(upgrade())
        assert await first.receive_some() == b"in"
        assert not door.front.is_ready
        assert (await door.ask(upgrade())).status == 503
        assert (await door.ask(request("/still-answered"))).status == 200
        nursery.cancel_scope.cancel()
    assert door.front.clients == 0
    assert door.front.is_ready


async def test_an_exception_in_a_client_ends_only_its_own_connection() -> None:
    async def break_down(stream: trio.abc.Stream) -> None:
        async with trio.open_nursery():
            raise RuntimeError("a fault of ours")

    door = Door(clients=Clients(break_down))
    assert await door.raw(upgrade()) == b""
    assert door.front.clients == 0
    assert b"sfu_connection_errors_total 1.0" in door.metrics.render()
    assert (await door.ask(request())).status == 200


async def test_an_address_in_debt_is_refused_but_for_health_checks(autojump_clock: MockClock) -> None:
    door = Door(remote="203.0.113.7:4711")
    put_in_debt(door, "203.0.113.7", 2.5)
    for data in (upgrade(), request("/")):
        answer = await door.ask(data)
        assert (answer.status, answer.headers["retry-after"]) == (429, "3")
        assert "time" in answer.text
    assert door.clients.came == []
    assert (await door.ask(request("/healthz"))).status == 200
    await trio.sleep(2.6)
    assert (await door.raw(upgrade())).startswith(b"HTTP/1.1 204 ")


async def test_the_address_pays_for_a_request() -> None:
    payers: list[Payer | None] = []

    async def note_payer(scope: Scope, receive: Receive, send: Send) -> None:
        payers.append(payer.get())
        await hello_app(scope, receive, send)

    door = Door(app=note_payer, remote="203.0.113.7:4711")
    assert (await door.ask(request("/"))).status == 200
    [paying] = payers
    assert isinstance(paying, Account)
    assert paying.own is door.accounts.of("203.0.113.7")
