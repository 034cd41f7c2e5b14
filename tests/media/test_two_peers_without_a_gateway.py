"""The media side alone: two clients with real ICE, DTLS and SRTP on loopback, no channel, no user, no WebSocket."""

from typing import Literal

import pytest

import sfu
from tests.eventually import eventually
from tests.media.conftest import Connect, Notices
from tests.media.rtp import FIR, VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, opus, read, vp8
from tools.light.wire import rtcp


def requests(packets: list[bytes], kind: type) -> list[rtcp.RtcpPacket]:
    return [one for packet in packets for one in rtcp.parse_untrusted(packet) if isinstance(one, kind)]


@pytest.mark.parametrize("role", ["client", "server"])
async def test_a_stream_reaches_the_other_client_with_the_routers_numbers(
    router: sfu.Router, connect: Connect, role: Literal["client", "server"]
) -> None:
    async with (
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, Notices(), name="bob") as bob,
        connect(ada, "send", role) as (sending, microphone),
        connect(bob, "receive", role) as (receiving, speaker),
    ):
        producer = ada.produce(sending.id, "audio", opus(ssrc=1111))
        consumer = bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
        for number in range(5):
            packet = Rtp(111, 65534 + number & 0xFFFF, 960 * number, 1111, b"tone %d" % number, extension=b"\x10\x8a")
            microphone.transport.send_rtp(bytes(packet))
        microphone.send()
        await speaker.until(lambda: len(speaker.transport.rtp) == 5)

        heard = [read(packet) for packet in speaker.transport.rtp]
        assert [one.payload for one in heard] == [b"tone 0", b"tone 1", b"tone 2", b"tone 3", b"tone 4"]
        assert [one.timestamp for one in heard] == [0, 960, 1920, 2880, 3840]
        assert {one.ssrc for one in heard} == {consumer.ssrc} != {1111}
        assert {one.payload_type for one in heard} == {consumer.take_rtp_parameters().codecs[0].payload_type}
        first = heard[0].sequence
        assert [(one.sequence - first) & 0xFFFF for one in heard] == [0, 1, 2, 3, 4]
        assert producer.take_voice_level() == pytest.approx(10 ** (-10 / 20), rel=1e-6)


async def test_a_video_consumer_begins_with_a_requested_key_frame(router: sfu.Router, connect: Connect) -> None:
    async with (
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, Notices(), name="bob") as bob,
        connect(ada, "send") as (sending, camera),
        connect(bob, "receive") as (receiving, screen),
    ):
        producer = ada.produce(sending.id, "video", vp8(2222))
        consumer = bob.consume(receiving.id, producer, router.context.capabilities, stream="ada")
        camera.transport.send_rtp(bytes(Rtp(96, 1, 0, 2222, VP8_KEY_FRAME)))
        camera.transport.send_rtp(bytes(Rtp(96, 2, 3000, 2222, VP8_INTER_FRAME)))
        camera.send()
        await eventually(lambda: producer.encoding_stats()[0].packets >= 2)
        bob.set_consumer_paused(consumer.id, False)
        await camera.until(lambda: requests(camera.transport.rtcp, rtcp.PictureLossIndication))
        [request] = requests(camera.transport.rtcp, rtcp.PictureLossIndication)
        assert isinstance(request, rtcp.PictureLossIndication)
        assert request.media_ssrc == 2222

        camera.transport.send_rtp(bytes(Rtp(96, 3, 6000, 2222, VP8_INTER_FRAME)))
        camera.transport.send_rtp(bytes(Rtp(96, 4, 9000, 2222, VP8_KEY_FRAME)))
        camera.transport.send_rtp(bytes(Rtp(96, 5, 12000, 2222, VP8_INTER_FRAME)))
        camera.send()
        await screen.until(lambda: len(screen.transport.rtp) >= 2)
        assert [read(packet).timestamp for packet in screen.transport.rtp] == [9000, 12000]


async def test_a_picture_loss_reaches_the_sender_as_a_request_that_it_understands(
    router: sfu.Router, connect: Connect
) -> None:
    async with (
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, Notices(), name="bob") as bob,
        connect(ada, "send") as (sending, camera),
        connect(bob, "receive") as (receiving, screen),
    ):
        producer = ada.produce(sending.id, "video", vp8(2222, FIR))
        consumer = bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
        await camera.until(lambda: requests(camera.transport.rtcp, rtcp.FullIntraRequest))
        camera.transport.send_rtp(bytes(Rtp(96, 1, 0, 2222, VP8_KEY_FRAME)))
        camera.send()
        await screen.until(lambda: screen.transport.rtp)
        loss = rtcp.PictureLossIndication(1, consumer.ssrc)
        for _ in range(10):
            screen.transport.send_rtcp(rtcp.encode([*rtcp.receiver_reports(1, ()), loss]))
        screen.send()
        await camera.until(lambda: len(requests(camera.transport.rtcp, rtcp.FullIntraRequest)) == 2)
        first, second = requests(camera.transport.rtcp, rtcp.FullIntraRequest)
        assert isinstance(first, rtcp.FullIntraRequest)
        assert isinstance(second, rtcp.FullIntraRequest)
        assert [entry.ssrc for entry in first.entries] == [2222]
        assert second.entries[0].sequence == first.entries[0].sequence + 1


