"""The counts of a stream whose numbers wrap and whose packets come late, twice, or never."""

import random
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.light import PacketCounts, PacketMeter, StreamMeter
from tools.light.stamp import PADDING_FLAG, read_stamp_untrusted, write_stamp

SSRC = 77


def counted(sequences: Iterable[int]) -> PacketCounts:
    meter = StreamMeter(SSRC)
    for sequence in sequences:
        meter.take(sequence & 0xFFFF, 100)
    return meter.counts


def test_a_stream_without_gaps_has_no_loss_even_where_its_numbers_wrap() -> None:
    counts = counted(range(0xFF00, 0x10100))
    assert (counts.packets, counts.lost, counts.duplicated, counts.reordered) == (0x200, 0, 0, 0)
    assert counts.bytes == 0x200 * 100


def test_numbers_that_never_come_are_lost() -> None:
    counts = counted(number for number in range(65_000, 66_000) if number % 10 != 3)
    assert counts.lost == 100
    assert counts.loss == pytest.approx(0.1)


def test_a_late_packet_is_reordered_and_not_lost() -> None:
    counts = counted([0xFFFE, 1, 0xFFFF, 0, 2])
    assert (counts.lost, counts.reordered, counts.duplicated) == (0, 2, 0)


def test_a_packet_that_the_first_one_overtook_is_reordered_too() -> None:
    counts = counted([2, 0, 3])
    assert (counts.lost, counts.reordered) == (1, 1)


def test_a_packet_that_comes_twice_is_duplicated_however_late() -> None:
    counts = counted([*range(5000), 4999, 0, 3])
    assert (counts.packets, counts.duplicated, counts.reordered, counts.lost) == (5003, 3, 0, 0)


def test_a_large_jump_counts_as_loss_without_remembering_each_number() -> None:
    meter = StreamMeter(SSRC)
    for sequence in (0, 20_000, 50_000):
        meter.take(sequence, 100)
    assert meter.counts.lost == 49_998
    assert len(meter._gaps) == 0


@given(st.integers(0, 0xFFFF), st.integers(0, 2**32), st.integers(1, 300))
def test_loss_reordering_and_duplication_are_counted_exactly(first: int, seed: int, count: int) -> None:
    rng = random.Random(seed)
    dropped = {number for number in range(1, count) if rng.random() < 0.1 and number < count - 1}
    twice = [number for number in range(count) if number not in dropped and rng.random() < 0.1]
    numbers = [number for number in range(count) if number not in dropped] + twice
    order = sorted(numbers, key=lambda number: number + rng.randrange(20))
    counts = counted(first + number for number in order)
    seen_first, seen_last = min(order), max(order)
    assert counts.lost == len([number for number in dropped if seen_first < number < seen_last])
    assert counts.duplicated == len(twice)
    assert counts.packets == len(order)


def test_a_stamp_is_read_as_written_and_nothing_else_is_a_stamp() -> None:
    packet = bytes([0x80 | PADDING_FLAG]) + bytes(11) + b"media" + write_stamp(SSRC, 9, 123456789)
    stamp = read_stamp_untrusted(packet)
    assert stamp is not None
    assert (stamp.sent_at, stamp.source, stamp.number) == (123456789, SSRC, 9)
    assert read_stamp_untrusted(bytes([0x80]) + packet[1:]) is None
    assert read_stamp_untrusted(packet[:-1]) is None
    assert read_stamp_untrusted(packet[:4]) is None


class Stream:
    """Packets of one source, unencrypted."""

    def __init__(self, packet_meter: PacketMeter, source: int = 5) -> None:
        self.packet_meter = packet_meter
        self.source = source

    def arrives(self, number: int, *, sequence: int | None = None, after: int = 1_000_000) -> None:
        sequence = number + 1000 if sequence is None else sequence
        header = struct.pack("!BBHII", 0x80 | PADDING_FLAG, 100, sequence & 0xFFFF, 0, SSRC)
        packet = header + write_stamp(self.source, number, number * 20_000_000)
        buffer = bytearray(2048)
        buffer[: len(packet)] = packet
        arrived_at = number * 20_000_000 + after
        self.packet_meter.receive_untrusted(buffer, len(packet), lambda: packet, lambda: arrived_at)


def test_a_sample_is_decrypted_and_gives_the_latency() -> None:
    packet_meter = PacketMeter()
    meter = packet_meter.expect(SSRC, "audio", "p1")
    stream = Stream(packet_meter)
    for number in range(500):
        stream.arrives(number, after=3_000_000)
    assert meter.begun.is_set()
    assert 500 // 11 <= meter.counts.opened <= 500 // 11 + 2
    latency = packet_meter.take_latency("audio")
    assert latency.count == meter.counts.opened
    assert latency.quantile(0.5) == pytest.approx(0.003, rel=0.02)
    assert packet_meter.take_latency("audio").count == 0


def test_packets_before_the_answer_to_consume_are_counted() -> None:
    packet_meter = PacketMeter()
    stream = Stream(packet_meter)
    stream.arrives(0)
    meter = packet_meter.expect(SSRC, "video", "p1")
    stream.arrives(1)
    assert meter.counts.packets == 2
    assert packet_meter.counts("video").packets == 2


def test_packets_missing_at_the_end_of_a_stream_are_lost() -> None:
    packet_meter = PacketMeter()
    meter = packet_meter.expect(SSRC, "audio", "p1")
    stream = Stream(packet_meter)
    for number in range(10, 100):
        stream.arrives(number)
    assert meter.newest_number == 99
    assert meter.expect_until(100) == 0
    assert meter.expect_until(120) == 20
    assert meter.counts.lost == 20
    assert meter.expect_until(120) == 0


def test_packets_of_another_source_are_strange() -> None:
    packet_meter = PacketMeter(open_every=1)
    meter = packet_meter.expect(SSRC, "audio", "p1")
    Stream(packet_meter, source=5).arrives(0)
    Stream(packet_meter, source=6).arrives(1)
    assert meter.counts.strange == 1


def test_a_producer_in_simulcast_may_change_its_source() -> None:
    packet_meter = PacketMeter(open_every=1)
    meter = packet_meter.expect(SSRC, "video", "p1", simulcast=True)
    Stream(packet_meter, source=5).arrives(0, sequence=7)
    Stream(packet_meter, source=6).arrives(40, sequence=8)
    assert (meter.counts.strange, meter.counts.lost, meter.source) == (0, 0, 6)
    assert meter.newest_number == 40


def test_a_closed_stream_keeps_its_counts_and_later_packets_are_stray() -> None:
    packet_meter = PacketMeter(open_every=1)
    packet_meter.expect(SSRC, "audio", "p1")
    stream = Stream(packet_meter)
    for number in range(3):
        stream.arrives(number)
    packet_meter.close(SSRC)
    stream.arrives(3)
    assert packet_meter.counts("audio").packets == 3
    assert packet_meter.strays == 1
    assert packet_meter.take_latency("audio").count == 3


def test_garbage_is_stray() -> None:
    packet_meter = PacketMeter()
    packet_meter.receive_untrusted(bytearray(2048), 5, lambda: None, lambda: 0)
    assert packet_meter.strays == 1
    assert packet_meter.streams == {}
