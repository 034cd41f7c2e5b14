"""A light sender and a light receiver repair loss on both sides of the real core.  In virtual time."""

import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import attrs
import pytest
import trio
from attrs import define, field, frozen

import protocol.media
import sfu
import sfu.parameters
from gateway.media_objects import convert
from protocol.vocabulary import MediaKind
from sfu.dataplane.values import EncodingStats
from sfu.wire.certificate import generate_certificate
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory_network import Client, Network, open_network
from tools.harness import run
from tools.light import Histogram, Identity, LightEndpoint, PacketCounts, PacketMeter, StreamMeter
from tools.light.light_media import Layer, sending_parameters
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaFrame, MediaLoop, constant_loop
from tools.light.wire import rtcp

SSRC = 4711
#: Seconds from a client to the gateway and back.
ROUND_TRIP = 0.1
AUDIO = constant_loop("audio", rate=50, packets=1, payload_size=100)
MID_ID, RID_ID, REPAIRED_ID = 4, 10, 11
MID, RID = b"0", b"h"


def _video() -> MediaLoop:
    """Two seconds of VP8 frames of four packets, of which the first is a key frame."""
    frames = [MediaFrame((bytes([frame > 0]) + bytes(500), *(bytes(500),) * 3), key=not frame) for frame in range(60)]
    return MediaLoop("video", 30, 90_000, tuple(frames))


LOOPS: dict[MediaKind, MediaLoop] = {"audio": AUDIO, "video": _video()}


@define
class Line:
    """One direction between a client and the gateway, with a delay of half a round trip."""

    arrive: Callable[[bytes], object]
    _under_way: deque[tuple[float, bytes]] = field(factory=deque)
    _filled: trio.Event = field(factory=trio.Event)

    def send(self, datagram: bytes) -> None:
        self._under_way.append((trio.current_time() + ROUND_TRIP / 2, datagram))
        self._filled.set()

    async def run(self) -> None:
        while True:
            self._filled = trio.Event()
            while self._under_way:
                due, datagram = self._under_way.popleft()
                await trio.sleep_until(due)
                self.arrive(datagram)
            await self._filled.wait()


@define
class FarClient(LightEndpoint):
    """A client of the network in memory, as an endpoint of a light sender or receiver."""

    client: Client

    def send_rtp(self, packet: bytes) -> bool:
        self.client.transport.send_rtp(packet)
        self.client.flush()
        return True

    def send_rtcp(self, packet: bytes) -> None:
        self.client.transport.send_rtcp(packet)
        self.client.flush()


def move_away(network: Network, near: Client) -> FarClient:
    """Put a delay between a connected client and the gateway."""
    there = Line(lambda datagram: network.plane.deliver(datagram, near.path))
    back = Line(near.receive)

    class Far(Client):
        def receive(self, datagram: bytes) -> None:
            back.send(datagram)

    def deliver(datagram: bytes, path: object) -> bool:
        there.send(datagram)
        return True

    near.deliver = deliver
    network.clients[near.path] = Far(near.transport, near.path, near.deliver, near.rng)
    network.nursery.start_soon(there.run)
    network.nursery.start_soon(back.run)
    return FarClient(near)


@define
class Call:
    """A sender and a receiver whose packets both lose ``share`` in each direction."""

    network: Network
    sender: LoopSender
    speaker: Client
    listener: Client
    meter: PacketMeter
    stream: StreamMeter
    producer: sfu.Producer

    def lose(self, share: float) -> None:
        self.speaker.loss = self.listener.loss = share

    async def receive(self) -> None:
        """Hand over what arrived every few milliseconds, as a poller does."""
        listener = FarClient(self.listener)
        while True:
            await trio.sleep(0.004)
            packets, self.listener.transport.rtp[:] = list(self.listener.transport.rtp), []
            for packet in packets:
                self._count(packet)
            for compound in rtcp.compounds(self.meter.take_requests()):
                listener.send_rtcp(compound)
            asked, self.speaker.transport.rtcp[:] = list(self.speaker.transport.rtcp), []
            for packet in asked:
                self.sender.receive_rtcp_untrusted(packet)

    def _count(self, packet: bytes) -> None:
        buffer = bytearray(2048)
        buffer[: len(packet)] = packet
        self.meter.receive_untrusted(buffer, len(packet), lambda: packet, lambda: round(trio.current_time() * 1e9))


@frozen
class Outcome:
    """What became of the packets, as the receiver, the sender and the gateway counted."""

    counts: PacketCounts
    waited: Histogram
    sender: LoopSender
    encoding: EncodingStats


def outcome(call: Call) -> Outcome:
    [encoding] = call.producer.encoding_stats()
    return Outcome(call.stream.counts, call.meter.take_waited(call.sender.loop.kind), call.sender, encoding)


