"""Receivers are told the sender's clock, with the packets that it is about (RFC 3550 section 6.4.1)."""

from itertools import pairwise

import pytest
from attrs import evolve

from sfu.dataplane.interface import ConsumerId, DropReason, EncodingSpec, LayersChanged, ProducerId, ReceptionReport
from tests.dataplane.core_with_clients import AUDIO, Client, ConsumerSpec, Rig, changed
from tools.light.wire.ntp import middle, to_short
from tools.light.wire.rtcp import ReceiverReport, ReportBlock, RtcpPacket, SenderReport, SourceDescription, encode

NTP = 0x1234_5678_9ABC_DEF0
NTP_SECOND = 1 << 32
INTERVAL = 5.0


class Voice:
    """Somebody speaks to somebody."""

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
        """What is measured when the receiver answers this report, so many seconds after it came."""
        block = ReportBlock(7000 + self.consumer, 1, 2, 3, 4, last_report, to_short(delay))
        self.receiver.arrive(self.receiver.sending.protect_rtcp(encode([ReceiverReport(9, (block,))])))
        report = self.rig.core.consumer_stats(self.consumer).reception_report
        assert report is not None
        assert (report.fraction_lost, report.lost, report.jitter) == (1, 2, 4)
        assert self.rig.events() in ([], [LayersChanged(self.consumer, 0, None)])
        return report.round_trip

    def speak(self, after: float = 0) -> list[list[RtcpPacket]]:
        """What is told with one packet."""
        self.rig.now += after
        self.sender.send_rtp(self._number, payload=bytes(50))
        self._number += 1
        assert len(self.receiver.packets()) == 1
        return self.receiver.reports()


def test_a_report_has_both_clocks_as_they_are_now_and_what_was_sent_before() -> None:
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
def test_names_of_all_sizes_are_framed_right(size: int) -> None:
    voice = Voice("n" * size)
    voice.clock()
    [[_, description]] = voice.speak()
    assert description == SourceDescription(7000 + voice.consumer, "n" * min(size, 255))


def test_the_first_comes_at_once_and_the_others_at_random_around_the_interval() -> None:
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


def test_nothing_is_reported_where_nothing_is_sent() -> None:
    voice = Voice()
    voice.clock()
    assert len(voice.speak()) == 1
    voice.rig.now += 100
    voice.rig.core.handle_timer(voice.rig.now)
    assert voice.receiver.reports() == []
    voice.rig.core.set_consumer_paused(voice.consumer, True)
    voice.sender.send_rtp(50)
    assert voice.rig.sent == []


def test_who_begins_again_is_told_at_once() -> None:
    voice = Voice()
    voice.clock()
    [[first, _]] = voice.speak()
    assert isinstance(first, SenderReport)
    voice.rig.core.set_consumer_paused(voice.consumer, True)
    voice.rig.core.set_consumer_paused(voice.consumer, False)
    assert len(voice.speak(after=0.1)) == 1
    # What was told before is of no use: the receiver may have forgotten it.
    assert voice.round_trip(middle(first.ntp)) is None


def test_what_was_reported_last_stays_when_it_begins_again() -> None:
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


def test_what_somebody_else_reports_about_it_says_nothing() -> None:
    voice = Voice()
    other = voice.rig.client()
    block = ReportBlock(7000 + voice.consumer, 1, 2, 3, 4)
    for client in (other, voice.sender):
        client.arrive(client.sending.protect_rtcp(encode([ReceiverReport(9, (block,))])))
    assert voice.rig.core.consumer_stats(voice.consumer).reception_report is None


def test_an_encoding_that_begins_anew_has_no_clock_until_it_is_reported() -> None:
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


def test_the_newest_reports_are_known_by_the_middle_of_their_time() -> None:
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
    # What answers none of ours, or came before we sent it, leaves the last one as it was.
    assert voice.round_trip(12345) == voice.round_trip(sent[-1][0], delay=10) == measured[-1]


def test_a_report_that_cannot_be_sent_is_counted_like_any_datagram() -> None:
    voice = Voice()
    voice.clock()
    voice.rig.refuse = DropReason.SEND_WOULD_BLOCK
    voice.sender.send_rtp(0)
    assert voice.rig.dropped() == {DropReason.SEND_WOULD_BLOCK: 2}
    assert voice.rig.traffic()["packets_out"] == 0


def test_a_report_about_a_stream_that_is_not_there_says_nothing() -> None:
    voice = Voice()
    voice.sender.report(4711, NTP, 0)
    voice.receiver.report(1111, NTP, 0)
    assert voice.speak() == []
    assert voice.rig.dropped() == {}
