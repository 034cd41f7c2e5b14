"""Datagrams of strangers and broken clients.

The router drops them, counts them by reason and does not answer.  No call is disturbed.
"""

import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aioice import stun
from attrs import frozen
from trio.testing import wait_all_tasks_blocked

import sfu
from sfu.dataplane.interface import DropReason
from tests.eventually import eventually
from tests.media.conftest import Connect, Notices
from tests.media.rtp import Rtp, opus, read
from tools.light import LightEndpoint
from tools.light.wire import rtcp


@frozen
class Call:
    """Ada speaks, Bob listens.  ``transport`` is the gateway's end of Ada's transport."""

    transport: sfu.Transport
    microphone: LightEndpoint
    receiving: sfu.Transport
    speaker: LightEndpoint
    consumer: sfu.Consumer

    async def still_works(self) -> None:
        """A packet that Ada sends now reaches Bob, and there was no notice of an end."""
        before = len(self.speaker.transport.rtp)
        self.microphone.transport.send_rtp(bytes(Rtp(111, 1000 + before, 960 * before, 1111, b"still here")))
        self.microphone.send()
        await self.speaker.until(lambda: len(self.speaker.transport.rtp) > before)
        assert read(self.speaker.transport.rtp[-1]).payload == b"still here"
        assert self.transport.connected
        assert self.receiving.connected


@asynccontextmanager
async def open_call(router: sfu.Router, connect: Connect) -> AsyncIterator[Call]:
    async with (
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, Notices(), name="bob") as bob,
        connect(ada, "send") as (sending, microphone),
        connect(bob, "receive") as (receiving, speaker),
    ):
        producer = ada.produce(sending.id, "audio", opus(ssrc=1111))
        consumer = bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
        yield Call(sending, microphone, receiving, speaker, consumer)


async def arrived(router: sfu.Router, packets: int) -> None:
    """So many datagrams have come, and the router has handled their events."""
    await eventually(lambda: router.context.plane.totals().packets_in >= packets)
    await wait_all_tasks_blocked(0.01)


class Stranger:
    """A socket that never authenticated, and the drops that the router counts while it sends."""

    def __init__(self, router: sfu.Router) -> None:
        self.router = router
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    async def sends(self, datagram: bytes) -> dict[DropReason, int]:
        """The drops that one datagram causes."""
        before = self.router.context.plane.totals()
        self.socket.sendto(datagram, self.router.context.addresses[0])
        await arrived(self.router, before.packets_in + 1)
        after = self.router.context.plane.totals().drops
        return {
            reason: after[reason] - before.drops[reason]
            for reason in DropReason
            if after[reason] > before.drops[reason]
        }

    def was_answered(self) -> bool:
        try:
            self.socket.recv(2048)
        except BlockingIOError:
            return False
        return True


@pytest.fixture
async def stranger(router: sfu.Router) -> AsyncIterator[Stranger]:
    stranger = Stranger(router)
    yield stranger
    stranger.socket.close()


def binding_request(username: str, password: str, **attributes: object) -> bytes:
    request = stun.Message(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        attributes={"USERNAME": username, "PRIORITY": 1, "ICE-CONTROLLING": 1, **attributes},
    )
    request.add_message_integrity(password.encode())
    return bytes(request)


def right_binding(transport: sfu.Transport) -> bytes:
    ice = transport.ice_parameters
    return binding_request(f"{ice.username_fragment}:them", ice.password)


BINDING_RESPONSE = bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE))
CLIENT_HELLO_HEAD = bytes([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])

BAD: list[tuple[str, DropReason, Callable[[Call], bytes]]] = [
    ("an unknown protocol", DropReason.UNKNOWN_PROTOCOL, lambda _: bytes([100]) * 50),
    ("something oversized", DropReason.OVERSIZED, lambda _: b"\x00\x01" + bytes(1900)),
    ("STUN of garbage", DropReason.MALFORMED_STUN, lambda _: b"\x00\x01" + bytes(range(60))),
    ("truncated STUN", DropReason.MALFORMED_STUN, lambda call: right_binding(call.transport)[:-5]),
    ("oversized STUN", DropReason.MALFORMED_STUN, lambda call: right_binding(call.transport) + bytes(400)),
    (
        "STUN that answers",
        DropReason.UNEXPECTED_STUN,
        lambda _: bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)),
    ),
    ("STUN for nobody", DropReason.UNKNOWN_USERNAME, lambda _: binding_request("nobody:them", "x" * 24)),
    (
        "STUN with a wrong password",
        DropReason.WRONG_PASSWORD,
        lambda call: binding_request(f"{call.transport.ice_parameters.username_fragment}:them", "x" * 24),
    ),
    ("DTLS from nowhere", DropReason.UNKNOWN_ADDRESS, lambda _: CLIENT_HELLO_HEAD + bytes(100)),
    ("RTP from nowhere", DropReason.UNKNOWN_ADDRESS, lambda _: bytes(Rtp(111, 1, 1, 1111, bytes(50)))),
    ("RTCP from nowhere", DropReason.UNKNOWN_ADDRESS, lambda _: rtcp.encode(rtcp.receiver_reports(1, ()))),
]


