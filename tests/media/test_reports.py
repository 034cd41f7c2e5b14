"""RTCP reports: their contents, their number, and hostile ones.  In virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

import sfu
from sfu.dataplane.values import Event, KeyFrameRequested, ReceptionReport
from tests.eventually import eventually
from tests.media.conftest import Notices
from tests.media.memory_network import Client, Network, open_network
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, opus, read, vp8
from tests.media.test_closing import connected
from tools.light.transport import Identity
from tools.light.wire import rtcp
from tools.light.wire.ntp import middle, to_short

NTP_SECOND = 1 << 32


@frozen
class Call:
    """Ada sends, Bob receives, both connected."""

    network: Network
    ada: sfu.Peer
    bob: sfu.Peer
    sending: sfu.Transport
    receiving: sfu.Transport
    sender: Client
    receiver: Client

    def send(self, ssrc: int, number: int, payload_type: int = 111, payload: bytes = b"x" * 50) -> None:
        packet = Rtp(payload_type, number & 0xFFFF, 960 * number, ssrc, payload)
        self.sender.transport.send_rtp(bytes(packet))
        self.sender.flush()

    def report(self, ssrc: int, ntp_seconds: float, timestamp: int = 0) -> None:
        report = rtcp.SenderReport(ssrc, round(ntp_seconds * NTP_SECOND), timestamp, 1, 50)
        self.sender.transport.send_rtcp(rtcp.encode([report]))
        self.sender.flush()

    def answer(self, *packets: rtcp.RtcpPacket) -> None:
        self.receiver.transport.send_rtcp(rtcp.encode(packets))
        self.receiver.flush()

    def consume(self, producer: sfu.Producer) -> sfu.Consumer:
        return self.bob.consume(
            self.receiving.id, producer, self.network.router.context.capabilities, stream="ada", paused=False
        )


@asynccontextmanager
async def open_call(identity: Identity, settings: sfu.MediaSettings | None = None) -> AsyncIterator[Call]:
    async with (
        open_network(settings or sfu.MediaSettings()) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
        sfu.open_peer(network.router, Notices(), name="bob") as bob,
    ):
        sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
        await connected(network, ada, sending, identity)
        await connected(network, bob, receiving, identity)
        sender, receiver = network.clients.values()
        yield Call(network, ada, bob, sending, receiving, sender, receiver)


def take(client: Client) -> list[list[rtcp.RtcpPacket]]:
    """Take the compound packets that came."""
    packets, client.transport.rtcp[:] = list(client.transport.rtcp), []
    return [rtcp.parse_untrusted(packet) for packet in packets]


def sender_reports(compounds: list[list[rtcp.RtcpPacket]]) -> list[rtcp.SenderReport]:
    return [one for compound in compounds for one in compound if isinstance(one, rtcp.SenderReport)]


def blocks(compounds: list[list[rtcp.RtcpPacket]]) -> list[rtcp.ReportBlock]:
    reports = [one for compound in compounds for one in compound if isinstance(one, rtcp.ReceiverReport)]
    return [block for report in reports for block in report.reports]


async def test_every_compound_packet_begins_with_a_report_and_names_its_sources(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        producer = call.ada.produce(call.sending.id, "video", vp8(1))
        consumer = call.consume(producer)
        call.send(1, 0, 96, VP8_KEY_FRAME)
        call.report(1, 100)
        await trio.sleep(2)
        call.send(1, 1, 96, VP8_INTER_FRAME)
        await trio.testing.wait_all_tasks_blocked()
        for client, ssrc in ((call.sender, call.network.router.context.rtcp_ssrc), (call.receiver, consumer.ssrc)):
            compounds = take(client)
            assert compounds
            for first, *rest in compounds:
                assert isinstance(first, rtcp.SenderReport | rtcp.ReceiverReport)
                names = [one for one in rest if isinstance(one, rtcp.SourceDescription)]
                assert [(one.ssrc, bool(one.cname)) for one in names] == [(ssrc, True)]


async def test_reports_about_many_streams_share_packets_that_are_small_enough_for_every_path(
    autojump_clock: MockClock, identity: Identity
) -> None:
    streams = 60
    async with open_call(identity, sfu.MediaSettings(max_producers=streams)) as call:
        for ssrc in range(1, streams + 1):
            call.ada.produce(call.sending.id, "audio", opus(ssrc))
            call.send(ssrc, 0)
        await trio.sleep(1)
        received = list(call.sender.transport.rtcp)
        assert max(map(len, received)) <= 1200
        assert len(received) <= 2
        assert sorted(block.ssrc for block in blocks(take(call.sender))) == list(range(1, streams + 1))


async def test_each_stream_is_reported_with_the_first_packet_after_its_clock_is_known(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        consumers = [call.consume(call.ada.produce(call.sending.id, "audio", opus(ssrc))) for ssrc in (1, 2)]
        call.send(1, 0)
        call.report(1, 100, timestamp=7000)
        await trio.sleep(0.5)
        assert sender_reports(take(call.receiver)) == []
        call.send(1, 1)
        call.send(2, 0)
        await trio.testing.wait_all_tasks_blocked()
        [received] = sender_reports(take(call.receiver))
        assert (received.ssrc, received.packets) == (consumers[0].ssrc, 1)
        assert received.ntp == pytest.approx(round(100.5 * NTP_SECOND), abs=NTP_SECOND / 100)
        offset = consumers[0].stats().timestamp_offset
        assert (received.rtp_timestamp - offset) % 2**32 == pytest.approx(7000 + 24000, abs=480)


async def test_a_silent_sender_is_not_reported_as_sending(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        call.report(1, 100)
        await trio.sleep(2)
        assert sender_reports(take(call.receiver)) == []
        for number in range(2):
            call.send(1, number)
            await trio.testing.wait_all_tasks_blocked()
            assert len(sender_reports(take(call.receiver))) == 1
            await trio.sleep(10)
            assert sender_reports(take(call.receiver)) == []


async def speak(call: Call, ssrc: int, seconds: int) -> None:
    for number in range(10 * seconds):
        if number % 10 == 0:
            call.report(ssrc, 100 + number / 10, 4800 * number)
        call.send(ssrc, number)
        await trio.sleep(0.1)


async def test_a_sender_without_clock_causes_no_sender_reports(autojump_clock: MockClock, identity: Identity) -> None:
    """Its NTP time is zero (RFC 3550 section 6.4.1)."""
    async with open_call(identity) as call:
        call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        for number, ntp in enumerate((0, 100)):
            call.report(1, ntp)
            await trio.sleep(0.1)
            call.send(1, number)
            await trio.testing.wait_all_tasks_blocked()
            assert [received.ntp // NTP_SECOND for received in sender_reports(take(call.receiver))] == [100] * number


async def test_a_receiver_gets_the_clocks_within_a_second_and_then_every_five(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call, trio.open_nursery() as nursery:
        call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        nursery.start_soon(speak, call, 1, 120)
        await trio.sleep(1.2)
        assert len(sender_reports(take(call.receiver))) == 1
        await trio.sleep(100)
        assert 14 <= len(sender_reports(take(call.receiver))) <= 30
        assert len(blocks(take(call.sender))) >= 100  # a sender gets a report every second


async def test_the_clock_of_a_later_voice_is_sent_within_a_second(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call, trio.open_nursery() as nursery:
        consumers = {
            ssrc: call.consume(call.ada.produce(call.sending.id, "audio", opus(ssrc))) for ssrc in range(1, 10)
        }
        nursery.start_soon(speak, call, 1, 60)
        await trio.sleep(5)
        for ssrc in range(2, 10):
            take(call.receiver)
            nursery.start_soon(speak, call, ssrc, 3)
            await trio.sleep(1.2)
            assert consumers[ssrc].ssrc in {report.ssrc for report in sender_reports(take(call.receiver))}
            await trio.sleep(4.1)


async def test_the_clock_of_a_voice_after_silence_is_sent_within_a_second(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        call.report(1, 100)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(8):
            call.send(1, number)
            await trio.sleep(1.1)
            assert len(sender_reports(take(call.receiver))) == 1
            await trio.sleep(8 + number)


async def test_loss_is_reported_once_and_duplicates_are_no_loss(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        call.ada.produce(call.sending.id, "audio", opus(1))
        for number in (65534, 65535, 65537, 65538):
            call.send(1, number)
        await trio.sleep(1)
        [block] = blocks(take(call.sender))
        assert (block.lost, block.fraction_lost, block.highest_sequence) == (1, 256 // 5, 65538)
        # A late packet makes more than expected, but no negative fraction.
        call.send(1, 65536)
        await trio.sleep(1)
        [block] = blocks(take(call.sender))
        assert (block.lost, block.fraction_lost, block.highest_sequence) == (0, 0, 65538)


async def test_the_round_trip_is_measured_by_our_own_clock(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        consumer = call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        call.report(1, 100)
        await trio.testing.wait_all_tasks_blocked()
        call.send(1, 0)
        await eventually(lambda: call.receiver.transport.rtcp)
        received = sender_reports(take(call.receiver))
        # Meanwhile the sender's clock is set back, which must not affect this receiver.
        call.report(1, 7)
        await trio.sleep(0.25)
        waited = 0.2
        block = rtcp.ReportBlock(consumer.ssrc, 3, 1, 1, 0, middle(received[0].ntp), to_short(waited))
        call.answer(rtcp.ReceiverReport(1, (block,)))
        await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        report = consumer.stats().reception_report
        assert report is not None
        assert (report.fraction_lost, report.lost, report.jitter) == (3, 1, 0)
        assert report.round_trip == pytest.approx(0.05, abs=0.011)


async def test_impossible_receiver_reports_give_no_round_trip(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        consumer = call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        call.report(1, 100)
        await trio.testing.wait_all_tasks_blocked()
        call.send(1, 0)
        await trio.sleep(1.5)
        [received] = sender_reports(take(call.receiver))
        for lost, (last_sr, delay) in enumerate(((0, 0), (12345, 0), (middle(received.ntp), to_short(60)))):
            block = rtcp.ReportBlock(consumer.ssrc, 0, lost, 1, 0, last_sr, delay)
            call.answer(rtcp.ReceiverReport(1, (block,)))
            await trio.testing.wait_all_tasks_blocked()
            assert consumer.stats().reception_report == ReceptionReport(0, lost, 0, None)


async def test_only_requests_of_receivers_reach_the_slow_path(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_call(identity) as call:
        consumer = call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        seen: list[Event] = []
        monkeypatch.setattr(call.network.router, "handle", lambda event, now: seen.append(event))
        report = rtcp.ReceiverReport(1, (rtcp.ReportBlock(consumer.ssrc, 0, 7, 1, 0), rtcp.ReportBlock(99, 0, 8, 1, 0)))
        description = rtcp.SourceDescription(1, "bob")
        call.report(1, 100)
        call.answer(report, description)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        assert consumer.stats().reception_report == ReceptionReport(0, 7, 0, None)
        call.answer(report, description, rtcp.PictureLossIndication(1, consumer.ssrc))
        await trio.testing.wait_all_tasks_blocked()
        assert seen == [KeyFrameRequested(consumer.plane_id)]


async def test_transports_that_connect_together_do_not_report_together(
    autojump_clock: MockClock, identity: Identity
) -> None:
    interval = sfu.MediaSettings().report_interval
    async with open_network(sfu.MediaSettings()) as network, trio.open_nursery() as nursery:

        async def connect(number: int) -> None:
            async with sfu.open_peer(network.router, Notices(), name=str(number)) as peer:
                transport = peer.create_transport("send")
                await connected(network, peer, transport, identity)
                peer.produce(transport.id, "audio", opus(1))
                await trio.sleep_forever()

        for number in range(20):
            nursery.start_soon(connect, number)
        await trio.sleep(0.1)
        clients = list(network.clients.values())
        for client in clients:
            client.transport.send_rtp(bytes(Rtp(111, 0, 0, 1, b"voice")))
            client.flush()
        due = set()
        for step in range(100):
            await trio.sleep(interval / 100)
            due |= {(step, client.path) for client in clients if blocks(take(client))}
        assert len(due) == len(clients), "one report each in an interval"
        assert len({step for step, _ in due}) > 10
        nursery.cancel_scope.cancel()


async def test_a_hundred_requests_for_one_key_frame_in_a_packet_count_once(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_call(identity) as call:
        producer = call.ada.produce(call.sending.id, "video", vp8(1))
        consumer = call.consume(producer)
        call.send(1, 0, 96, VP8_KEY_FRAME)
        call.send(1, 1, 96, VP8_INTER_FRAME)
        await trio.sleep(5)
        asked: list[int] = []
        monkeypatch.setattr(producer, "request_key_frame", lambda encoding, *_: asked.append(encoding))
        entries = tuple(rtcp.FullIntraRequestEntry(consumer.ssrc, number) for number in range(100))
        losses = [rtcp.PictureLossIndication(1, consumer.ssrc)] * 20
        call.answer(*rtcp.receiver_reports(1, ()), rtcp.FullIntraRequest(1, entries), *losses)
        await trio.testing.wait_all_tasks_blocked()
        assert asked == [0]


async def test_a_paused_receiver_and_a_paused_sender_need_no_key_frame(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        producer = call.ada.produce(call.sending.id, "video", vp8(1))
        consumer = call.consume(producer)
        call.send(1, 0, 96, VP8_KEY_FRAME)
        await trio.sleep(5)
        loss = rtcp.PictureLossIndication(1, consumer.ssrc)
        pausing = (call.bob.set_consumer_paused, consumer.id), (call.ada.set_producer_paused, producer.id)
        for number, (set_paused, object_id) in enumerate(pausing, start=1):
            set_paused(object_id, True)
            take(call.sender)
            call.answer(*rtcp.receiver_reports(1, ()), loss)
            await trio.sleep(5)
            assert not requests(take(call.sender))
            set_paused(object_id, False)
            await trio.sleep(0.5)
            assert len(requests(take(call.sender))) == 1
            call.send(1, number, 96, VP8_KEY_FRAME)


def requests(compounds: list[list[rtcp.RtcpPacket]]) -> list[rtcp.RtcpPacket]:
    return [one for compound in compounds for one in compound if isinstance(one, rtcp.PictureLossIndication)]


async def test_a_receiver_that_reports_lost_audio_gets_each_packet_twice(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        consumer = call.consume(call.ada.produce(call.sending.id, "audio", opus(1)))
        call.send(1, 0)
        call.answer(rtcp.ReceiverReport(1, (rtcp.ReportBlock(consumer.ssrc, 26, 5, 1, 0),)))
        for number in range(1, 11):
            call.send(1, number)
            await trio.sleep(0.02)
        # SRTP drops the second one of each packet.  The last packet was sent once so far.
        assert [read(packet).payload for packet in call.receiver.transport.rtp] == [b"x" * 50] * 11
        assert call.receiver.transport.unopened == 9
        stats = consumer.stats()
        assert (stats.packets, stats.octets) == (11, 11 * 50)
        assert (stats.requested, stats.resent, stats.not_resent) == (0, 9, 0)
        assert call.network.plane.totals().resent == 9
