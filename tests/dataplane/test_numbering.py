"""Numbers without gaps for what we leave out, with gaps for what the network lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.dataplane.numbering import Numbering


def numbering(begin: int = 10, first: int = 100) -> Numbering:
    numbers = Numbering(first)
    numbers.begin(begin)
    return numbers


def test_numbers_go_on_from_the_first() -> None:
    numbers = numbering()
    assert [numbers.take(number) for number in (10, 11, 12)] == [100, 101, 102]
    assert numbers.next == 103


def test_without_a_first_number_the_incoming_ones_stay() -> None:
    numbers = Numbering()
    numbers.begin(10)
    assert numbers.take(10) == 10


def test_what_the_network_lost_stays_missing_and_may_still_come() -> None:
    numbers = numbering()
    assert [numbers.take(number) for number in (10, 13, 11)] == [100, 103, 101]


def test_what_is_left_out_is_not_missed() -> None:
    numbers = numbering()
    numbers.take(10)
    numbers.leave_out(11)
    numbers.leave_out(12)
    assert numbers.take(13) == 101


def test_a_late_packet_gets_the_number_that_was_kept_for_it_before_others_were_left_out() -> None:
    numbers = numbering()
    numbers.take(10)
    numbers.leave_out(12)
    assert numbers.take(13) == 102
    assert numbers.take(11) == 101


def test_what_was_left_out_never_gets_a_number() -> None:
    numbers = numbering()
    numbers.take(10)
    numbers.leave_out(11)
    numbers.take(12)
    assert numbers.take(11) is None


def test_a_gap_stays_where_a_late_packet_is_left_out() -> None:
    numbers = numbering()
    numbers.take(10)
    numbers.take(12)
    numbers.leave_out(11)
    assert numbers.take(13) == 103


def test_what_comes_from_before_the_beginning_is_too_late() -> None:
    numbers = numbering()
    numbers.take(10)
    assert numbers.take(9) is None
    numbers.leave_out(12)
    numbers.begin(500)
    assert numbers.take(11) is None
    assert numbers.take(499) is None


def test_another_beginning_goes_on_without_a_gap() -> None:
    numbers = numbering()
    numbers.take(10)
    numbers.take(12)
    numbers.begin(7)
    assert numbers.take(7) == 103
    assert numbers.next == 104


def test_a_jump_of_thousands_is_another_beginning() -> None:
    numbers = numbering()
    numbers.take(10)
    assert numbers.take(11 + 3000) == 101
    numbers.leave_out(3012 + 3000)
    assert numbers.take(6013) == 102


def test_the_past_is_bounded() -> None:
    numbers = numbering(0)
    for number in range(0, 2000, 2):
        numbers.take(number)
        numbers.leave_out(number + 1)
    assert numbers.take(0) is None
    assert numbers.take(1998) == 100 + 999


arrivals = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=80)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(arrivals=arrivals)
def test_every_number_is_unique_keeps_the_order_and_counts_what_was_not_left_out(
    arrivals: list[tuple[int, bool]],
) -> None:
    """Whatever comes late, twice or never: a packet's number is its place among those not left out in time."""
    numbers = numbering(0)
    highest = -1
    left_out: set[int] = set()
    taken: dict[int, int] = {}
    for number, take in arrivals:
        if take:
            got = numbers.take(number)
            assert (got is None) == (number in left_out)
            if got is not None:
                assert taken.setdefault(number, got) == got
        else:
            numbers.leave_out(number)
            if number > highest:
                left_out.add(number)
        highest = max(highest, number)
    for number, got in taken.items():
        assert got == 100 + number - sum(1 for other in left_out if other < number)
