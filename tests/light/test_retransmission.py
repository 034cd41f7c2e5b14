"""Retransmissions between a light sender and a light receiver, over a network in memory that loses packets."""

import random
from collections import deque
from collections.abc import Callable

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from protocol.vocabulary import MediaKind
from tools.light import LightEndpoint, PacketCounts, PacketMeter, RandomLoss, StreamMeter
from tools.light.loop_sender import RTX_PAYLOAD_TYPE, LoopSender
from tools.light.media_loop import constant_loop
from tools.light.retransmission import (
    PacketHistory,
    Retransmission,
    RtxSender,
    read_retransmission_untrusted,
    rtx_ssrc,
)
from tools.light.vp8 import begins_key_frame_untrusted
from tools.light.wire import rtcp, rtp

SSRC = 4711
AUDIO = constant_loop("audio", rate=50, packets=1, payload_size=100)
VIDEO = constant_loop("video", rate=30, packets=5, payload_size=300)


def packet(number: int, payload: bytes = b"picture", *, padding: int = 0) -> bytes:
    return rtp.encode(
        payload_type=96,
        sequence_number=number,
        timestamp=9000,
        ssrc=5,
        payload=payload,
        marker=True,
        padding=padding,
    )


def test_a_retransmission_holds_the_number_and_the_payload_without_padding() -> None:
    sender = RtxSender(6, 97, 0xFFFF, extensions=((4, b"0"), (3, b"h")))
    wrapped = [sender.wrap(packet(513, padding=24)), sender.wrap(packet(2))]
    headers = [rtp.parse_header_untrusted(each) for each in wrapped]
    assert [header.sequence_number for header in headers] == [0xFFFF, 0]
    for header in headers:
        assert (header.ssrc, header.payload_type, header.timestamp, header.marker) == (6, 97, 9000, True)
        assert header.extensions == [(4, b"0"), (3, b"h")]
        assert not header.padding
    read = [read_retransmission_untrusted(each) for each in wrapped]
    assert read == [Retransmission(513, b"picture"), Retransmission(2, b"picture")]


def test_a_packet_that_repeats_nothing_is_a_probe() -> None:
    assert read_retransmission_untrusted(packet(1, b"", padding=200)) is None
    assert read_retransmission_untrusted(packet(1, b"\0")) is None
    assert read_retransmission_untrusted(packet(1, b"\2\1")) == Retransmission(513, b"")


@given(st.binary(max_size=40))
def test_reading_any_bytes_raises_nothing(data: bytes) -> None:
    read_retransmission_untrusted(data)
    read_retransmission_untrusted(b"\x80" + data)
    begins_key_frame_untrusted(data)


def test_a_history_keeps_about_a_second_of_packets() -> None:
    history = PacketHistory(packets_per_second=150)
    for number in range(0x10000 - 200, 0x10000 + 100):
        history.packets[number & history.mask] = packet(number & 0xFFFF)
    assert history.get(99) == packet(99)
    assert history.get(0xFFFF) == packet(0xFFFF)
    assert history.get(0x10000 - 200) is None
    assert history.get(101) is None
    assert len(history.packets) == 256
    assert [len(PacketHistory(rate).packets) for rate in (1, 50, 100_000)] == [64, 64, 1024]