async def connect(network: Network, peer: sfu.Peer, transport: sfu.Transport) -> FarClient:
    client = network.client(transport, Identity.of(generate_certificate(datetime(2026, 1, 1, tzinfo=UTC))))
    peer.connect_transport(transport.id, client.transport.dtls_parameters)
    await eventually(lambda: transport.connected and client.transport.connected)
    return move_away(network, client)


def by_rid(parameters: protocol.media.RtpParameters) -> protocol.media.RtpParameters:
    """The same stream without any SSRC."""
    extensions = [
        protocol.media.RtpHeaderExtensionParameters(f"urn:ietf:params:rtp-hdrext:sdes:{name}", number)
        for name, number in (("mid", MID_ID), ("rtp-stream-id", RID_ID), ("repaired-rtp-stream-id", REPAIRED_ID))
    ]
    encodings = (protocol.media.RtpEncodingParameters(rid=RID.decode()),)
    return attrs.evolve(parameters, mid=MID.decode(), header_extensions=tuple(extensions), encodings=encodings)


@asynccontextmanager
async def open_call(kind: MediaKind, *, rid: bool = False, seed: int = 1) -> AsyncIterator[Call]:
    async with (
        open_network(sfu.MediaSettings(share_bandwidth=False), seed=seed) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, Notices(), name="bob") as bob,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        speaker, listener = await connect(network, ada, sending), await connect(network, bob, receiving)
        capabilities = network.router.context.capabilities
        parameters = sending_parameters(kind, [Layer(SSRC)], convert(capabilities, protocol.media.RtpCapabilities))
        if rid:
            parameters = by_rid(parameters)
        producer = ada.produce(sending.id, kind, convert(parameters, sfu.parameters.RtpParameters))
        consumer = bob.consume(receiving.id, producer, capabilities, stream="ada", paused=False)
        [encoding] = consumer.take_rtp_parameters().encodings
        assert encoding.ssrc is not None
        meter = PacketMeter(clock=trio.current_time)
        stream = meter.expect(
            encoding.ssrc,
            kind,
            producer.id,
            vp8=kind == "video",
            nack=kind == "video",
            rtx_ssrc=None if encoding.rtx is None else encoding.rtx.ssrc,
        )
        media = ((MID_ID, MID), (RID_ID, RID)) if rid else ()
        repeated = ((MID_ID, MID), (REPAIRED_ID, RID)) if rid else ()
        rng = random.Random(seed)
        sender = LoopSender(LOOPS[kind], speaker, SSRC, rng, extensions=media, rtx_extensions=repeated)
        call = Call(network, sender, speaker.client, listener.client, meter, stream, producer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.receive)
            nursery.start_soon(sender.run)
            await trio.sleep(1)
            yield call
            nursery.cancel_scope.cancel()


async def lossy_video(rid: bool) -> Outcome:
    async with open_call("video", rid=rid) as call:
        call.lose(0.05)
        await trio.sleep(30)
        call.lose(0)
        await trio.sleep(2)
        return outcome(call)


@pytest.mark.parametrize("rid", [False, True], ids=["announced", "by rid"])
def test_video_survives_loss_in_every_direction(rid: bool) -> None:
    found = run(partial(lossy_video, rid))
    counts, waited = found.counts, found.waited
    assert counts.lost == counts.superseded < 20
    assert (counts.given_up, counts.key_frame_requests, counts.duplicated) == (0, 0, 0)
    # Half of the missing packets were lost on each hop.  Those of the first hop came late, those of the second as RTX.
    assert counts.missed > 250
    assert counts.reordered > 100
    assert counts.retransmissions - counts.unneeded > 100
    assert counts.unneeded < 0.3 * counts.retransmissions
    assert found.encoding.repaired > 100
    assert found.encoding.given_up < 20  # most of them before a key frame
    assert (waited.quantile(0.5) or 9) < 0.25
    assert (waited.quantile(0.999) or 9) < 1


async def lossy_audio() -> Outcome:
    async with open_call("audio") as call:
        call.speaker.loss = 0.05
        await trio.sleep(30)
        call.lose(0)
        await trio.sleep(2)
        return outcome(call)


def test_lost_audio_of_a_sender_comes_again() -> None:
    found = run(lossy_audio)
    assert found.counts.lost <= 1
    assert found.counts.reordered > 40
    assert found.sender.resent == found.sender.requested > 40


async def clean(kind: MediaKind) -> Outcome:
    async with open_call(kind) as call:
        await trio.sleep(10)
        return outcome(call)


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_nothing_is_asked_for_on_a_clean_network(kind: MediaKind) -> None:
    found = run(partial(clean, kind))
    counts = found.counts
    assert (counts.missed, counts.requested, counts.retransmissions, found.sender.requested) == (0, 0, 0, 0)
    assert counts.packets > 400
