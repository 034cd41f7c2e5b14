"""Clients with real sockets whose address changes in mid-call."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from attrs import define

import sfu
from sfu.dataplane.interface import DropReason
from tests.eventually import eventually
from tests.media.conftest import Connect, Notices
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, read, vp8
from tools.light.endpoint import LightEndpoint
from tools.light.transport import LightTransport
from tools.light.wire import rtcp

FRAME = 0.02
"""Seconds from one frame to the next."""


@define
class Call:
    """Ada's camera sends a frame every 20 ms, and Bob watches.  Both can restart ICE."""

    ada: sfu.Peer
    bob: sfu.Peer
    sending: sfu.Transport
    receiving: sfu.Transport
    camera: LightEndpoint
    screen: LightEndpoint
    notices: Notices
    asked: int = 0

    async def film(self) -> None:
        """Send video, with a key frame at the beginning and whenever the gateway asks for one."""
        number, key = 0, True
        while True:
            payload = VP8_KEY_FRAME if key else VP8_INTER_FRAME
            self.camera.send_rtp(bytes(Rtp(96, number & 0xFFFF, 1800 * number, 2222, payload, marker=True)))
            await trio.sleep(FRAME)
            number += 1
            key = self._is_asked()

    def _is_asked(self) -> bool:
        packets = [one for packet in self.camera.transport.rtcp for one in rtcp.parse_untrusted(packet)]
        asked = sum(isinstance(one, rtcp.PictureLossIndication) for one in packets)
        self.camera.transport.rtcp.clear()
        self.asked += asked
        return asked > 0

    async def until_seen(self) -> None:
        """Wait until Bob gets a frame that he had not got before."""
        self.screen.transport.rtp.clear()
        await eventually(lambda: self.screen.transport.rtp)

    async def until_decodable(self) -> None:
        """Wait until Bob gets a key frame that he had not got before."""
        self.screen.transport.rtp.clear()
        await eventually(lambda: any(read(one).payload == VP8_KEY_FRAME for one in self.screen.transport.rtp))


@pytest.fixture
async def call(router: sfu.Router, connect: Connect) -> AsyncIterator[Call]:
    notices = Notices()
    async with (
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, notices, name="bob") as bob,
        connect(ada, "send") as (sending, camera),
        connect(bob, "receive") as (receiving, screen),
        trio.open_nursery() as nursery,
    ):
        producer = ada.produce(sending.id, "video", vp8(2222))
        bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
        call = Call(ada, bob, sending, receiving, camera, screen, notices)
        nursery.start_soon(call.film)
        await call.until_seen()
        yield call
        nursery.cancel_scope.cancel()


def elsewhere(endpoint: LightEndpoint, host: str, peer: tuple[str, int] | None = None) -> socket.socket:
    """A socket with another address, which leads to the gateway unless there is a ``peer``."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    sock.connect(peer or endpoint.socket.getpeername())
    return sock


@asynccontextmanager
async def interrupted(endpoint: LightEndpoint) -> AsyncIterator[None]:
    """Nothing reaches the gateway from this client, and nothing reaches the client, as long as the block runs."""
    gateway = endpoint.socket.getpeername()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        endpoint.move_to(elsewhere(endpoint, "127.0.0.1", sink.getsockname()))
        yield
        endpoint.move_to(elsewhere(endpoint, "127.0.0.1", gateway))


@pytest.mark.parametrize("end", ["camera", "screen"])
async def test_media_follows_a_client_to_another_address(call: Call, end: str) -> None:
    endpoint: LightEndpoint = getattr(call, end)
    for host in ("127.0.0.2", "127.0.0.3", "127.0.0.2"):
        endpoint.move_to(elsewhere(endpoint, host))
        await call.until_seen()
    assert call.notices.words == ["transport connected"]


async def test_media_follows_a_client_that_nominates_no_path(call: Call) -> None:
    call.screen.transport.nominates = False
    for host in ("127.0.0.2", "127.0.0.3"):
        call.screen.move_to(elsewhere(call.screen, host))
        await call.until_seen()


@pytest.mark.parametrize("end", ["camera", "screen"])
async def test_media_goes_on_over_another_address_after_an_ice_restart_without_a_handshake(
    call: Call, end: str
) -> None:
    endpoint: LightEndpoint = getattr(call, end)
    peer, transport = (call.ada, call.sending) if end == "camera" else (call.bob, call.receiving)
    keys, dtls = endpoint.transport.keys, transport.dtls
    for host in ("127.0.0.2", "127.0.0.3"):
        endpoint.transport.use_ice(peer.restart_ice(transport.id))
        await call.until_seen()  # the old credentials are still valid
        endpoint.move_to(elsewhere(endpoint, host))
        await call.until_seen()
        await eventually(lambda: endpoint.transport.validated)
    assert call.ada.context.plane.totals().usernames == 2
    assert (endpoint.transport.keys, transport.dtls) == (keys, dtls)
    assert call.ada.context.plane.totals().drops[DropReason.UNEXPECTED_DTLS] == 0
    assert call.notices.words == ["transport connected"]


def answered(client: LightTransport, checks: int) -> bool:
    return client.answered_checks >= checks


@pytest.mark.parametrize("end", ["camera", "screen"])
async def test_a_client_that_told_its_credentials_answers_full_checks_and_loses_nothing(call: Call, end: str) -> None:
    endpoint: LightEndpoint = getattr(call, end)
    light = endpoint.transport
    peer, transport = (call.ada, call.sending) if end == "camera" else (call.bob, call.receiving)
    for number, host in enumerate(("127.0.0.2", "127.0.0.3")):
        ours = light.renew_ice_credentials()
        light.use_ice(peer.restart_ice(transport.id))
        transport.check_paths_with(sfu.parameters.IceCredentials(ours.username_fragment, ours.password))
        endpoint.move_to(elsewhere(endpoint, host))
        await call.until_seen()
        # The first request from the new address gets a check, which only this client can answer.
        await eventually(partial(answered, light, number + 1))
    drops = call.ada.context.plane.totals().drops
    assert (drops[DropReason.UNPROVEN_PATH], drops[DropReason.WRONG_PASSWORD]) == (0, 0)
    assert call.notices.words == ["transport connected"]


@pytest.mark.parametrize("end", ["camera", "screen"])
async def test_a_picture_is_asked_for_when_a_client_is_back_after_a_gap(call: Call, end: str) -> None:
    await call.until_seen()
    asked = call.asked
    async with interrupted(getattr(call, end)):
        await trio.sleep(1.2)
        assert call.asked == asked
    await call.until_decodable()