@pytest.mark.parametrize("ssrc", [1, 4711, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_the_ssrc_of_retransmissions_is_another_valid_one(ssrc: int) -> None:
    assert 0 < rtx_ssrc(ssrc) < 2**32
    assert rtx_ssrc(ssrc) != ssrc


@define
class Wire(LightEndpoint):
    """Takes unencrypted packets to a packet meter after ``delay`` seconds, and the meter's feedback back at once."""

    meter: PacketMeter
    loss: RandomLoss
    now: float = 0.0
    delay: float = 0.02
    sent: list[bytes] = field(factory=list)
    on_the_way: deque[tuple[float, bytes]] = field(factory=deque)
    feedback: list[rtcp.RtcpPacket] = field(factory=list)

    def send_rtp(self, packet: bytes) -> bool:
        self.sent.append(packet)
        if not self.loss.loses(packet[0]):
            self.on_the_way.append((self.now + self.delay, packet))
        return True

    def pass_time(self, seconds: float, heed: Callable[[bytes], object]) -> None:
        """Deliver what is due, in steps of a millisecond.  ``heed`` gets the feedback, unless it is lost."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.001
            while self.on_the_way and self.on_the_way[0][0] <= self.now:
                self._deliver(self.on_the_way.popleft()[1])
            if self.meter.next_request <= self.now:
                requests = self.meter.take_requests()
                self.feedback += requests
                for compound in rtcp.compounds(requests):
                    if not self.loss.loses(compound[0]):
                        heed(compound)

    def _deliver(self, packet: bytes) -> None:
        buffer = bytearray(2048)
        buffer[: len(packet)] = packet
        self.meter.receive_untrusted(buffer, len(packet), lambda: packet, lambda: int(self.now * 1e9))


@define
class Call:
    wire: Wire
    sender: LoopSender
    stream: StreamMeter

    @property
    def counts(self) -> PacketCounts:
        return self.stream.counts

    def send(self, seconds: float) -> None:
        for _ in range(round(seconds * self.sender.loop.rate)):
            self.sender.send_frame()
            self.wire.pass_time(1 / self.sender.loop.rate, self.sender.receive_rtcp_untrusted)


def call(kind: MediaKind, share: float, *, seed: int = 1) -> Call:
    """A call whose network is perfect until its first packet has arrived."""
    meter = PacketMeter()
    wire = Wire(meter, RandomLoss(0.0, random.Random(seed)))
    meter.clock = lambda: wire.now
    sender = LoopSender(AUDIO if kind == "audio" else VIDEO, wire, SSRC, random.Random(seed))
    stream = meter.expect(SSRC, kind, "p1", nack=True, rtx_ssrc=rtx_ssrc(SSRC) if kind == "video" else None)
    found = Call(wire, sender, stream)
    found.send(0.1)
    wire.loss.share = share
    return found


def test_without_loss_nothing_is_asked_for_or_sent_again() -> None:
    found = call("video", 0.0)
    found.send(5)
    assert found.wire.feedback == []
    assert found.counts.packets == found.sender.packets == len(found.wire.sent)
    assert (found.counts.lost, found.counts.requested, found.sender.requested) == (0, 0, 0)
    assert found.stream.missing is not None
    assert found.wire.meter.lacking == {}


def test_lost_video_comes_again_as_retransmissions() -> None:
    found = call("video", 0.05)
    found.send(20)
    found.wire.loss.share = 0.0
    found.send(1)
    counts = found.counts
    assert counts.missed > 100
    assert (counts.lost, counts.given_up, counts.reordered, counts.duplicated) == (0, 0, 0, 0)
    assert counts.requested == counts.repaired == counts.missed
    assert counts.retransmissions - counts.unneeded == counts.repaired
    assert counts.packets + counts.repaired == found.sender.packets
    assert counts.loss == 0
    # Some requests and answers were lost, too.
    assert found.sender.resent == found.sender.requested
    assert counts.requested < found.sender.requested
    rtx = [rtp.parse_header_untrusted(packet) for packet in found.wire.sent[:] if packet[8:12] != SSRC.to_bytes(4)]
    assert {(header.ssrc, header.payload_type) for header in rtx} == {(rtx_ssrc(SSRC), RTX_PAYLOAD_TYPE)}
    waited = found.wire.meter.take_waited("video")
    assert waited.count == counts.repaired
    assert (waited.quantile(0.5) or 0) == pytest.approx(0.021, abs=0.002)
    assert (waited.quantile(0.999) or 0) < 0.25


def test_lost_audio_comes_again_as_the_same_packet() -> None:
    found = call("audio", 0.05)
    found.send(20)
    found.wire.loss.share = 0.0
    found.send(1)
    counts = found.counts
    assert counts.missed > 30
    assert counts.lost == counts.retransmissions == 0
    assert counts.reordered == counts.repaired == counts.requested
    assert len(found.wire.sent) == found.sender.packets + found.sender.resent
    assert len(set(found.wire.sent)) == found.sender.packets


def test_a_deaf_sender_makes_the_receiver_give_up_and_ask_for_key_frames() -> None:
    found = call("video", 0.05)
    for _ in range(150):
        found.sender.send_frame()
        found.wire.pass_time(1 / 30, lambda compound: None)
    found.wire.pass_time(3, lambda compound: None)
    counts = found.counts
    assert counts.lost == counts.requested == counts.given_up > 20
    assert counts.repaired == 0
    key_frames = [each for each in found.wire.feedback if isinstance(each, rtcp.PictureLossIndication)]
    assert 2 <= len(key_frames) == counts.key_frame_requests <= 9
    assert found.wire.meter.lacking == {}


def test_a_long_gap_is_asked_for_in_requests_that_fit_into_datagrams() -> None:
    found = call("video", 0.0)
    found.sender._sequence += 900
    found.sender.send_frame()
    found.wire.pass_time(0.05, found.sender.receive_rtcp_untrusted)
    requests = [each for each in found.wire.feedback if isinstance(each, rtcp.Nack)]
    assert sum(len(request.numbers) for request in requests) == 900
    assert all(len(compound) <= 1200 for compound in rtcp.compounds(requests))
    assert found.sender.requested == 900
    assert found.sender.resent == 0


def test_a_stream_that_lost_packets_before_it_was_expected_asks_for_them_then() -> None:
    meter = PacketMeter()
    wire = Wire(meter, RandomLoss(0.0, random.Random(1)))
    meter.clock = lambda: wire.now
    sender = LoopSender(VIDEO, wire, SSRC, random.Random(1))
    sender.send_frame()
    wire.on_the_way.remove(wire.on_the_way[2])
    wire.pass_time(0.05, sender.receive_rtcp_untrusted)
    assert wire.feedback == []
    stream = meter.expect(SSRC, "video", "p1", nack=True, rtx_ssrc=rtx_ssrc(SSRC))
    wire.pass_time(0.05, sender.receive_rtcp_untrusted)
    assert (stream.counts.lost, stream.counts.repaired) == (0, 1)
    meter.close(SSRC)
    assert meter.counts("video").repaired == 1
    assert meter.take_waited("video").count == 1
    assert (meter._retransmitted, meter.lacking) == ({}, {})


def test_nothing_before_a_key_frame_is_asked_for() -> None:
    found = call("video", 0.0)
    found.stream.vp8 = True
    found.sender.send_frame()
    del found.wire.on_the_way[-1]
    found.wire.pass_time(0.05, found.sender.receive_rtcp_untrusted)
    assert found.counts.lost == 0
    found.sender.send_frame()  # each frame of a constant loop is a key frame
    late = found.wire.sent[-6]
    found.wire.pass_time(0.05, found.sender.receive_rtcp_untrusted)
    assert (found.counts.lost, found.counts.superseded, found.counts.requested) == (1, 1, 0)
    assert (found.wire.feedback, found.wire.meter.lacking) == ([], {})
    found.wire.on_the_way.append((0.0, late))
    found.wire.pass_time(0.01, found.sender.receive_rtcp_untrusted)
    assert (found.counts.lost, found.counts.superseded, found.counts.reordered) == (0, 0, 1)


def test_packets_of_a_key_frame_are_asked_for() -> None:
    found = call("video", 0.0)
    found.stream.vp8 = True
    found.sender.send_frame()
    del found.wire.on_the_way[-3]
    found.wire.pass_time(0.05, found.sender.receive_rtcp_untrusted)
    assert (found.counts.lost, found.counts.superseded, found.counts.repaired) == (0, 0, 1)


KEY, INTER = b"\x00", b"\x01"


@pytest.mark.parametrize(
    ("descriptor", "begins"),
    [
        (b"\x10", True),
        (b"\x90\x00", True),
        (b"\x90\x80\x7f", True),
        (b"\x90\x80\xff\xff", True),
        (b"\x90\xc0\xff\xff\x01", True),
        (b"\x90\xe0\xff\xff\x01\x40", True),
        (b"\x90\x10\x01", True),
        (b"\x80\x00", False),  # not the first packet of a frame
        (b"\x11", False),  # another partition
    ],
)
def test_the_first_packet_of_a_vp8_key_frame_is_recognised(descriptor: bytes, begins: bool) -> None:
    assert begins_key_frame_untrusted(descriptor + KEY) is begins
    assert not begins_key_frame_untrusted(descriptor + INTER)
    assert not begins_key_frame_untrusted(descriptor)


def test_a_stray_retransmission_is_not_needed() -> None:
    found = call("video", 0.0)
    newest = found.sender._sequence - 1
    for number in (newest, newest - 3, newest + 5):
        nack = rtcp.encode([rtcp.Nack(1, SSRC, (number & 0xFFFF,))])
        found.sender.receive_rtcp_untrusted(nack)
    found.wire.pass_time(0.05, found.sender.receive_rtcp_untrusted)
    assert (found.sender.requested, found.sender.resent) == (3, 2)
    assert (found.counts.retransmissions, found.counts.unneeded, found.counts.missed) == (2, 2, 0)
