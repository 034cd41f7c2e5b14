"""Receivers get sender reports with the sender's clock, behind its packets (RFC 3550 section 6.4.1)."""

from itertools import pairwise

import pytest
from attrs import evolve

from sfu.dataplane.interface import ConsumerId, DropReason, ProducerId
from sfu.dataplane.values import EncodingSpec, LayersChanged, ReceptionReport
from tests.dataplane.core_with_clients import AUDIO, Client, ConsumerSpec, Rig, changed
from tools.light.wire.ntp import middle, to_short
from tools.light.wire.rtcp import ReceiverReport, ReportBlock, RtcpPacket, SenderReport, SourceDescription, encode

NTP = 0x1234_5678_9ABC_DEF0
NTP_SECOND = 1 << 32
INTERVAL = 5.0


class Voice:
    """A speaker and a listener."""

    def __init__(self, cname: str = "them") -> None:
        self.rig = Rig()
        self.sender: Client = self.rig.client()
        self.receiver: Client = self.rig.client()
        self.producer: ProducerId = self.rig.produce(self.sender, changed(AUDIO, cname=cname))
        spec = evolve(ConsumerSpec(), report_interval=INTERVAL)
        self.consumer: ConsumerId = self.rig.consume(self.receiver, self.producer, spec)
        self._number = 0

    def clock(self, ntp: int = NTP, timestamp: int = 1000) -> None:
        self.sender.report(1111, ntp, timestamp)

    def round_trip(self, last_report: int, delay: float = 0) -> float | None:
        """The round trip that is measured when the receiver answers this report after so many seconds."""
        block = ReportBlock(7000 + self.consumer, 1, 2, 3, 4, last_report, to_short(delay))
        self.receiver.arrive(self.receiver.sending.protect_rtcp(encode([ReceiverReport(9, (block,))])))
        report = self.rig.core.consumer_stats(self.consumer).reception_report
        assert report is not None
        assert (report.fraction_lost, report.lost, report.jitter) == (1, 2, 4)
        assert self.rig.events() in ([], [LayersChanged(self.consumer, 0, None, None)])
        return report.round_trip

    def speak(self, after: float = 0) -> list[list[RtcpPacket]]:
        """The report that leaves with one packet."""
        self.rig.now += after
        self.sender.send_rtp(self._number, payload=bytes(50))
        self._number += 1
        assert len(self.receiver.packets()) == 1
        return self.receiver.reports()


def test_a_report_has_both_clocks_of_now_and_the_counts_of_packets_before() -> None:
    voice = Voice()
    assert voice.speak() == []
    voice.clock(timestamp=2**32 - 24000)
    [[report, description]] = voice.speak(after=0.5)
    ssrc = 7000 + voice.consumer
    assert report == SenderReport(ssrc, NTP + NTP_SECOND // 2, 0, packets=1, octets=50)
    assert description == SourceDescription(ssrc, "them")
    assert voice.rig.core.consumer_stats(voice.consumer).packets == 2
    assert voice.rig.traffic()["packets_out"] == 3


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 254, 255, 256, 300])
def test_cnames_of_all_sizes_are_framed_right(size: int) -> None:
    voice = Voice("n" * size)
    voice.clock()
    [[_, description]] = voice.speak()
    assert description == SourceDescription(7000 + voice.consumer, "n" * min(size, 255))


def test_the_first_report_comes_at_once_and_others_at_random_around_the_interval() -> None:
    voice = Voice()
    voice.clock()
    times = []
    for _ in range(5000):
        if voice.speak(after=0.02):
            times.append(voice.rig.now)
    assert times[0] == pytest.approx(1000.02)
    apart = [after - before for before, after in pairwise(times)]
    assert 0.5 * INTERVAL - 0.001 <= min(apart) < max(apart) <= 1.5 * INTERVAL + 0.021
    assert sum(apart) / len(apart) == pytest.approx(INTERVAL, rel=0.1)
    assert len({round(one, 1) for one in apart}) > 10