@pytest.mark.parametrize(("drop", "make"), [(drop, make) for _, drop, make in BAD], ids=[what for what, _, _ in BAD])
async def test_datagrams_of_a_stranger_are_dropped_counted_and_not_answered(
    router: sfu.Router, connect: Connect, stranger: Stranger, drop: DropReason, make: Callable[[Call], bytes]
) -> None:
    async with open_call(router, connect) as call:
        assert await stranger.sends(make(call)) == {drop: 1}
        await call.still_works()
        assert not stranger.was_answered()
        assert router.context.slow_path_errors == 0


async def test_an_empty_datagram_is_counted(router: sfu.Router, stranger: Stranger) -> None:
    assert await stranger.sends(b"") == {DropReason.EMPTY: 1}


async def test_the_stranger_gets_an_answer_with_the_right_password(
    router: sfu.Router, connect: Connect, stranger: Stranger
) -> None:
    """Proves that the stranger of the other tests does reach the router."""
    async with open_call(router, connect) as call:
        assert await stranger.sends(right_binding(call.transport)) == {}
        await call.still_works()
        assert stranger.was_answered()


async def from_the_client(call: Call, router: sfu.Router, *datagrams: bytes) -> dict[DropReason, int]:
    before = router.context.plane.totals()
    for datagram in datagrams:
        call.microphone.transport.send_raw(datagram)
    call.microphone.send()
    await arrived(router, before.packets_in + len(datagrams))
    after = router.context.plane.totals().drops
    return {
        reason: after[reason] - before.drops[reason] for reason in DropReason if after[reason] > before.drops[reason]
    }


async def test_srtp_that_was_seen_before_is_dropped(router: sfu.Router, connect: Connect) -> None:
    async with open_call(router, connect) as call:
        call.microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 1111, b"once")))
        [sealed] = call.microphone.transport.datagrams_to_send()
        assert await from_the_client(call, router, sealed, sealed, sealed) == {DropReason.REPLAYED: 2}
        await call.speaker.until(lambda: call.speaker.transport.rtp)
        await call.still_works()
        assert [read(packet).payload for packet in call.speaker.transport.rtp] == [b"once", b"still here"]


async def test_srtp_that_was_changed_on_the_way_is_dropped(router: sfu.Router, connect: Connect) -> None:
    async with open_call(router, connect) as call:
        call.microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 1111, b"honest")))
        [sealed] = call.microphone.transport.datagrams_to_send()
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        assert await from_the_client(call, router, changed) == {DropReason.UNAUTHENTIC: 1}
        await call.still_works()


async def test_a_stream_that_nobody_announced_is_dropped(router: sfu.Router, connect: Connect) -> None:
    async with open_call(router, connect) as call:
        call.microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 999, b"early")))
        [sealed] = call.microphone.transport.datagrams_to_send()
        assert await from_the_client(call, router, sealed) == {DropReason.UNKNOWN_STREAM: 1}
        await call.still_works()


@pytest.mark.parametrize(
    "packet",
    [
        struct.pack("!BBHI", 0x80, 200, 6, 1111) + bytes(4),  # a sender report that says it is longer
        struct.pack("!BBHI", 0x81, 206, 2, 1) + bytes(3),  # feedback cut in the middle of a word
        struct.pack("!BBHI", 0x9F, 201, 1, 1),  # 31 report blocks, none there
    ],
)
async def test_malformed_rtcp_of_the_client_itself_is_dropped(
    router: sfu.Router, connect: Connect, packet: bytes
) -> None:
    async with open_call(router, connect) as call:
        call.microphone.transport.send_rtcp(packet)
        [sealed] = call.microphone.transport.datagrams_to_send()
        assert await from_the_client(call, router, sealed) == {DropReason.MALFORMED_RTCP: 1}
        await call.still_works()


async def test_malformed_dtls_of_the_client_itself_disturbs_no_call(router: sfu.Router, connect: Connect) -> None:
    async with open_call(router, connect) as call:
        drops = await from_the_client(call, router, bytes([22]) * 40, bytes([23]) + bytes(80), bytes([63]))
        assert set(drops) <= {DropReason.MALFORMED_DTLS}
        await call.still_works()


async def test_thousands_of_mutated_datagrams_disturb_no_call(router: sfu.Router, connect: Connect) -> None:
    rng = random.Random(3)
    async with open_call(router, connect) as call:
        call.microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 1111, b"first", extension=b"\x10\x8a")))
        call.microphone.transport.send_rtcp(rtcp.encode([rtcp.SenderReport(1111, 1, 2, 3, 4)]))
        seeds = [*call.microphone.transport.datagrams_to_send(), right_binding(call.transport), CLIENT_HELLO_HEAD * 8]
        for _ in range(40):
            await from_the_client(call, router, *(mutate(rng.choice(seeds), rng) for _ in range(50)))
        assert router.context.slow_path_errors == 0
        await call.still_works()


def mutate(datagram: bytes, rng: random.Random) -> bytes:
    changed = bytearray(datagram)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.randint(1, len(changed))] if rng.random() < 0.3 else changed)
