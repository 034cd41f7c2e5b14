"""Connecting: the upgrade, subprotocols, frames, liveness and the time limit for joining."""

import json

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.config import Config
from tests.conformance.whole_gateway import Gate, closing, find, hang_up, open_gate
from tests.front_door.memory_front_door import Answer, parse, upgrade
from tests.session.memory_gateway import RawClient

LIMIT = 256 * 1024


async def answer_to(gate: Gate, handshake: bytes, *, stop: bytes | None = None) -> bytes:
    """Send these bytes and return the answer, up to ``stop`` or the end."""
    stream = gate.stream()
    await stream.send_all(handshake)
    received = b""
    while stop is None or stop not in received:
        data = await stream.receive_some()
        if not data:
            break
        received += data
    await trio.aclose_forcefully(stream)
    return received


async def refused(gate: Gate, **headers: str) -> Answer:
    return parse(await answer_to(gate, upgrade(**headers)))


async def head_of_accepted(gate: Gate, **headers: str) -> list[str]:
    head = await answer_to(gate, upgrade(**headers), stop=b"\r\n\r\n")
    status, *lines = head.decode().lower().split("\r\n\r\n")[0].split("\r\n")
    assert " 101" in status
    return lines


# The subprotocol.


async def test_the_gateway_selects_the_offered_subprotocol(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        offered = "chat, trio-sfu.v1, other"
        head = await head_of_accepted(gate, sec_websocket_protocol=offered)
        assert [line for line in head if "protocol" in line] == ["sec-websocket-protocol: trio-sfu.v1"]


async def test_subprotocols_may_be_offered_in_several_headers(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        head = await head_of_accepted(gate, sec_websocket_protocol="chat\r\nSec-WebSocket-Protocol: trio-sfu.v1")
        assert [line for line in head if "protocol" in line] == ["sec-websocket-protocol: trio-sfu.v1"]


@pytest.mark.parametrize("offered", ["chat, trio-sfu.v2", "trio-sfu", "Trio-SFU.v1"])
async def test_a_client_that_offers_only_unknown_subprotocols_gets_400_and_the_known_one(
    autojump_clock: MockClock, offered: str
) -> None:
    async with open_gate() as gate:
        answer = await refused(gate, sec_websocket_protocol=offered)
        assert answer.status == 400
        assert "trio-sfu.v1" in answer.text
        assert answer.complete


async def test_a_client_that_offers_no_subprotocol_is_served_as_version_1(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        assert not [line for line in await head_of_accepted(gate) if "protocol" in line]
        client = await gate.connect(subprotocols=())
        await client.join("ada")


# WebSocket frames and their size.


async def test_the_gateway_agrees_to_no_compression(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        offered = "permessage-deflate; client_max_window_bits"
        head = await head_of_accepted(gate, sec_websocket_extensions=offered)
        assert not [line for line in head if "extension" in line]


async def test_a_binary_frame_closes_with_1003(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        await ada.raw(b'{"id": 1, "type": "ping"}')
        code, _ = await closing(ada)
        assert code == 1003


def padded(size: int, *, filler: str = "x") -> str:
    """Make a ``ping`` of exactly ``size`` bytes of UTF-8."""
    frame = json.dumps({"id": 77, "type": "ping", "data": {"more": ""}})
    room = size - len(frame.encode())
    assert room % len(filler.encode()) == 0
    return frame.replace('""', json.dumps(filler * (room // len(filler.encode())), ensure_ascii=False))


async def test_a_message_of_exactly_256_kib_is_read(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        await ada.raw(padded(LIMIT))
        assert await ada.next() == {"id": 77, "type": "ok", "data": {}}


async def test_one_byte_more_than_256_kib_closes_with_1009(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        await ada.raw(padded(LIMIT + 1))
        code, _ = await closing(ada)
        assert code == 1009


async def test_the_size_limit_counts_bytes_and_not_characters(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        text = " " + padded(LIMIT, filler="é")
        assert len(text) < LIMIT < len(text.encode()) == LIMIT + 1
        await ada.raw(text)
        code, _ = await closing(ada)
        assert code == 1009


async def test_a_message_far_over_the_limit_closes_with_1009(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        await ada.raw(padded(4 * LIMIT))
        assert await ada.wait_closed() == 1009


async def raw_frame(client: RawClient, opcode: int, payload: bytes, *, final: bool = True) -> None:
    """Make a frame that a correct WebSocket library would not send."""
    assert len(payload) < 126
    head = bytes([final << 7 | opcode, 0x80 | len(payload), 0, 0, 0, 0])
    await client.stream.send_all(head + payload)


async def test_text_that_is_not_utf_8_closes_with_1007(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        await raw_frame(ada, 0x1, b'{"id": 1, "type": "p\xff"}')
        assert await ada.wait_closed() == 1007
        assert (await ben.voice_state("user_left"))["reason"] == "failed"


async def test_a_fault_in_the_websocket_protocol_closes_with_1002(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        await raw_frame(ada, 0x3, b"there is no such opcode")
        assert await ada.wait_closed() == 1002
        assert (await ben.voice_state("user_left"))["reason"] == "failed"


async def test_a_message_in_fragments_is_one_message(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        await raw_frame(ada, 0x1, b'{"id": 5, ', final=False)
        await raw_frame(ada, 0x0, b'"type": "ping"}')
        assert await ada.next() == {"id": 5, "type": "ok", "data": {}}


# Liveness.


async def test_the_gateway_pings_every_five_seconds(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        await gate.joined("ada")
        begun = trio.current_time()
        await trio.sleep(26)
        pings = [note.at - begun for note in gate.journal if note.to == "ada" and note.data[0] == 0x89]
        assert pings == pytest.approx([5, 10, 15, 20, 25])


async def test_a_clients_own_ping_is_answered(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        with trio.fail_after(1):
            await ada.websocket.ping(b"hello")


@pytest.mark.parametrize("quiet_from", [0.0, 4.9, 5.1, 12.0])
async def test_a_client_that_falls_silent_is_gone_within_ten_seconds(
    autojump_clock: MockClock, quiet_from: float
) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        await trio.sleep(quiet_from)
        silent_since = trio.current_time()
        gate.switch_off(ada)
        left = await ben.voice_state("user_left")
        assert (left["userId"], left["reason"]) == ("ada", "timed_out")
        assert trio.current_time() - silent_since <= 10
        assert ben.closed is None


async def test_the_answer_to_join_names_the_configured_ping_interval(autojump_clock: MockClock) -> None:
    async with open_gate(ping_interval=3.5, ping_timeout=1) as gate:
        ada, ben = await gate.joined("ada", "ben")
        cleo = await gate.connect()
        assert (await cleo.join("cleo"))["pingIntervalMs"] == 3500
        await ben.take_all()
        begun = trio.current_time()
        gate.switch_off(ada)
        await find(ben, "voice_state")
        assert trio.current_time() - begun == pytest.approx(4.5)
    assert (Config().ping_interval, Config().ping_timeout) == (5, 4.5)


async def test_a_closed_connection_ends_its_session_at_once(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        begun = trio.current_time()
        await hang_up(ada)
        assert (await ben.voice_state("user_left"))["reason"] == "disconnected"
        assert trio.current_time() == begun


# The time limit for joining.


async def test_a_client_that_does_not_join_in_ten_seconds_is_closed_with_4408(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        begun = trio.current_time()
        code, _ = await closing(client)
        assert code == 4408
        assert trio.current_time() - begun == pytest.approx(10)


async def test_a_client_that_joins_in_time_stays(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        client = await gate.connect()
        await trio.sleep(9.9)
        await client.join("ada")
        await trio.sleep(60)
        assert await client.ok("ping") == {}


async def test_waiting_for_an_older_session_does_not_count_as_time_to_join(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take_eleven_seconds(_: object) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(11)

    async with open_gate(courtesy_timeout=20, exit_timeout=20) as gate:
        (older,) = await gate.joined("ada")
        await older.ok("create_transport", direction="send")
        monkeypatch.setattr("sfu.Transport.say_goodbye", take_eleven_seconds)
        newer = await gate.connect()
        await newer.join("ada")
        await wait_all_tasks_blocked()
        assert newer.closed is None
