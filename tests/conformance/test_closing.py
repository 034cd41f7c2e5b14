"""Every code with which the gateway closes a connection, and the message before it.

``test_connecting`` tests the codes for bad frames, ``test_errors`` those for errors. The gateway never sends 1006.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conformance.whole_gateway import Gate, closing, hang_up, open_gate
from tests.front_door.memory_front_door import parse, request, upgrade
from tests.session.memory_gateway import RawClient, microphone, send_transport


async def test_a_client_that_closes_with_1000_has_left(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        await ada.close(1000)
        assert (await ben.voice_state("user_left"))["reason"] == "left"
        assert await ada.wait_closed() == 1000
        assert b"closing" not in gate.written("ada")


@pytest.mark.parametrize("code", [1001, 1011, 4000])
async def test_a_client_that_closes_with_another_code_counts_as_disconnected(
    autojump_clock: MockClock, code: int
) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        await ada.close(code)
        assert (await ben.voice_state("user_left"))["reason"] == "disconnected"


async def moderate(gate: Gate, user: str, channel: str = "lobby") -> int:
    """Remove a user as a moderator, and return the HTTP status."""
    stream = gate.stream()
    target = f"/api/channels/{channel}/participants/{user}"
    await stream.send_all(request(target, "DELETE", {"Authorization": "Bearer secret"}))
    received = b""
    while data := await stream.receive_some():
        received += data
    return parse(received, "DELETE").status


async def test_a_client_that_a_moderator_removes_is_closed_with_4403(autojump_clock: MockClock) -> None:
    async with open_gate(admin_token="secret") as gate:
        ada, ben = await gate.joined("ada", "ben")
        assert await moderate(gate, "ada") == 204
        code, _ = await closing(ada)
        assert code == 4403
        assert (await ben.voice_state("user_left"))["reason"] == "removed"


async def test_a_replaced_client_is_closed_with_4409_and_gone_before_the_new_client_gets_its_answer(
    autojump_clock: MockClock,
) -> None:
    async with open_gate() as gate:
        older, ben = await gate.joined("ada", "ben")
        await microphone(older, await send_transport(older))
        await ben.take_all()
        newer = await gate.connect("newer")
        joined = await newer.join("ada")
        code, _ = await closing(older)
        assert code == 4409
        assert [one["userId"] for one in joined["participants"]] == ["ben", "ada"]
        assert joined["participants"][1]["producers"] == []
        assert (await ben.voice_state("user_left"))["reason"] == "replaced"
        assert (await ben.voice_state("user_joined"))["userId"] == "ada"
        assert await ben.take_all() == []


async def test_a_slow_reader_is_closed_with_4413(autojump_clock: MockClock) -> None:
    async with open_gate(outbox_bytes=64 * 1024, message_burst=1000) as gate:
        ada, ben = await gate.joined("ada", "ben")
        may_write = trio.Event()
        for pipe in gate.taps("ben"):
            pipe.may_write = may_write
        for number in range(10):
            await ada.ok("message", data=[number, "x" * 15_000])
        assert (await ada.voice_state("user_left"))["reason"] == "failed"
        may_write.set()
        code, _ = await closing(ben)
        assert code == 4413


@pytest.mark.parametrize("joined", [True, False])
async def test_a_gateway_that_stops_closes_with_1001(autojump_clock: MockClock, joined: bool) -> None:
    async with open_gate() as gate:
        ada = (await gate.joined("ada"))[0] if joined else await gate.connect()
        gate.server.end_clients()
        code, data = await closing(ada)
        assert code == 1001
        assert data["retryAfterMs"] >= 0


async def test_a_draining_gateway_serves_its_clients_and_accepts_no_new_ones(autojump_clock: MockClock) -> None:
    async with open_gate(drain_timeout=30) as gate:
        ada, ben = await gate.joined("ada", "ben")
        begun = trio.current_time()
        gate.nursery.start_soon(gate.server.drain)
        await trio.sleep(20)
        stream = gate.stream()
        await stream.send_all(upgrade(sec_websocket_protocol="trio-sfu.v1"))
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 503")
        assert await ada.ok("message", data="still here") == {"delivered": 1}
        assert (await ben.next())["type"] == "message"
        for client in (ada, ben):
            code, _ = await closing(client)
            assert code == 1001
        assert trio.current_time() - begun == pytest.approx(30)


async def test_a_session_that_ends_late_gets_the_reason_draining_for_the_others(
    autojump_clock: MockClock, slow_goodbyes: None
) -> None:
    async with open_gate() as gate:
        _ada, ben, _cleo = await gate.joined("ada", "ben", "cleo")
        await send_transport(ben)
        gate.server.end_clients()
        code, _ = await closing(ben)
        assert code == 1001
        notices = [(frame["data"]["userId"], frame["data"]["reason"]) for frame in ben.frames[:-1]]
        assert sorted(notices) == [("ada", "draining"), ("cleo", "draining")]


async def test_closing_is_the_last_message_even_behind_a_long_queue(autojump_clock: MockClock) -> None:
    async with open_gate(message_burst=1000) as gate:
        ada, ben = await gate.joined("ada", "ben")
        for number in range(200):
            await ada.request("message", data=number)
        await wait_all_tasks_blocked()
        gate.server.end_clients()
        await closing(ben)
        messages = [frame["data"]["data"] for frame in ben.frames if frame["type"] == "message"]
        assert messages == list(range(200))


async def _leave(_: Gate, client: RawClient) -> None:
    await client.ok("leave")


async def _replace(gate: Gate, _: RawClient) -> None:
    newer = await gate.connect()
    await newer.join("ada")
    await hang_up(newer)


async def _close(code: int, _: Gate, client: RawClient) -> None:
    await client.close(code)


async def _hang_up(_: Gate, client: RawClient) -> None:
    await hang_up(client)


async def _remove(gate: Gate, _: RawClient) -> None:
    await moderate(gate, "ada")


async def _binary(_: Gate, client: RawClient) -> None:
    await client.raw(b"binary")


async def _drain(gate: Gate, _: RawClient) -> None:
    await gate.server.drain()


@pytest.mark.parametrize(
    "end", [_leave, _replace, partial(_close, 1000), partial(_close, 1001), _hang_up, _remove, _binary, _drain]
)
async def test_nothing_is_left_of_a_session_however_it_ended(
    autojump_clock: MockClock, end: Callable[[Gate, RawClient], Awaitable[None]]
) -> None:
    async with open_gate(admin_token="secret", drain_timeout=1) as gate:
        (ada,) = await gate.joined("ada")
        await microphone(ada, await send_transport(ada))
        await end(gate, ada)
        await wait_all_tasks_blocked()
        counts, media, plane = gate.server.gateway.channels.counts(), gate.router.counts(), gate.plane.totals()
        assert (counts.channels, counts.members) == (0, 0)
        assert (media.peers, media.transports, media.producers, media.consumers) == (0, 0, 0, 0)
        assert (plane.transports, plane.producers, plane.routes, plane.paths) == (0, 0, 0, 0)
