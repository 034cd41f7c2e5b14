"""The bandwidth to a receiver: its packets are numbered, its feedback is read, and events say what follows."""

import pytest

from sfu.dataplane.interface import ConsumerId, Crossing, TransportId
from sfu.dataplane.values import BandwidthCrossed, BandwidthStats, ConsumerFormat
from tests.dataplane.core_with_clients import VIDEO, Client, Rig
from tests.dataplane.vp8 import vp8
from tools.light.wire.rtp import parse_header_untrusted

WIDE = 5
SSRC = 7000


def max_bitrate(bitrate: int) -> bytes:
    """An estimate of a receiver (draft-alvestrand-rmcat-remb-03), in steps of 4,096 bit/s."""
    word = 1 << 24 | 12 << 18 | bitrate >> 12
    return b"\x8f\xce\x00\x05" + (1).to_bytes(4) + bytes(4) + b"REMB" + word.to_bytes(4) + SSRC.to_bytes(4)


def feedback(first: int, count: int) -> bytes:
    """Transport-wide feedback: ``count`` packets arrived at once, the first one with this number."""
    head = first.to_bytes(2) + count.to_bytes(2) + b"\x00\x00\x01\x00" + (1 << 13 | count).to_bytes(2)
    body = head + bytes(count)
    body += bytes(-len(body) % 4)
    return b"\x8f\xcd" + (2 + len(body) // 4).to_bytes(2) + (1).to_bytes(4) + SSRC.to_bytes(4) + body


def numbered_call(rig: Rig) -> tuple[Client, Client]:
    """A camera and a receiver that takes numbers and retransmissions."""
    sender, receiver = rig.client(), rig.client()
    producer = rig.produce(sender, VIDEO)
    form = ConsumerFormat({101}, wide_id=WIDE, rtx_payload_types={101: 102})
    consumer = ConsumerId(rig.number())
    rig.core.add_consumer(receiver.transport, consumer, producer, form, SSRC, rtx_ssrc=SSRC + 1, paused=False)
    return sender, receiver


def test_packets_to_a_receiver_that_takes_numbers_are_numbered() -> None:
    rig = Rig()
    sender, receiver = numbered_call(rig)
    for number in range(3):
        sender.send_rtp(number, ssrc=2222, payload_type=96, payload=vp8(key=number == 0))
    packets = receiver.packets()
    elements = [parse_header_untrusted(packet).extensions for packet in packets]
    assert elements == [[(WIDE, number.to_bytes(2))] for number in range(3)]


def test_nothing_is_known_about_a_receiver_before_its_feedback() -> None:
    rig = Rig()
    sender, receiver = numbered_call(rig)
    assert rig.core.bandwidth_stats(receiver.transport) is None
    for number in range(3):
        sender.send_rtp(number, ssrc=2222, payload_type=96, payload=vp8(key=number == 0))
    assert rig.core.bandwidth_stats(receiver.transport) is None
    rig.now += 0.1
    receiver.arrive(receiver.sending.protect_rtcp(feedback(0, 3)))
    stats = rig.core.bandwidth_stats(receiver.transport)
    assert stats is not None
    assert stats.estimate > 0
    assert (stats.loss, stats.probe_bytes) == (0, 0)
    assert rig.core.totals().feedback_of_receivers == 1
    assert rig.dropped() == {}


def test_a_crossed_watermark_comes_as_one_event_with_the_newest_estimate() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    rig.consume(receiver, rig.produce(sender, VIDEO))
    rig.core.aim_bandwidth(receiver.transport, 2_000_000, 4_000_000, 8_000_000)
    for bitrate in (1 << 20, 1 << 22):
        rig.now += 1
        receiver.arrive(receiver.sending.protect_rtcp(max_bitrate(bitrate)))
    [event] = rig.events()
    assert event == BandwidthCrossed(receiver.transport, 1 << 22, Crossing.NEXT_PROVEN)
    assert isinstance(event, BandwidthCrossed)
    assert event.why == Crossing.NEXT_PROVEN
    assert rig.core.bandwidth_stats(receiver.transport) == BandwidthStats(1 << 22, None, 0, None, 0)
    assert rig.core.totals().short_transports == 0


def test_an_event_about_a_transport_that_is_gone_does_not_come() -> None:
    rig = Rig()
    sender, receiver = rig.client(), rig.client()
    rig.consume(receiver, rig.produce(sender, VIDEO))
    rig.core.aim_bandwidth(receiver.transport, 2_000_000, None, 8_000_000)
    receiver.arrive(receiver.sending.protect_rtcp(max_bitrate(1 << 20)))
    rig.core.remove_transport(receiver.transport)
    assert rig.events() == []


@pytest.mark.parametrize("rates", [(-1, None, 0), (0, float("nan"), 0), (0, None, float("inf"))])
def test_rates_that_are_no_rates_are_refused(rates: tuple[float, float | None, float]) -> None:
    rig = Rig()
    client = rig.client()
    with pytest.raises(ValueError, match="rate"):
        rig.core.aim_bandwidth(client.transport, *rates)


def test_an_unknown_transport_is_refused() -> None:
    rig = Rig()
    with pytest.raises(KeyError):
        rig.core.aim_bandwidth(TransportId(99), 0, None, 0)
    with pytest.raises(KeyError):
        rig.core.bandwidth_stats(TransportId(99))


def test_a_crossing_has_the_name_of_a_member() -> None:
    with pytest.raises(ValueError, match="no such crossing: gone"):
        BandwidthCrossed(TransportId(1), 0, "gone")  # type: ignore[arg-type]
    for why in Crossing:
        assert BandwidthCrossed(TransportId(1), 0, why).why == why
