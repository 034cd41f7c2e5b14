"""The arrivals that a light client reports, from the headers of packets to the bytes of the feedback."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.light.wide_arrivals import FEEDBACK_SECONDS, WideArrivals, wide_number_untrusted
from tools.light.wire import rtcp, rtp
from tools.light.wire.rtcp import TransportWideFeedback
from tools.light.wire.rtcp.packets import REFERENCE_TICKS

ID = 5
MS = 1_000_000
BEGIN = 70_000_000 * MS


def packet(number: int, *others: tuple[int, bytes], ssrc: int = 9) -> bytearray:
    extensions = [*others, (ID, (number & 0xFFFF).to_bytes(2))]
    return bytearray(
        rtp.encode(payload_type=96, sequence_number=1, timestamp=1, ssrc=ssrc, payload=b"sealed", extensions=extensions)
    )


def arrivals_of(feedback: TransportWideFeedback) -> dict[int, int]:
    """The 16-bit numbers that came, with their times in milliseconds after :data:`BEGIN`."""
    begin = feedback.reference * REFERENCE_TICKS
    wraps = BEGIN // 250_000 // REFERENCE_TICKS >> 24
    begin += (wraps << 24) * REFERENCE_TICKS
    return {
        feedback.base + place & 0xFFFF: ((begin + at) * 250_000 - BEGIN) // MS
        for place, at in enumerate(feedback.arrivals)
        if at is not None
    }


def noted(numbers: dict[int, int], arrivals: WideArrivals | None = None) -> WideArrivals:
    """Note packets with these numbers.  The values are milliseconds after :data:`BEGIN`."""
    arrivals = arrivals or WideArrivals(ID)
    for number, at in numbers.items():
        data = packet(number)
        arrivals.take_untrusted(data, len(data), lambda at=at: BEGIN + at * MS)  # type: ignore[misc]
    return arrivals


def test_feedback_has_the_time_of_each_packet_and_the_gaps() -> None:
    arrivals = noted({0xFFFE: 0, 0xFFFF: 3, 1: 20, 2: 19})
    assert arrivals.due == pytest.approx(BEGIN / 1e9 + FEEDBACK_SECONDS)
    [feedback] = arrivals.take_feedback()
    assert (feedback.base, feedback.media_ssrc, feedback.count) == (0xFFFE, 9, 0)
    assert arrivals_of(feedback) == {0xFFFE: 0, 0xFFFF: 3, 1: 20, 2: 19}
    assert arrivals.due == math.inf
    assert rtcp.parse_untrusted(rtcp.encode([feedback])) == [feedback]


def test_feedback_goes_on_where_the_last_one_ended() -> None:
    arrivals = noted({10: 0, 11: 5})
    [_] = arrivals.take_feedback()
    assert [*arrivals.take_feedback()] == []
    [feedback] = noted({13: 120}, arrivals).take_feedback()
    assert (feedback.base, feedback.count, feedback.arrivals[0]) == (12, 1, None)
    assert arrivals_of(feedback) == {13: 120}


def test_a_late_packet_is_reported_with_the_packets_after_it() -> None:
    arrivals = noted({10: 0, 12: 5})
    [_] = arrivals.take_feedback()
    [feedback] = noted({11: 110, 13: 120}, arrivals).take_feedback()
    assert arrivals_of(feedback) == {11: 110, 12: 5, 13: 120}


def test_a_repeated_packet_is_not_reported_again() -> None:
    arrivals = noted({10: 0, 11: 5})
    [_] = arrivals.take_feedback()
    assert [*noted({11: 50}, arrivals).take_feedback()] == []
    assert arrivals.due == math.inf


def test_a_packet_that_the_first_one_overtook_is_reported() -> None:
    [feedback] = noted({0: 0, 0xFFFF: 1, 1: 2}).take_feedback()
    assert arrivals_of(feedback) == {0xFFFF: 1, 0: 0, 1: 2}


def test_much_feedback_is_split_into_datagrams() -> None:
    arrivals = noted({number: 30 * (number % 2) + number // 100 for number in range(1000)})
    feedbacks = [*arrivals.take_feedback()]
    assert [feedback.count for feedback in feedbacks] == [0, 1, 2]
    assert all(len(rtcp.encode([feedback])) <= 1200 for feedback in feedbacks)
    assert sum(len(arrivals_of(feedback)) for feedback in feedbacks) == 1000


def test_after_a_long_jump_the_numbers_begin_anew() -> None:
    [feedback] = noted({10: 0, 30_000: 5}).take_feedback()
    assert arrivals_of(feedback) == {30_000: 5}


def test_memory_is_bounded() -> None:
    arrivals = WideArrivals(ID)
    for number in range(0, 100_000, 2):
        noted({number: number}, arrivals)
        if number % 100 == 0:
            for _ in arrivals.take_feedback():
                pass
    assert len(arrivals._arrived) <= 600


def test_the_number_is_found_among_other_extensions() -> None:
    for others in ((), ((4, b"0"),), ((4, b"0"), (10, b"high"), (1, b"x"))):
        data = packet(0xABCD, *others)
        assert wide_number_untrusted(data, len(data), ID) == 0xABCD
        assert wide_number_untrusted(data, len(data), 6) is None
    plain = bytearray(rtp.encode(payload_type=96, sequence_number=1, timestamp=1, ssrc=9, payload=b"sealed"))
    assert wide_number_untrusted(plain, len(plain), ID) is None


@given(st.binary(max_size=40), st.integers(0, 2**32))
def test_any_bytes_are_a_packet_with_a_number_or_without(data: bytes, seed: int) -> None:
    rng = random.Random(seed)
    header = bytearray(packet(7, (4, b"0")))
    for _ in range(3):
        header[rng.randrange(len(header))] = rng.randrange(256)
    for read in (bytearray(data), header[: rng.randrange(len(header) + 1)]):
        number = wide_number_untrusted(read, len(read), ID)
        assert number is None or 0 <= number <= 0xFFFF
