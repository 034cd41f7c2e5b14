"""Every refusal of the front door appears in the log, at a limited rate, and in a metric."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import structlog
import trio
from structlog.typing import EventDict
from trio.testing import MockClock, memory_stream_pair

from gateway.config import Config
from gateway.http.routes import make_app
from gateway.ops.limit_metrics import LIMITS
from gateway.ops.metrics import Metrics
from gateway.server import open_server
from protocol.limits import SUBPROTOCOL
from tests.front_door.memory_front_door import Clients, Door, connect_tcp, drip, parse, read_all, request, upgrade
from tests.front_door.stand_ins import no_channels
from tests.session.test_reached_limits import reached

Cause = Callable[[Door], Awaitable[Any]]
HEAD = Config().max_request_head_bytes


@pytest.fixture
def log() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def refused(log: list[EventDict]) -> list[EventDict]:
    return [line for line in log if line["event"] == "request refused"]


def counted(door: Door) -> dict[str, int]:
    """Return the numbers of refusals that happened, by reason."""
    samples = (line.rpartition(" ") for line in door.metrics.render().decode().splitlines())
    prefix = 'sfu_http_refusals_total{reason="'
    return {name[len(prefix) : -2]: int(float(value)) for name, _, value in samples if name.startswith(prefix)}


def happened(door: Door) -> dict[str, int]:
    return {reason: count for reason, count in counted(door).items() if count}


def asks(data: bytes) -> Cause:
    return lambda door: door.raw(data)


def drips(start: bytes, rest: bytes) -> Cause:
    async def cause(door: Door) -> None:
        client, server = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.front.serve, server, "somewhere:1")
            await client.send_all(start)
            nursery.start_soon(drip, client, rest, 1)
            await read_all(client)

    return cause


@pytest.mark.parametrize(
    ("reason", "status", "setting", "config", "cause"),
    [
        ("malformed", 400, None, {}, asks(b"nonsense\r\n\r\n")),
        ("malformed", 400, None, {}, asks(request("/metrics%0A"))),
        ("malformed", 400, None, {}, asks(upgrade(Sec_WebSocket_Key=None))),
        ("malformed", 400, None, {}, asks(upgrade(Sec_WebSocket_Protocol="chat"))),
        ("malformed", 501, None, {}, asks(request(headers={"Transfer-Encoding": "gzip"}))),
        ("not_a_websocket", 426, None, {}, asks(request("/ws"))),
        ("not_a_websocket", 405, None, {}, asks(request("/ws", "POST"))),
        ("origin", 403, "allowed_origins", {}, asks(upgrade(Origin="https://evil.example"))),
        ("host", 421, "allowed_hosts", {}, asks(upgrade(Host="evil:18080", Origin="http://evil:18080"))),
        ("host", 421, "allowed_hosts", {}, asks(request("/metrics", host="evil:18080"))),
        ("too_slow", 408, None, {}, drips(b"G", b"ET / HTTP/1.1")),
        ("too_slow", 408, None, {}, drips(request("/", "POST", {"Content-Length": "99"}), b"x" * 99)),
        ("head_too_large", 431, "max_request_head_bytes", {}, asks(request(headers={"Cookie": "c" * HEAD}))),
        ("head_too_large", 431, "max_request_head_bytes", {}, asks(upgrade(Cookie="c" * HEAD))),
        ("head_too_large", 431, "max_request_head_bytes", {}, asks(request("/" + "p" * HEAD))),
        (
            "body_too_large",
            413,
            "max_request_body_bytes",
            {"max_request_body_bytes": 9},
            asks(request("/", "POST", {"Content-Length": "10"})),
        ),
    ],
)
async def test_a_refusal_says_in_the_log_why_and_which_setting_decides(
    autojump_clock: MockClock,
    log: list[EventDict],
    reason: str,
    status: int,
    setting: str | None,
    config: dict[str, Any],
    cause: Cause,
) -> None:
    door = Door(Config(**config))
    await cause(door)
    (line,) = refused(log)
    assert (line["reason"], line["status"], line.get("setting")) == (reason, status, setting)
    assert (line["remote"], line["log_level"]) == ("somewhere:1", "warning" if setting else "info")
    assert line["why"]
    assert "left_out" not in line
    assert happened(door) == {reason: 1}
    assert reached(door.metrics) == ({setting: 1} if setting in LIMITS else {})


async def test_a_full_gateway_is_logged_with_the_setting_of_the_limit(
    log: list[EventDict],
) -> None:
    async def stay(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"in")
        await trio.sleep_forever()

    door = Door(Config(max_connections=1, max_http_connections=2), clients=Clients(stay))
    async with trio.open_nursery() as nursery:
        first, server = memory_stream_pair()
        nursery.start_soon(door.front.serve, server, "somewhere:1")
        await first.send_all(upgrade())
        assert await first.receive_some() == b"in"
        assert parse(await door.raw(upgrade())).status == 503
        door.front.accepts_clients = False
        assert parse(await door.raw(upgrade())).status == 503
        slow = [memory_stream_pair() for _ in range(2)]
        for client, each in slow:
            nursery.start_soon(door.front.serve, each, "somewhere:2")
            await client.send_all(request("/", "POST", {"Content-Length": "1"}))
        await trio.testing.wait_all_tasks_blocked()
        assert parse(await door.raw(request())).status == 503
        nursery.cancel_scope.cancel()
    assert [(line["reason"], line.get("setting")) for line in refused(log)] == [
        ("full", "max_connections"),
        ("draining", None),
        ("too_many_connections", "max_http_connections"),
    ]
    assert happened(door) == {"full": 1, "too_many_connections": 1, "draining": 1}


async def test_a_missing_admin_token_is_logged_without_the_sent_token(log: list[EventDict]) -> None:
    config, metrics = Config(admin_token="open sesame"), Metrics()
    door = Door(config, make_app(config, metrics, no_channels(), lambda: True), metrics=metrics)
    assert (await door.ask(request("/api/channels", headers={"Authorization": "Bearer abracadabra"}))).status == 401
    (line,) = refused(log)
    assert (line["reason"], line["status"]) == ("unauthorized", 401)
    assert "abracadabra" not in repr(line)
    assert happened(door) == {"unauthorized": 1}


async def test_a_thousand_refusals_make_a_few_lines_with_the_number_left_out(
    autojump_clock: MockClock, log: list[EventDict]
) -> None:
    door = Door()
    for _ in range(1000):
        await door.raw(b"nonsense\r\n\r\n")
    few = refused(log)
    assert len(few) <= 10
    assert happened(door) == {"malformed": 1000}

    await door.raw(upgrade(Origin="https://evil.example"))  # another reason
    assert refused(log)[len(few) :][0]["reason"] == "origin"

    await trio.sleep(60)
    await door.raw(b"nonsense\r\n\r\n")
    assert refused(log)[-1]["left_out"] == 1000 - len(few)
    await trio.sleep(60)
    await door.raw(b"nonsense\r\n\r\n")
    assert "left_out" not in refused(log)[-1]


async def test_quoted_text_of_a_client_makes_no_long_line(log: list[EventDict]) -> None:
    await Door().raw(upgrade(Origin="https://" + "x" * 30_000 + ".example"))
    (line,) = refused(log)
    assert len(repr(line)) < 1000


# Heads as large as proxies let pass.


def cookies(size: int) -> str:
    """Make one header of this many bytes."""
    return "; ".join(f"session{number:04}={'c' * 88}" for number in range(size // 100 + 1))[:size]


def tail(size: int) -> str:
    return "".join(f"Cookie: {cookies(1000)}\r\n" for _ in range(size // 1010)).removesuffix("\r\n")


@pytest.mark.parametrize("size", [17, 24, 32])
async def test_a_head_with_32_kib_of_cookies_is_answered(size: int) -> None:
    assert (await Door().ask(request("/", headers={"Cookie": cookies(size * 1024)}))).status == 200
    assert (await Door().raw(upgrade(Cookie=cookies(size * 1024)))).startswith(b"HTTP/1.1 204 ")


LARGE = {
    "one cookie": upgrade(Cookie=cookies(32 * 1024)),
    "many cookies": upgrade().replace(b"\r\n\r\n", f"\r\n{tail(32 * 1024)}\r\n\r\n".encode()),
    "a long address": upgrade("/ws?" + "x" * 32 * 1024),
    "many subprotocols": upgrade(Sec_WebSocket_Protocol=", ".join(["x" * 90] * 340) + f", {SUBPROTOCOL}"),
}


@pytest.mark.parametrize("data", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("piece", [1000, 100_000])
@pytest.mark.parametrize("config", [{}, {"max_message_bytes": 1024}], ids=["default", "small messages"])
async def test_a_large_head_becomes_a_websocket_over_a_real_socket(
    data: bytes, piece: int, config: dict[str, Any]
) -> None:
    assert len(data) > 30_000
    async with open_server(Config(port=0, media_port=0, planes=1, **config)) as server:
        stream = await connect_tcp(server)
        async with stream:
            for start in range(0, len(data), piece):
                await stream.send_all(data[start : start + piece])
            with trio.fail_after(5):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
                await stream.send_all(b"\x89\x80\x00\x00\x00\x00")  # a ping
                assert await stream.receive_some() == b"\x8a\x00"


async def test_the_websocket_library_keeps_no_cookies() -> None:
    door = Door()
    await door.raw(upgrade(Cookie=cookies(32 * 1024), Authorization="Basic abc", Origin="https://localhost"))
    (head,) = door.clients.heads
    assert b"session" not in head
    assert b"Basic" not in head
    assert head == upgrade(Origin="https://localhost")