async def test_senders_get_receiver_reports_and_receivers_the_senders_clock(
    router: sfu.Router, connect: Connect
) -> None:
    async with (
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, Notices(), name="bob") as bob,
        connect(ada, "send") as (sending, microphone),
        connect(bob, "receive") as (receiving, speaker),
    ):
        producer = ada.produce(sending.id, "audio", opus(1111))
        consumer = bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
        for sequence in (10, 11, 13):
            microphone.transport.send_rtp(bytes(Rtp(111, sequence, 960 * sequence, 1111, b"x" * 50)))
        ntp = 0xE000_1234_5678_0000
        microphone.transport.send_rtcp(rtcp.encode([rtcp.SenderReport(1111, ntp, 123456, 3, 150)]))
        microphone.send()

        await microphone.until(lambda: requests(microphone.transport.rtcp, rtcp.ReceiverReport))
        [report, *_] = requests(microphone.transport.rtcp, rtcp.ReceiverReport)
        assert isinstance(report, rtcp.ReceiverReport)
        [block] = report.reports
        assert (block.ssrc, block.highest_sequence, block.lost, block.fraction_lost) == (1111, 13, 1, 64)
        assert block.last_sr == 0x1234_5678

        microphone.transport.send_rtp(bytes(Rtp(111, 14, 960 * 14, 1111, b"x" * 50)))
        microphone.send()
        await speaker.until(lambda: requests(speaker.transport.rtcp, rtcp.SenderReport))
        [received, *_] = requests(speaker.transport.rtcp, rtcp.SenderReport)
        assert isinstance(received, rtcp.SenderReport)
        assert (received.ssrc, received.packets, received.octets) == (consumer.ssrc, 3, 150)
        # The NTP time and the RTP timestamp advanced by the same time.
        seconds = (received.ntp - ntp) / 2**32
        assert 0 <= seconds < 5
        assert received.rtp_timestamp - 123456 == pytest.approx(seconds * 48000, abs=2)


async def test_leaving_clears_the_packet_path_and_notifies_listeners(router: sfu.Router, connect: Connect) -> None:
    notices = Notices()
    async with sfu.open_peer(router, notices, name="bob") as bob, connect(bob, "receive") as (receiving, _):
        async with sfu.open_peer(router, Notices(), name="ada") as ada, connect(ada, "send") as (sending, camera):
            producer = ada.produce(sending.id, "video", vp8(2222))
            consumer = bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
            assert router.context.plane.totals().routes == 1
        assert camera.transport.closed_by_gateway is False  # not read yet: the endpoint ended before the peer
        assert ada.exit is not None
        assert (ada.exit.consumers, ada.exit.producers, ada.exit.transports, ada.exit.forced) == (0, 1, 1, 0)
        assert notices.received[-1] == ("consumer closed: user_left", consumer)
        assert router.counts() == sfu.RouterCounts(peers=1, transports=1, producers=0, consumers=0)
    totals = router.context.plane.totals()
    assert (totals.transports, totals.producers, totals.routes, totals.paths) == (0, 0, 0, 0)
    assert router.counts() == sfu.RouterCounts(0, 0, 0, 0)


async def test_a_close_notify_closes_the_transport_and_all_its_streams(router: sfu.Router, connect: Connect) -> None:
    ada_notices, bob_notices = Notices(), Notices()
    async with (
        sfu.open_peer(router, ada_notices, name="ada") as ada,
        sfu.open_peer(router, bob_notices, name="bob") as bob,
        connect(ada, "send") as (sending, microphone),
        connect(bob, "receive") as (receiving, _),
    ):
        producer = ada.produce(sending.id, "audio", opus(1111))
        bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
        microphone.transport.close()
        microphone.send()
        await eventually(lambda: not sending.connected)
        assert ada_notices.words == ["transport connected", "producer closed", "transport closed"]
        assert bob_notices.words == ["transport connected", "consumer closed: producer_closed"]
        again = ada.create_transport("send")
        assert again.state is sfu.TransportState.NEW


async def test_an_error_in_an_owners_notice_ends_that_owner_and_no_other(router: sfu.Router, connect: Connect) -> None:
    class Clumsy(Notices):
        def consumer_closed(self, consumer: sfu.Consumer, why: sfu.ConsumerEndReason) -> None:
            raise RuntimeError("clumsy")

    clumsy, careful = Clumsy(), Notices()
    async with (
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, clumsy, name="bob") as bob,
        sfu.open_peer(router, careful, name="cleo") as cleo,
        connect(ada, "send") as (sending, _),
    ):
        producer = ada.produce(sending.id, "audio", opus(1111))
        for peer in (bob, cleo):
            receiving = peer.create_transport("receive")
            peer.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
        ada.close_producer(producer.id)
        assert [str(error) for error in clumsy.errors] == ["clumsy"]
        assert careful.words == ["consumer closed: producer_closed"]
        assert careful.errors == []
