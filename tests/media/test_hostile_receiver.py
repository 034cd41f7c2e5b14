"""A receiver that asks for as much as it can, in virtual time: how much the gateway sends it at most.

docs/security.md#how-much-the-gateway-sends-to-one-client has the bounds.
"""

from collections import Counter
from collections.abc import Callable

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

import sfu
from sfu.capabilities import TRANSPORT_WIDE_URI
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory_network import Client, open_network
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, opus, read, vp8
from tools.light.transport import Identity
from tools.light.wide_arrivals import wide_number_untrusted
from tools.light.wire import rtcp

PACKETS = 100
"""Packets a second, of video and of sound."""
SIZE = 1000
"""Bytes of a packet of video."""
SECONDS = 20
TICK = 0.02
"""Seconds between two attacks."""
RESENT_SHARE, RESENT_A_SECOND = 0.15, 64_000
"""The gateway sends at most this part of the media again, and so many bytes a second beside it."""
PROBES = 15_000
"""Bytes that measure a path which already has everything that the receiver wants."""


@define
class Sender:
    """Sends video and sound, with a key frame for each request.

    ``video`` and ``sound`` count the bytes, and ``asked`` the requests for key frames.
    """

    client: Client
    number: int = 0
    video: int = 0
    sound: int = 0
    asked: int = 0

    async def run(self) -> None:
        key = True
        while True:
            asked = self._take_requests()
            self.asked += asked
            key = key or asked > 0
            payload = (VP8_KEY_FRAME if key else VP8_INTER_FRAME) + bytes(SIZE - 50)
            key = False
            self.video += self._send(Rtp(96, self.number & 0xFFFF, 900 * self.number, 1111, payload, True))
            self.sound += self._send(Rtp(111, self.number & 0xFFFF, 480 * self.number, 2222, bytes(80)))
            self.client.flush()
            self.number += 1
            await trio.sleep(1 / PACKETS)

    def _take_requests(self) -> int:
        found = [one for packet in self.client.transport.rtcp for one in rtcp.parse_untrusted(packet)]
        self.client.transport.rtcp.clear()
        return sum(isinstance(one, rtcp.PictureLossIndication) for one in found)

    def _send(self, packet: Rtp) -> int:
        self.client.transport.send_rtp(bytes(packet))
        return len(bytes(packet))


@define
class Receiver:
    """Notes by SSRC the bytes that it gets and the newest number. ``wide`` has the newest transport-wide numbers."""

    client: Client
    video: sfu.Consumer
    sound: sfu.Consumer
    wide_id: int
    got: Counter[int] = field(factory=Counter)
    newest: Counter[int] = field(factory=Counter)
    wide: list[int] = field(factory=list)
    lost: int = 0

    def take(self) -> None:
        for packet in self.client.transport.rtp:
            header = read(packet)
            self.got[header.ssrc] += len(packet)
            self.newest[header.ssrc] = header.sequence
            number = wide_number_untrusted(bytearray(packet), len(packet), self.wide_id)
            if number is not None:
                self.wide.append(number)
        self.client.transport.rtp.clear()

    def send(self, *packets: rtcp.RtcpPacket) -> None:
        self.client.transport.send_rtcp(rtcp.encode(packets))
        self.client.flush()


def asks_for_nothing(receiver: Receiver) -> None:
    pass


def asks_for_everything_again(receiver: Receiver) -> None:
    """Ask for the newest packets again and again, as often as the gateway reads it."""
    newest = receiver.newest[receiver.video.ssrc]
    receiver.send(rtcp.Nack(1, receiver.video.ssrc, tuple((newest - back) & 0xFFFF for back in range(18, -1, -1))))


def asks_for_everything_of_the_last_seconds(receiver: Receiver) -> None:
    newest = receiver.newest[receiver.video.ssrc]
    for _ in range(6):
        receiver.send(rtcp.Nack(1, receiver.video.ssrc, tuple((newest - back) & 0xFFFF for back in range(200))))


