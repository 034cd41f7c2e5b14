"""How the front door answers requests, good and bad."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from trio.testing import MockClock, memory_stream_pair

from gateway.config import Config
from tests.front_door.memory_front_door import Door, drip, parse, read_all, request


async def test_a_request_is_answered_and_the_connection_closed() -> None:
    answer = await Door().ask(request("/a%20b?c=d"))
    assert (answer.status, answer.text) == (200, "GET /a b c=d 0")
    assert answer.headers["connection"] == "close"
    assert answer.headers["date"].endswith(" GMT")


async def test_a_head_may_come_byte_by_byte(autojump_clock: MockClock) -> None:
    door = Door()
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.front.serve, server, "somewhere:1")
        await drip(client, request("/slowly"), 0.01)
        assert parse(await read_all(client)).text == "GET /slowly  0"


async def test_only_the_first_of_several_requests_is_answered() -> None:
    received = await Door().raw(request("/one") + request("/two"))
    assert parse(received).text == "GET /one  0"
    assert b"/two" not in received


async def test_a_body_is_handed_over_whole() -> None:
    answer = await Door().ask(request("/", "POST", {"Content-Length": "5"}, b"hello"))
    assert answer.text == "POST /  5"


async def test_a_chunked_body_is_handed_over_whole() -> None:
    answer = await Door().ask(
        request("/", "POST", {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    )
    assert answer.text == "POST /  5"


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Door().front.serve, server, "somewhere:1")
        await client.send_all(request("/", "POST", {"Content-Length": "2", "Expect": "100-continue"}))
        assert (await client.receive_some()).startswith(b"HTTP/1.1 100 ")
        await client.send_all(b"ok")
        assert parse(await read_all(client)).text == "POST /  2"


async def test_a_request_in_absolute_form_means_its_path() -> None:
    assert (await Door().ask(request("http://localhost/there?q=1"))).text == "GET /there q=1 0"


async def test_an_http_1_0_client_gets_an_answer() -> None:
    received = await Door().raw(b"GET /old HTTP/1.0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in received.lower()
    assert received.endswith(b"GET /old  0")


async def test_a_response_to_head_has_the_length_and_no_body() -> None:
    received = await Door().raw(request("/there", "HEAD"))
    answer = parse(received, "HEAD")
    assert answer.headers["content-length"] == str(len("HEAD /there  0"))
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: five\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http: HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_an_unreadable_request_gets_400_in_words(data: bytes) -> None:
    answer = await Door().ask(data)
    assert answer.status == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.endswith("\n")


async def test_a_head_that_never_ends_gets_431_and_is_read_no_further() -> None:
    config = Config(max_request_head_bytes=2048)
    answer = await Door(config).ask(request("/", headers={"X": "x" * 100_000}))
    assert answer.status == 431


async def test_a_head_just_within_its_bound_is_answered() -> None:
    config = Config(max_request_head_bytes=2048)
    empty = len(request("/", headers={"X": ""}))
    assert (await Door(config).ask(request("/", headers={"X": "x" * (2048 - empty)}))).status == 200
    assert (await Door(config).ask(request("/", headers={"X": "x" * (2049 - empty)}))).status == 431


async def test_a_slow_head_gets_408(autojump_clock: MockClock) -> None:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Door().front.serve, server, "somewhere:1")
        nursery.start_soon(drip, client, b"GET / HTTP/1.1", 1)
        assert parse(await read_all(client)).status == 408
        assert trio.current_time() == pytest.approx(Config().request_head_timeout)


async def test_a_spare_connection_is_closed_without_an_answer(autojump_clock: MockClock) -> None:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Door().front.serve, server, "somewhere:1")
        assert await read_all(client) == b""
    assert trio.current_time() == pytest.approx(Config().request_head_timeout)


async def test_a_client_that_goes_in_the_middle_of_its_head_leaves_nothing_behind() -> None:
    door = Door()
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.front.serve, server, "somewhere:1")
        await client.send_all(b"GET / HT")
        await client.aclose()
    assert door.front.http_connections == 0


@pytest.mark.parametrize(
    "data",
    [
        request("/", "POST", {"Content-Length": "1001"}),
        request("/", "POST", {"Transfer-Encoding": "chunked"}, b"3e9\r\n" + 1001 * b"x" + b"\r\n"),
    ],
)
async def test_a_body_that_is_too_large_gets_413(data: bytes) -> None:
    answer = await Door(Config(max_request_body_bytes=1000)).ask(data)
    assert answer.status == 413
    assert "1000 bytes" in answer.text


async def test_a_slow_body_gets_408(autojump_clock: MockClock) -> None:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Door().front.serve, server, "somewhere:1")
        await client.send_all(request("/", "POST", {"Content-Length": "100"}))
        nursery.start_soon(drip, client, b"x" * 100, 1)
        assert parse(await read_all(client)).status == 408
        assert trio.current_time() == pytest.approx(Config().request_body_timeout)


async def test_a_client_that_still_sends_gets_its_refusal_before_the_close(
    autojump_clock: MockClock,
) -> None:
    """Closing a connection with unread bytes resets it, and the answer is lost."""
    door = Door()
    client, server = memory_stream_pair()
    closed_at = []

    async def serve() -> None:
        await door.front.serve(server, "somewhere:1")
        closed_at.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await client.send_all(request("/", "POST", {"Content-Length": "1000000"}))
        for _ in range(8):
            await trio.sleep(0.1)
            await client.send_all(b"x" * 1000)
        assert not closed_at
        assert parse(await read_all(client)).status == 413
    assert closed_at == [pytest.approx(1)]


async def test_connections_are_limited_and_the_next_one_gets_503(autojump_clock: MockClock) -> None:
    door = Door(Config(max_http_connections=2))
    slow = [memory_stream_pair() for _ in range(2)]
    async with trio.open_nursery() as nursery:
        for client, server in slow:
            nursery.start_soon(door.front.serve, server, "somewhere:1")
            await client.send_all(request("/", "POST", {"Content-Length": "1"}))
        await trio.testing.wait_all_tasks_blocked()
        answer = await door.ask(request())
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        for client, _ in slow:
            await client.aclose()
    assert (await door.ask(request())).status == 200


async def test_an_exception_in_the_application_ends_only_its_own_request() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/broken":
            raise ExceptionGroup("several", [KeyError("a"), ValueError("b")])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    door = Door(app=broken)
    answer = await door.ask(request("/broken"))
    assert answer.status == 500
    assert "with this reference in its log" in answer.text
    assert "KeyError" not in answer.text
    assert (await door.ask(request("/fine"))).status == 204
    assert b"sfu_connection_errors_total 1.0" in door.metrics.render()


async def test_a_response_that_stops_half_way_is_visibly_incomplete() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    answer = await Door(app=half).ask(request())
    assert (answer.status, answer.body, answer.complete) == (200, b"half", False)


async def test_an_application_without_a_response_causes_500() -> None:
    async def mute(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.lowlevel.checkpoint()

    assert (await Door(app=mute).ask(request())).status == 500


async def test_cancelling_reaches_through_every_connection(autojump_clock: MockClock) -> None:
    door = Door()
    _, server = memory_stream_pair()
    with trio.move_on_after(1):
        await door.front.serve(server, "somewhere:1")
    assert trio.current_time() == pytest.approx(1)
    with pytest.raises(trio.ClosedResourceError):
        await server.receive_some()


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda tail: request("/ws")[:-2] + tail)))
def test_no_bytes_crash_the_front_door(data: bytes) -> None:
    async def send() -> None:
        door = Door()
        client, server = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.front.serve, server, "somewhere:1")
            await client.send_all(data)
            await client.send_eof()
            await read_all(client)
            await client.aclose()
        assert b"sfu_connection_errors_total 0.0" in door.metrics.render()

    trio.run(send)
