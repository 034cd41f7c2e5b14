"""The requests of the Python client, against a server that runs each test's script."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

import pytest
import trio

from protocol import (
    OK_DATA,
    REQUESTS,
    Closing,
    Error,
    ErrorCode,
    ErrorData,
    NextStep,
    Ok,
    RequestError,
    RestartIce,
    encode,
)
from protocol.client import Client, ConnectionClosed
from protocol.media import (
    DtlsFingerprint,
    DtlsParameters,
    IceCredentials,
    RtpCapabilities,
    RtpCodecParameters,
    RtpParameters,
)
from protocol.vocabulary import Position
from tests.protocol.examples import example
from tests.protocol.scripted_server import (
    TIMEOUTS,
    WebSocket,
    answer,
    answer_everything,
    client_of,
    next_request,
    stay,
    until_gone,
)

ICE = IceCredentials("Anna", "a+password/of22letters0")
DTLS = DtlsParameters((DtlsFingerprint("sha-256", ":".join(["ab"] * 32)),))
RTP = RtpParameters((RtpCodecParameters("audio/opus", 111, 48000, 2),))

CALLS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "join": lambda client: client.join(
        "lobby", "Anna", user_id="anna", token="t", metadata={"a": 1}, session_secret="s" * 22
    ),
    "leave": lambda client: client.leave(),
    "create_transport": lambda client: client.create_transport("receive", rtp_capabilities=RtpCapabilities()),
    "connect_transport": lambda client: client.connect_transport("t", DTLS),
    "restart_ice": lambda client: client.restart_ice("t"),
    "set_ice_parameters": lambda client: client.set_ice_parameters("t", ICE),
    "produce": lambda client: client.produce("t", "audio", RTP, "microphone", paused=True),
    "consume": lambda client: client.consume("t", "p", rtp_capabilities=RtpCapabilities(), paused=False),
    "consume_many": lambda client: client.consume_many("t", ["p", "q"], paused=False),
    "update": lambda client: client.update(username="Anna L.", metadata={"hand": "up"}),
    "pause": lambda client: client.pause(producer_id="p"),
    "resume": lambda client: client.resume(consumer_id="c"),
    "close": lambda client: client.close(transport_id="t"),
    "set_layers": lambda client: client.set_layers("c", 2, 1),
    "set_priority": lambda client: client.set_priority("c", 255),
    "message": lambda client: client.send_message({"text": "hello"}, to=["anna"]),
    "move": lambda client: client.move("attic"),
    "watch": lambda client: client.watch(["lobby"], after={"lobby": Position(3, 4), "other": Position(1, 1)}),
    "unwatch": lambda client: client.unwatch(prefix="team-"),
    "ping": lambda client: client.ping(),
    "stats": lambda client: client.stats(),
    "renew_token": lambda client: client.renew_token("t"),
    "remove_participant": lambda client: client.remove_participant("anna", seconds=60),
    "readmit_participant": lambda client: client.readmit_participant("anna"),
    "mute": lambda client: client.mute("anna", "microphone"),
    "unmute": lambda client: client.unmute("anna", "microphone"),
    "deafen": lambda client: client.deafen("anna"),
    "undeafen": lambda client: client.undeafen("anna"),
    "lock_channel": lambda client: client.lock_channel(seconds=60),
    "unlock_channel": lambda client: client.unlock_channel(),
    "limit_members": lambda client: client.limit_members(5, seconds=60),
    "end_channel": lambda client: client.end_channel(),
}


def test_every_method_that_sends_a_request_is_tried_here() -> None:
    methods = {name for name in dir(Client) if iscoroutinefunction(getattr(Client, name)) and not name.startswith("_")}
    assert {"send_message" if name == "message" else name for name in CALLS} | {"request"} == methods


@pytest.mark.parametrize("name", REQUESTS)
async def test_each_request_can_be_sent_as_an_object_and_returns_the_answer_that_it_declares(name: str) -> None:
    request = example(REQUESTS[name])
    expected = example(OK_DATA[REQUESTS[name]])
    seen = []

    async def script(websocket: WebSocket) -> None:
        seen.append(await next_request(websocket))
        await answer(websocket, seen[0], expected)
        await stay(websocket)

    async with client_of(script) as client:
        assert await client.request(request) == expected
    assert [(sent.type, sent.data) for sent in seen] == [(name, request)]


@pytest.mark.parametrize("name", CALLS)
async def test_each_method_sends_its_request_and_returns_what_was_answered(name: str) -> None:
    cls = REQUESTS[name]
    expected = example(OK_DATA[cls])
    seen = []

    async def script(websocket: WebSocket) -> None:
        request = await next_request(websocket)
        seen.append(request)
        await answer(websocket, request, expected)
        await stay(websocket)

    async with client_of(script) as client:
        result = await CALLS[name](client)
    assert [type(request.data) for request in seen] == [cls]
    assert result in (expected, None)


async def test_answers_reach_their_requests_in_any_order() -> None:
    async def script(websocket: WebSocket) -> None:
        requests = [await next_request(websocket) for _ in range(3)]
        for request in reversed(requests):
            assert isinstance(request.data, RestartIce)
            error = ErrorData(ErrorCode.NOT_FOUND, request.data.transport_id)
            await websocket.send_message(encode(Error(request.id, error)))
        await stay(websocket)

    async def ask(client: Client, transport_id: str) -> None:
        with pytest.raises(RequestError) as caught:
            await client.restart_ice(transport_id)
        assert caught.value.message == transport_id

    async with client_of(script) as client, trio.open_nursery() as nursery:
        for transport_id in ("a", "b", "c"):
            nursery.start_soon(ask, client, transport_id)


async def test_a_refused_request_raises_with_code_path_and_reference() -> None:
    data = ErrorData(ErrorCode.INTERNAL, "something broke", "data.username", "ref-7")

    async def script(websocket: WebSocket) -> None:
        request = await next_request(websocket)
        await websocket.send_message(encode(Error(request.id, data)))
        await stay(websocket)

    async with client_of(script) as client:
        with pytest.raises(RequestError) as caught:
            await client.join("lobby", "Anna")
    error = caught.value
    assert (error.code, error.message, error.path, error.reference) == (
        ErrorCode.INTERNAL,
        "something broke",
        "data.username",
        "ref-7",
    )


async def test_a_request_without_an_answer_is_given_up_and_its_late_answer_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    late_answer_wanted = trio.Event()

    async def script(websocket: WebSocket) -> None:
        forgotten = await next_request(websocket)
        await late_answer_wanted.wait()
        await answer(websocket, forgotten)
        await answer_everything(websocket)

    async with client_of(script) as client:
        started = trio.current_time()
        with pytest.raises(trio.TooSlowError):
            await client.ping()
        assert trio.current_time() - started == TIMEOUTS.request
        late_answer_wanted.set()
        await client.ping()


async def test_a_cancelled_request_leaves_the_connection_as_it_was(autojump_clock: trio.testing.MockClock) -> None:
    seen = []

    async def script(websocket: WebSocket) -> None:
        seen.append(await next_request(websocket))
        seen.append(await next_request(websocket))
        for request in seen:
            await answer(websocket, request)
        await stay(websocket)

    async with client_of(script) as client:
        with trio.move_on_after(0.5) as cancelled:
            await client.ping()
        assert cancelled.cancelled_caught
        await client.ping()
    assert len(seen) == 2


async def test_requests_above_the_limit_wait_for_their_turn(autojump_clock: trio.testing.MockClock) -> None:
    counted = 0

    async def script(websocket: WebSocket) -> None:
        nonlocal counted
        first = [await next_request(websocket) for _ in range(256)]
        with trio.move_on_after(1):
            await websocket.get_message()
            counted = -1000
        for request in first:
            await answer(websocket, request)
            counted += 1
        await answer_everything(websocket)

    async with client_of(script) as client, trio.open_nursery() as nursery:
        for _ in range(300):
            nursery.start_soon(client.ping)
    assert counted == 256


async def test_a_request_that_waits_when_the_connection_ends_learns_why() -> None:
    closing = Closing("a newer connection of the same user took its place", 4409)

    async def script(websocket: WebSocket) -> None:
        await next_request(websocket)
        await websocket.send_message(encode(closing))
        await websocket.aclose(4409, "replaced")

    async with client_of(script) as client:
        with pytest.raises(ConnectionClosed) as caught:
            await client.ping()
        assert (caught.value.code, caught.value.reason, caught.value.closing) == (4409, "replaced", closing)
        assert caught.value.next_step is NextStep.STOP
        with pytest.raises(ConnectionClosed):
            await client.ping()


async def test_a_request_over_the_size_limit_is_not_sent() -> None:
    async with client_of(answer_everything) as client:
        with pytest.raises(ValueError, match="262144"):
            await client.send_message("x" * 300_000)
        await client.ping()


async def test_values_that_json_cannot_hold_are_not_sent() -> None:
    async with client_of(answer_everything) as client:
        with pytest.raises(ValueError, match="JSON"):
            await client.send_message({"level": float("nan")})
        await client.ping()


async def test_an_answer_to_no_request_ends_the_connection_as_a_bug_of_the_gateway() -> None:
    codes = []

    async def script(websocket: WebSocket) -> None:
        await next_request(websocket)
        await websocket.send_message(encode(Ok(999)))
        codes.append(await until_gone(websocket))

    async with client_of(script) as client:
        with pytest.raises(ConnectionClosed) as caught:
            await client.ping()
        assert caught.value.code == 1002
    assert codes == [1002]


async def test_an_error_about_no_request_ends_the_connection_as_a_bug() -> None:
    async def script(websocket: WebSocket) -> None:
        await next_request(websocket)
        await websocket.send_message(encode(Error(None, ErrorData(ErrorCode.MALFORMED, "not JSON"))))
        await stay(websocket)

    async with client_of(script) as client:
        with pytest.raises(ConnectionClosed) as caught:
            await client.ping()
    assert caught.value.code == 1002