def claims_an_endless_path(receiver: Receiver) -> None:
    """Report that all packets came at the same moment, and that 10 Gbit/s would fit."""
    if receiver.wide:
        reference, arrivals = round(trio.current_time() / 0.064), (0,) * len(receiver.wide)
        receiver.send(
            rtcp.TransportWideFeedback(1, receiver.video.ssrc, receiver.wide[0], 0, reference, arrivals),
            rtcp.ReceiverEstimatedMaximumBitrate(1, 10**10, (receiver.video.ssrc,)),
        )
        receiver.wide.clear()


def claims_that_everything_is_lost(receiver: Receiver) -> None:
    receiver.lost += 2
    for ssrc in (receiver.video.ssrc, receiver.sound.ssrc):
        receiver.send(rtcp.ReceiverReport(1, (rtcp.ReportBlock(ssrc, 255, receiver.lost, receiver.newest[ssrc], 0),)))


def asks_for_key_frames(receiver: Receiver) -> None:
    receiver.send(rtcp.PictureLossIndication(1, receiver.video.ssrc))


def does_everything(receiver: Receiver) -> None:
    claims_an_endless_path(receiver)
    claims_that_everything_is_lost(receiver)
    asks_for_everything_again(receiver)
    asks_for_key_frames(receiver)


@pytest.mark.parametrize(
    ("attack", "again", "twice"),
    [
        (asks_for_nothing, False, False),
        (asks_for_everything_again, True, True),
        (asks_for_everything_of_the_last_seconds, True, True),
        (claims_an_endless_path, False, False),
        (claims_that_everything_is_lost, False, True),
        (asks_for_key_frames, False, False),
        (does_everything, True, True),
    ],
)
async def test_a_receiver_gets_its_media_once_and_little_more(
    autojump_clock: MockClock, identity: Identity, attack: Callable[[Receiver], None], again: bool, twice: bool
) -> None:
    """``again``: it also gets video again. ``twice``: perhaps it gets the sound twice."""
    async with (
        open_network(sfu.MediaSettings()) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, Notices(), name="bob") as bob,
        trio.open_nursery() as nursery,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        producers = ada.produce(sending.id, "video", vp8(1111)), ada.produce(sending.id, "audio", opus(2222))
        video, sound = (
            bob.consume(receiving.id, one, network.router.context.capabilities, stream="ada", paused=False)
            for one in producers
        )
        extensions = video.take_rtp_parameters().header_extensions
        (wide_id,) = (one.id for one in extensions if one.uri == TRANSPORT_WIDE_URI)
        clients = network.client(sending, identity), network.client(receiving, identity)
        for peer, transport, client in zip((ada, bob), (sending, receiving), clients, strict=True):
            peer.connect_transport(transport.id, client.transport.dtls_parameters)
        await eventually(lambda: all(client.transport.connected for client in clients))
        sender, receiver = Sender(clients[0]), Receiver(clients[1], video, sound, wide_id)
        nursery.start_soon(sender.run)
        while sender.number < SECONDS * PACKETS:
            receiver.take()
            attack(receiver)
            await trio.sleep(TICK)
        receiver.take()
        nursery.cancel_scope.cancel()

    assert video.rtx_ssrc is not None
    media = sender.video + sender.sound
    headers = 16 * sender.number  # the gateway adds numbers
    assert 0.99 * sender.video <= receiver.got[video.ssrc] <= sender.video + headers
    assert 0.99 * sender.sound <= receiver.got[sound.ssrc] <= sender.sound + headers
    # The second one is bit for bit the first one, so that the receiver's replay protection drops it.
    assert receiver.client.transport.unopened <= (sender.number if twice else 0)
    most = RESENT_SHARE * media + RESENT_A_SECOND * SECONDS if again else 0
    assert receiver.got[video.rtx_ssrc] <= most + PROBES
    # A key frame at once, and then further and further apart.
    assert sender.asked <= 8
