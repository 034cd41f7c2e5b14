"""When a receiver asks for missing packets, how often, and when it gives up.  Time is a number."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.light import PacketCounts
from tools.light.missing_packets import (
    FIRST_ROUND_TRIP,
    KEY_FRAME_SECONDS,
    MAX_MISSING,
    MAX_TRIES,
    TICK,
    MissingPackets,
)

#: Seconds after which a packet is asked for again, before the first answer.
AGAIN = FIRST_ROUND_TRIP + TICK


def missing(*numbers: int, now: float = 0.0) -> MissingPackets:
    packets = MissingPackets(PacketCounts())
    packets.add(numbers, now)
    return packets


def test_a_missing_packet_is_asked_for_at_once_and_again_once_an_answer_is_late() -> None:
    packets = missing(8, 7)
    assert packets.take_due(0.0) == [7, 8]
    assert packets.take_due(0.0) == []
    assert packets.next_due == pytest.approx(AGAIN)
    assert packets.take_due(AGAIN - 0.001) == []
    assert packets.take_due(AGAIN) == [7, 8]
    assert packets.counts.requested == 2


def test_a_packet_that_comes_is_repaired_and_asked_for_no_more() -> None:
    packets = missing(7, now=1.0)
    packets.take_due(1.0)
    packets.remove(7, 1.03)
    assert (packets.counts.requested, packets.counts.repaired, packets.counts.given_up) == (1, 1, 0)
    assert packets.waited.quantile(0.5) == pytest.approx(0.03, rel=0.02)
    assert packets.next_due == math.inf
    assert packets.take_due(9.0) == []


def test_a_packet_that_comes_before_it_is_asked_for_counts_as_nothing() -> None:
    packets = missing(7)
    packets.remove(7, 0.001)
    packets.remove(99, 0.001)
    assert packets.counts == PacketCounts()
    assert packets.waited.count == 0


def test_the_round_trip_is_measured_only_where_one_request_was_sent() -> None:
    packets = missing(1, 2)
    packets.take_due(0.0)
    packets.remove(1, 0.03)
    assert packets.round_trip == pytest.approx(0.03)
    assert packets.take_due(AGAIN) == [2]
    packets.remove(2, AGAIN + 0.001)  # the answer to the first request
    assert packets.round_trip == pytest.approx(0.03)


def test_the_round_trip_rises_slowly_and_has_limits() -> None:
    packets = missing()
    for number, waited in enumerate([0.0001, 5.0, 5.0]):
        packets.add([number], 10.0 * number)
        packets.take_due(10.0 * number)
        packets.remove(number, 10.0 * number + waited)
    assert 0.01 < packets.round_trip < 1.0


def test_a_packet_is_given_up_after_ten_requests_and_a_key_frame_is_wanted() -> None:
    packets, now, asked = missing(7), 0.0, 0
    while packets.packets:
        asked += len(packets.take_due(now))
        assert not packets.packets or not packets.take_key_frame_request(now)
        now = packets.next_due
    assert asked == MAX_TRIES
    assert packets.counts.given_up == 1
    assert packets.next_due == math.inf


def test_key_frames_are_wanted_at_most_once_a_second() -> None:
    packets, wanted = missing(), []
    for hundredth in range(500):
        now = hundredth / 100
        packets.add(range(hundredth * 3000, hundredth * 3000 + MAX_MISSING + 1), now)
        packets.take_due(packets.next_due)
        if packets.take_key_frame_request(now):
            wanted.append(now)
    assert wanted == [0.0, KEY_FRAME_SECONDS, 2 * KEY_FRAME_SECONDS, 3 * KEY_FRAME_SECONDS, 4 * KEY_FRAME_SECONDS]
    assert packets.counts.key_frame_requests == len(wanted)


def test_too_many_missing_packets_are_all_given_up() -> None:
    packets = missing(*range(MAX_MISSING))
    assert len(packets.take_due(0.0)) == MAX_MISSING
    packets.add([MAX_MISSING], 0.01)
    assert (packets.packets, packets.counts.given_up) == ({}, MAX_MISSING)
    assert packets.next_due == 0.01
    assert packets.take_due(0.01) == []
    assert packets.take_key_frame_request(0.01)


@given(st.integers(0, 2**32))
def test_each_request_has_one_outcome_and_requests_are_never_closer_than_a_tick(seed: int) -> None:
    rng, packets, now, last = random.Random(seed), missing(), 0.0, -math.inf
    for number in range(300):
        if rng.random() < 0.2:
            packets.add([number], now)
        for lacking in list(packets.packets):
            if rng.random() < 0.1:
                packets.remove(lacking, now)
        if packets.take_due(now):
            assert packets.next_due >= now + TICK or packets.next_due == math.inf
            last = now
        now += rng.random() * 0.02
    assert last > -math.inf
    counts, tried = packets.counts, sum(packet.tries > 0 for packet in packets.packets.values())
    assert counts.requested == counts.repaired + counts.given_up + tried
    assert packets.waited.count == counts.repaired
