"""How a connection handles the frames of a client, well-formed or not."""

import json
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed

from tests.session.memory_gateway import RawClient, open_rig, send_transport
from tools.harness.client import secret_of

LIMIT = 256 * 1024
STRANGER_BYTES = 16 * 1024


def message_of(size: int, letter: str = "x") -> str:
    """Make a request of an unknown type with this many bytes."""
    head, tail = '{"id":1,"type":"', '"}'
    count = (size - len(head) - len(tail)) // len(letter.encode())
    return head + letter * count + tail


async def test_a_binary_frame_closes_with_1003(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.raw(b'{"id":1,"type":"ping"}')
        assert await ada.wait_closed() == 1003
        assert ada.frames[-1]["data"]["code"] == 1003


@pytest.mark.parametrize(("joins", "limit"), [(True, LIMIT), (False, STRANGER_BYTES)])
async def test_a_message_as_large_as_allowed_is_read(autojump_clock: MockClock, joins: bool, limit: int) -> None:
    async with open_rig() as rig:
        client = (await rig.joined("ada"))[0] if joins else await rig.connect()
        await client.raw(message_of(limit))
        assert (await client.next())["data"]["code"] == "unknown_type"
        assert client.closed is None


@pytest.mark.parametrize("letter", ["x", "é", "語"])
@pytest.mark.parametrize(("joins", "limit"), [(True, LIMIT), (False, STRANGER_BYTES)])
async def test_a_message_larger_than_allowed_closes_with_1009_counted_in_bytes(
    autojump_clock: MockClock, joins: bool, limit: int, letter: str
) -> None:
    async with open_rig() as rig:
        client = (await rig.joined("ada"))[0] if joins else await rig.connect()
        await client.raw(message_of(limit + 10, letter))
        assert await client.wait_closed() == 1009
        assert client.frames[-1]["data"]["code"] == 1009


async def test_a_message_far_larger_than_allowed_closes_with_1009_too(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (client,) = await rig.joined("ada")
        with trio.move_on_after(1):
            await client.raw(message_of(4 * LIMIT))
        assert await client.wait_closed() == 1009
        await trio.sleep(1.1)
        rig.assert_empty()


def begun(size: int) -> bytes:
    """The first frame of a message, which never ends (RFC 6455 section 5.4)."""
    return b"\x01\xfe" + size.to_bytes(2, "big") + bytes(4) + b"x" * size


async def test_what_nobody_has_read_is_bounded_for_all_clients_together(autojump_clock: MockClock) -> None:
    async with open_rig(unread_bytes=1024 * 1024) as rig:
        honest = await rig.connect()
        await honest.stream.send_all(begun(10_000))
        strangers = [await rig.connect() for _ in range(30)]
        for stranger in strangers:
            with suppress(trio.BrokenResourceError):
                await stranger.stream.send_all(begun(60_000))
            await wait_all_tasks_blocked()
            assert rig.gateway.unread.size <= 1024 * 1024
        await trio.sleep(1)
        closed = [stranger for stranger in strangers if stranger.closed is not None]
        assert closed
        assert {stranger.closed for stranger in closed} == {1009}
        assert honest.closed is None
    assert rig.gateway.unread.size == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\x80\0\0\0\0", 1002),  # reserved bits
        (b"\x81\x01x", 1002),  # not masked, unlike a client's frames
        (b"\x81\x81\0\0\0\0\xff", 1007),  # text that is not UTF-8
    ],
)
async def test_a_violation_of_rfc_6455_is_closed_with_its_code(
    autojump_clock: MockClock, data: bytes, code: int
) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.stream.send_all(data)
        assert await ada.wait_closed() == code
        assert rig.gateway.channels.counts().members == 0
        assert rig.serving == 1  # until the client has seen it, or for a second
        await trio.sleep(1.01)
        rig.assert_empty()
        assert not [line for line in rig.log if line["level"] == "error"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "null", '"join"', "{}", '{"id":null,"type":"ping"}', '{"id":-1,"type":"ping"}', '{"id":"1"}'],
)
async def test_an_unreadable_request_gets_an_error_without_an_id(autojump_clock: MockClock, text: str) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        await client.raw(text)
        answer = await client.next()
        assert (answer["id"], answer["type"], answer["data"]["code"]) == (None, "error", "malformed")
        assert client.closed is None


