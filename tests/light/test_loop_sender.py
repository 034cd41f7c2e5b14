"""The packets and reports of a loop sender."""

import random
from collections import Counter
from itertools import pairwise

import pytest
import trio
import trio.testing
from attrs import define, field

from tools.light import LightEndpoint
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop, constant_loop
from tools.light.wire import rtcp
from tools.light.wire.demux import is_rtp
from tools.light.wire.ntp import from_ntp
from tools.light.wire.rtp import Extensions, parse_header_untrusted

AUDIO = constant_loop("audio", rate=50, packets=1, payload_size=100)
VIDEO = constant_loop("video", rate=30, packets=5, payload_size=1100)


@define
class Network(LightEndpoint):
    """Keeps all packets unencrypted, in the order of sending."""

    packets: list[bytes] = field(factory=list)

    def send_rtp(self, packet: bytes) -> bool:
        self.packets.append(packet)
        return True

    def send_rtcp(self, packet: bytes) -> None:
        self.packets.append(packet)


def sent(loop: MediaLoop, ssrc: int, frames: int, cname: str | None = "source") -> list[bytes]:
    network = Network()
    sender = LoopSender(loop, network, ssrc, random.Random(1), cname)
    for _ in range(frames):
        sender.send_frame()
    return network.packets


@pytest.mark.parametrize("loop", [AUDIO, VIDEO], ids=lambda one: one.kind)
def test_it_reports_once_a_second_how_much_it_has_sent_and_when(loop: MediaLoop) -> None:
    packets = payload = reports = timestamp = 0
    for packet in sent(loop, 7, 3 * loop.rate):
        if is_rtp(packet[0], packet[1]):
            header = parse_header_untrusted(packet)
            packets, timestamp = packets + 1, header.timestamp
            payload += len(packet) - header.size - packet[-1]
            continue
        report, name = rtcp.parse_untrusted(packet)
        assert isinstance(report, rtcp.SenderReport)
        assert (report.ssrc, report.packets, report.octets, report.rtp_timestamp) == (7, packets, payload, timestamp)
        assert report.reports == ()
        assert name == rtcp.SourceDescription(7, "source")
        reports += 1
    assert (packets, reports) == (3 * loop.packets_per_second, 3)


@pytest.mark.parametrize("loop", [AUDIO, VIDEO], ids=lambda one: one.kind)
def test_packets_of_a_constant_loop_have_the_size_that_was_asked_for(loop: MediaLoop) -> None:
    packets = sent(loop, 7, loop.rate, cname=None)
    assert {len(packet) - parse_header_untrusted(packet).size for packet in packets} == {loop.payload_size}
    assert loop.payload_size in (100, 1100)


def test_extensions_are_in_media_and_in_retransmissions() -> None:
    network = Network()
    media, repeated = [(4, b"0"), (10, b"h")], [(4, b"0"), (11, b"h")]
    sender = LoopSender(VIDEO, network, 7, random.Random(1), extensions=media, rtx_extensions=repeated)
    sender.send_frame()
    first = parse_header_untrusted(network.packets[0])
    sender.receive_rtcp_untrusted(rtcp.encode([rtcp.Nack(1, 7, (first.sequence_number,))]))
    rtx = parse_header_untrusted(network.packets[-1])
    assert (first.extensions, rtx.extensions) == (media, repeated)
    payload = network.packets[0][first.size : -network.packets[0][-1]]
    assert network.packets[-1][rtx.size :] == first.sequence_number.to_bytes(2) + payload


@pytest.mark.parametrize("media", [(), ((4, b"0"),), ((20, b"0"),)], ids=["alone", "one-byte", "two-byte"])
def test_all_streams_of_an_endpoint_share_its_transport_wide_numbers(media: Extensions) -> None:
    network = Network()
    senders = [
        LoopSender(loop, network, ssrc, random.Random(1), extensions=media, wide_id=5)
        for ssrc, loop in ((7, VIDEO), (8, AUDIO))
    ]
    for sender in senders * 2:
        sender.send_frame()
    first = parse_header_untrusted(network.packets[0])
    senders[0].receive_rtcp_untrusted(rtcp.encode([rtcp.Nack(1, 7, (first.sequence_number,))]))
    headers = [parse_header_untrusted(packet) for packet in network.packets]
    numbers = [int.from_bytes(dict(header.extensions)[5]) for header in headers]
    assert numbers == [*range(13)]
    assert [header.ssrc for header in headers][4:7] == [7, 8, 7]
    assert all(dict(header.extensions).items() >= dict(media).items() for header in headers[:12])


def test_left_out_frames_take_time_and_no_numbers() -> None:
    network = Network()
    sender = LoopSender(AUDIO, network, 7, random.Random(1))
    for left_out in (0, 20, 0):
        sender.leave_out(left_out)
        sender.send_frame()
    headers = [parse_header_untrusted(packet) for packet in network.packets]
    steps = [(later.timestamp - header.timestamp & 0xFFFFFFFF) // 960 for header, later in pairwise(headers)]
    assert steps == [21, 1]
    assert [header.sequence_number - headers[0].sequence_number for header in headers] == [0, 1, 2]


async def test_a_stream_that_is_off_sends_nothing_and_begins_again_with_a_key_frame(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = Network()
    sender = LoopSender(VIDEO, network, 7, random.Random(1))
    async with trio.open_nursery() as tasks:
        tasks.start_soon(sender.run)
        await trio.sleep(1)
        sender.switch(active=False)
        await trio.sleep(0.1)
        sent = len(network.packets)
        await trio.sleep(5)
        assert len(network.packets) == sent
        sender.switch(active=True)
        await trio.sleep(1)
        tasks.cancel_scope.cancel()
    before, after = (parse_header_untrusted(packet) for packet in network.packets[sent - 1 : sent + 1])
    assert after.sequence_number == before.sequence_number + 1
    assert (after.timestamp - before.timestamp & 0xFFFFFFFF) / 90_000 == pytest.approx(5.1, abs=0.1)


def test_reports_are_on_the_wall_clock() -> None:
    reports = [rtcp.parse_untrusted(packet)[0] for packet in sent(AUDIO, 7, 150) if not is_rtp(packet[0], packet[1])]
    times = [from_ntp(report.ntp) for report in reports if isinstance(report, rtcp.SenderReport)]
    assert all(0 <= later - earlier < 10 for earlier, later in pairwise(times))
    assert len(times) == 3


def test_each_stream_reports_at_a_frame_of_its_own() -> None:
    moments = Counter(
        [is_rtp(packet[0], packet[1]) for packet in sent(AUDIO, ssrc, AUDIO.rate)].index(False)
        for ssrc in range(1000, 1000 + AUDIO.rate)
    )
    assert moments == dict.fromkeys(range(1, AUDIO.rate + 1), 1)


def test_without_a_cname_it_sends_no_reports() -> None:
    packets = sent(AUDIO, 7, AUDIO.rate, cname=None)
    assert all(is_rtp(packet[0], packet[1]) for packet in packets)
    assert len(packets) == AUDIO.rate
