"""What a bench's sources send."""

from collections import Counter
from itertools import pairwise

import pytest
from attrs import define, field

from sfu.wire import rtcp
from sfu.wire.ntp import from_ntp
from sfu.wire.rtp import parse_header_untrusted
from tools.bench.beside.drain import is_rtp
from tools.bench.source import Sender, Source, report

AUDIO = Source("audio", "audio", rate=50, burst=1, size=100)
VIDEO = Source("video", "video", rate=30, burst=5, size=1100)


@define
class Network:
    """Everything that was sent, in its order."""

    packets: list[bytes] = field(factory=list)

    def send_rtp(self, packet: bytes) -> bool:
        self.packets.append(packet)
        return True

    def send_rtcp(self, packet: bytes) -> None:
        self.packets.append(packet)


def sent(source: Source, ssrc: int, bursts: int) -> list[bytes]:
    network = Network()
    sender = Sender(source, network, ssrc, network.send_rtcp)
    for _ in range(bursts):
        sender.send_burst()
    return network.packets


@pytest.mark.parametrize("source", [AUDIO, VIDEO], ids=lambda one: one.kind)
def test_a_source_reports_once_a_second_what_it_has_sent_and_when(source: Source) -> None:
    packets = payload = reports = timestamp = 0
    for packet in sent(source, 7, 3 * source.rate):
        if is_rtp(packet[0], packet[1]):
            header = parse_header_untrusted(packet)
            packets, timestamp = packets + 1, header.timestamp
            payload += len(packet) - header.size - packet[-1]
            continue
        told, name = rtcp.parse_untrusted(packet)
        assert isinstance(told, rtcp.SenderReport)
        assert (told.ssrc, told.packets, told.octets, told.rtp_timestamp) == (7, packets, payload, timestamp)
        assert told.reports == ()
        assert name == rtcp.SourceDescription(7, "source")
        reports += 1
    assert (packets, reports) == (3 * source.rate * source.burst, 3)


def test_reports_are_on_the_wall_clock() -> None:
    told = [rtcp.parse_untrusted(one)[0] for one in sent(AUDIO, 7, 150) if not is_rtp(one[0], one[1])]
    times = [from_ntp(one.ntp) for one in told if isinstance(one, rtcp.SenderReport)]
    assert all(0 <= later - earlier < 10 for earlier, later in pairwise(times))
    assert len(times) == 3


def test_streams_report_at_moments_of_their_own() -> None:
    moments = Counter(
        burst
        for ssrc in range(1000, 1000 + AUDIO.rate)
        for burst in range(1, AUDIO.rate + 1)
        if report(AUDIO, ssrc, burst, "name") is not None
    )
    assert moments == dict.fromkeys(range(1, AUDIO.rate + 1), 1)


def test_who_has_no_place_for_reports_sends_none() -> None:
    network = Network()
    sender = Sender(AUDIO, network)
    for _ in range(AUDIO.rate):
        sender.send_burst()
    assert all(is_rtp(packet[0], packet[1]) for packet in network.packets)
    assert len(network.packets) == AUDIO.rate