async def test_an_unknown_type_and_a_wrong_field_are_answered_with_their_id(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        assert await client.error("jump") == "unknown_type"
        answer = await client.ask("join", channelId="lobby", username=5)
        assert answer["data"]["code"] == "invalid"
        assert answer["data"]["path"] == "data.username"


async def spend(client: RawClient, count: int) -> None:
    for number in range(count):
        await client.raw(["{", '{"id":1,"type":"?"}', '{"id":1,"type":"join","data":{}}'][number % 3])


async def test_the_twenty_first_bad_message_within_ten_seconds_closes_with_4400(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await spend(ada, 20)
        assert len(await ada.take_all()) == 20
        assert ada.closed is None
        await spend(ada, 1)
        assert await ada.wait_closed() == 4400
        assert [frame["type"] for frame in ada.frames] == ["error", "closing"]


async def test_bad_messages_now_and_then_are_survived(autojump_clock: MockClock) -> None:
    async with open_rig(ping_interval=1000) as rig:
        (ada,) = await rig.joined("ada")
        for _ in range(5):
            await spend(ada, 20)
            assert len(await ada.take_all()) == 20
            await trio.sleep(10.1)
        assert ada.closed is None


async def test_errors_that_a_correct_client_can_cause_do_not_count(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        for _ in range(50):
            assert await ada.error("close", producerId="gone-already") == "not_found"
        assert ada.closed is None


async def test_a_burst_of_requests_as_in_joining_a_full_channel_passes(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        for _ in range(256):
            await ada.request("ping")
        frames = await ada.take_all()
        assert [frame["type"] for frame in frames] == ["ok"] * 256
        assert [frame["id"] for frame in frames] == sorted(frame["id"] for frame in frames)


async def test_too_many_requests_get_errors_first_and_then_the_close_code_4429(
    autojump_clock: MockClock,
) -> None:
    async with open_rig(request_rate=10, request_burst=64) as rig:
        (ada,) = await rig.joined("ada")
        for _ in range(70):
            await ada.request("ping")
        answers = await ada.take_all()
        assert [answer["type"] for answer in answers].count("ok") == 63
        assert {answer["data"]["code"] for answer in answers if answer["type"] == "error"} == {"rate_limited"}
        await trio.sleep(1)
        await ada.ok("ping")
        with pytest.raises(ConnectionClosed):
            for _ in range(200):
                await ada.request("ping")
                await wait_all_tasks_blocked()
        assert ada.closed == 4429
        closing = ada.frames[-1]["data"]
        assert (closing["code"], closing["retryAfterMs"]) == (4429, 5000)


async def test_large_requests_cost_more_than_small_ones(autojump_clock: MockClock) -> None:
    async with open_rig(request_rate=1, request_burst=64) as rig:
        (ada,) = await rig.joined("ada")
        large = {"data": 1, "padding": "x" * 200_000}
        assert (await ada.ask("message", **large))["type"] == "ok"
        assert [(await ada.ask("message", **large))["type"] for _ in range(3)].count("error") == 1


async def test_empty_fragments_do_not_pile_up_for_ever(autojump_clock: MockClock) -> None:
    async with open_rig(max_message_bytes=1024) as rig:
        (ada,) = await rig.joined("ada")
        beginning, nothing_more = b"\x01\x80\0\0\0\0", b"\0\x80\0\0\0\0"
        await ada.stream.send_all(beginning + 2000 * nothing_more)
        assert await ada.wait_closed() == 1009


async def test_a_client_that_only_answers_pings_may_stay_for_weeks(autojump_clock: MockClock) -> None:
    async with open_rig(max_message_bytes=1024) as rig:
        (ada,) = await rig.joined("ada")
        await trio.sleep(5000)
        assert ada.closed is None
        await ada.ok("ping")


@pytest.mark.usefixtures("slow_goodbyes")
async def test_more_than_the_inbox_holds_closes_with_4429(autojump_clock: MockClock) -> None:
    async with open_rig(inbox_messages=4) as rig:
        (older,) = await rig.joined("ada")
        await send_transport(older)
        newer = await rig.connect()
        await newer.request("join", channelId="lobby", username="ada", userId="ada", sessionSecret=secret_of("ada"))
        for _ in range(8):
            await newer.request("ping")
        assert await newer.wait_closed() == 4429


async def test_a_client_is_read_while_its_session_waits(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        await client.raw(json.dumps({"id": 1, "type": "ping"}))
        await client.raw(json.dumps({"id": 2, "type": "ping"}))
        assert [(frame["id"], frame["data"]["code"]) for frame in await client.take_all()] == [
            (1, "not_joined"),
            (2, "not_joined"),
        ]