def test_a_consumer_that_is_sent_nothing_gets_no_report() -> None:
    voice = Voice()
    voice.clock()
    assert len(voice.speak()) == 1
    voice.rig.now += 100
    voice.rig.core.handle_timer(voice.rig.now)
    assert voice.receiver.reports() == []
    voice.rig.core.set_consumer_paused(voice.consumer, True)
    voice.sender.send_rtp(50)
    assert voice.rig.sent == []


def test_a_consumer_that_begins_again_gets_a_report_at_once() -> None:
    voice = Voice()
    voice.clock()
    [[first, _]] = voice.speak()
    assert isinstance(first, SenderReport)
    voice.rig.core.set_consumer_paused(voice.consumer, True)
    voice.rig.core.set_consumer_paused(voice.consumer, False)
    assert len(voice.speak(after=0.1)) == 1
    # Earlier reports do not count: the receiver may have forgotten them.
    assert voice.round_trip(middle(first.ntp)) is None


def test_the_last_reception_report_stays_when_a_consumer_begins_again() -> None:
    voice = Voice()
    voice.clock()
    [[first, _]] = voice.speak()
    assert isinstance(first, SenderReport)
    measured = voice.round_trip(middle(first.ntp))
    assert measured is not None
    voice.rig.core.set_consumer_paused(voice.consumer, True)
    voice.rig.core.set_consumer_paused(voice.consumer, False)
    voice.speak()
    assert voice.rig.core.consumer_stats(voice.consumer).reception_report == ReceptionReport(1, 2, 4, measured)


def test_reports_of_other_clients_about_a_consumer_are_ignored() -> None:
    voice = Voice()
    other = voice.rig.client()
    block = ReportBlock(7000 + voice.consumer, 1, 2, 3, 4)
    for client in (other, voice.sender):
        client.arrive(client.sending.protect_rtcp(encode([ReceiverReport(9, (block,))])))
    assert voice.rig.core.consumer_stats(voice.consumer).reception_report is None


def test_an_encoding_that_begins_anew_has_no_clock_until_its_next_report() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    spec = changed(AUDIO, encodings=[EncodingSpec()], mid="0", mid_id=1)
    producer = rig.produce(sender, spec)
    rig.consume(receiver, producer)
    sender.send_rtp(1, ssrc=1, extensions=((1, b"0"),))
    sender.report(1, NTP, 0)
    sender.send_rtp(2, ssrc=1)
    assert len(receiver.reports()) == 1
    sender.send_rtp(1, ssrc=2, extensions=((1, b"0"),))
    rig.now += 60
    sender.send_rtp(2, ssrc=2)
    assert receiver.reports() == []
    sender.report(2, NTP, 0)
    sender.send_rtp(3, ssrc=2)
    assert len(receiver.reports()) == 1


def test_the_newest_reports_are_recognised_by_the_middle_of_their_ntp_time() -> None:
    voice = Voice()
    sent = []
    for number in range(6):
        voice.clock(ntp=NTP + number * 1000 * NTP_SECOND)
        [[report, _]] = voice.speak(after=2 * INTERVAL)
        assert isinstance(report, SenderReport)
        sent.append((middle(report.ntp), voice.rig.now))
    voice.rig.now += 0.25
    measured = [voice.round_trip(name, delay=0.2) for name, _ in sent]
    assert measured == [None, *(pytest.approx(voice.rig.now - at - 0.2, abs=0.001) for _, at in sent[1:])]
    # An answer to no report of ours, or to one from the future, leaves the last round trip as it was.
    assert voice.round_trip(12345) == voice.round_trip(sent[-1][0], delay=10) == measured[-1]


def test_a_report_that_cannot_be_sent_is_counted_like_any_datagram() -> None:
    voice = Voice()
    voice.clock()
    voice.rig.refuse = DropReason.SEND_WOULD_BLOCK
    voice.sender.send_rtp(0)
    assert voice.rig.dropped() == {DropReason.SEND_WOULD_BLOCK: 2}
    assert voice.rig.traffic()["packets_out"] == 0


def test_a_report_about_an_unknown_stream_is_ignored() -> None:
    voice = Voice()
    voice.sender.report(4711, NTP, 0)
    voice.receiver.report(1111, NTP, 0)
    assert voice.speak() == []
    assert voice.rig.dropped() == {}
