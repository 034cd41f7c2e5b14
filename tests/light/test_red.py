"""Lost audio that a light receiver finds inside later packets, and the reports that let the gateway repeat it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.light import PacketMeter, StreamMeter
from tools.light.red import count_redundant_blocks_untrusted
from tools.light.wire import rtcp, rtp

SSRC, OPUS, RED = 9, 100, 63


def packet(number: int, *earlier: bytes, payload_type: int = RED, padding: int = 0) -> bytes:
    """A packet with these earlier payloads, the oldest first."""
    heads = [
        struct.pack("!BHB", 0x80 | OPUS, 960 * (len(earlier) - at) << 2 | len(one) >> 8, len(one) & 0xFF)
        for at, one in enumerate(earlier)
    ]
    body = b"".join([*heads, bytes([OPUS]), *earlier, b"newest"]) if payload_type == RED else b"newest"
    return rtp.encode(
        payload_type=payload_type,
        sequence_number=number & 0xFFFF,
        timestamp=960 * number,
        ssrc=SSRC,
        payload=body,
        padding=padding,
    )


@pytest.mark.parametrize("earlier", [(), (b"one",), (b"one" * 100, b"two"), (b"", b"two")])
def test_redundant_blocks_are_counted(earlier: tuple[bytes, ...]) -> None:
    whole = packet(1, *earlier)
    assert count_redundant_blocks_untrusted(whole) == len(earlier)
    assert count_redundant_blocks_untrusted(packet(1, *earlier, padding=24)) == len(earlier)
    if earlier:
        assert count_redundant_blocks_untrusted(whole[: 12 + 5]) == 0


@given(st.binary(max_size=40))
def test_any_bytes_are_counted(data: bytes) -> None:
    assert 0 <= count_redundant_blocks_untrusted(data) <= 10
    assert 0 <= count_redundant_blocks_untrusted(b"\x80" + data) <= 10


def received(*packets: bytes) -> tuple[PacketMeter, StreamMeter]:
    meter = PacketMeter()
    stream = meter.expect(SSRC, "audio", "p1", red=RED)
    for each in packets:
        buffer = bytearray(2048)
        buffer[: len(each)] = each
        meter.receive_untrusted(buffer, len(each), lambda plain=each: plain, lambda: 0)  # type: ignore[misc]
    return meter, stream


def test_lost_packets_are_found_inside_later_ones() -> None:
    _, stream = received(
        packet(0xFFFE), packet(0x10001, b"0xFFFF", b"0"), packet(0x10003, b"2"), packet(0x10006, b"4", b"5")
    )
    counts = stream.counts
    assert (counts.redundant, counts.lost, counts.lost_on_the_way, counts.missed) == (5, 0, 5, 5)
    assert (counts.packets, counts.loss) == (4, 0)


def test_what_no_packet_repeats_stays_lost() -> None:
    _, stream = received(packet(1), packet(4, b"3"), packet(6, payload_type=OPUS), packet(7, b"6"))
    assert (stream.counts.redundant, stream.counts.lost) == (1, 2)


def test_reports_count_losses_on_the_way_even_of_recovered_packets() -> None:
    meter, stream = received(*(packet(number, b"earlier") for number in range(100, 300) if number % 4 != 2))
    assert stream.counts.lost == 0
    [report] = meter.reports()
    assert report == rtcp.ReceiverReport(1, (rtcp.ReportBlock(SSRC, 64, 50, 299, jitter=0),))
    assert meter.reports() == []
    buffer = bytearray(packet(300))
    meter.receive_untrusted(buffer, len(buffer), lambda: None, lambda: 0)
    [report] = meter.reports()
    assert report == rtcp.ReceiverReport(1, (rtcp.ReportBlock(SSRC, 0, 50, 300, jitter=0),))
