"""Reception statistics (RFC 3550 appendices A.1, A.3, A.8)."""

from sfu.dataplane.reception import Reception


def receive(reception: Reception, *sequence_numbers: int) -> list[int]:
    return [
        reception.arrived(number & 0xFFFF, number * 960 & 0xFFFFFFFF, 100, number * 0.02) for number in sequence_numbers
    ]


def test_nothing_is_expected_before_the_first_packet() -> None:
    reception = Reception(48000)
    assert (reception.packets, reception.expected, reception.lost, reception.last_at) == (0, 0, 0, None)


def test_packets_that_did_not_come_are_lost_until_they_come_late() -> None:
    reception = Reception(48000)
    receive(reception, 10, 11, 14)
    assert (reception.expected, reception.lost) == (5, 2)
    assert receive(reception, 12) == [12]
    assert (reception.expected, reception.lost) == (5, 1)
    assert reception.bytes == 400


def test_more_than_expected_is_a_negative_loss() -> None:
    reception = Reception(48000)
    receive(reception, 10, 9, 11)
    assert reception.lost == -1


def test_sequence_numbers_are_extended_by_their_cycles_and_late_ones_belong_to_the_last() -> None:
    reception = Reception(48000)
    assert receive(reception, 65534, 65536, 65535, 65537) == [65534, 65536, 65535, 65537]
    assert reception.highest_sequence == 65537
    assert (reception.expected, reception.lost) == (4, 0)


def test_whoever_skips_thousands_of_numbers_has_lost_none_of_them() -> None:
    reception = Reception(48000)
    receive(reception, 10, 11, 11 + 3000)
    assert reception.highest_sequence == 3011
    assert (reception.expected, reception.lost) == (3, 0)
    receive(reception, 3012, 3012 + 2999)
    assert reception.lost == 2998


def test_the_newest_packet_tells_the_time_and_late_ones_do_not() -> None:
    reception = Reception(48000)
    receive(reception, 10, 12, 11)
    assert reception.last_timestamp == 12 * 960
    assert reception.last_at == 12 * 0.02


def test_an_even_stream_has_no_jitter() -> None:
    reception = Reception(48000)
    receive(reception, *range(100))
    assert reception.jitter == 0


def test_jitter_approaches_the_mean_deviation_in_timestamp_units() -> None:
    reception = Reception(48000)
    for number in range(500):
        late = 0.005 if number % 2 else 0.0
        reception.arrived(number, number * 960, 100, number * 0.02 + late)
    assert reception.jitter in {239, 240}


def test_jitter_survives_the_wrapping_of_timestamps() -> None:
    reception = Reception(48000)
    for number in range(100):
        reception.arrived(number, (0xFFFFFFFF - 48000 + number * 960) & 0xFFFFFFFF, 100, number * 0.02)
    assert reception.jitter == 0


def test_the_packets_of_one_frame_are_not_jitter() -> None:
    reception = Reception(90000)
    for frame in range(20):
        for part in range(5):
            reception.arrived(frame * 5 + part, frame * 3000, 100, frame / 30 + part * 0.004)
    assert reception.jitter == 0


def test_a_source_that_rests_has_no_jitter_from_it() -> None:
    reception = Reception(48000)
    reception.arrived(1, 960, 100, 1.0)
    reception.arrived(2, 1920, 100, 61.0)
    assert reception.jitter == 0
