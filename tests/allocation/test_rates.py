"""The rates of layers, from totals."""

from collections.abc import Mapping

from attrs import field, frozen

from sfu.allocation import EncodingRates


@frozen
class Totals:
    layer_bytes: list[int]
    layer_frames: list[int] = field(factory=list)


def measured(samples: Mapping[int, Totals], index: int = 1, announced: float | None = None) -> EncodingRates:
    rates = EncodingRates(index, announced)
    for now, totals in samples.items():
        rates.sample(totals, now)
    return rates


def test_each_layer_includes_those_below_it() -> None:
    rates = measured({0: Totals([90, 0, 0], [1, 0, 0]), 1: Totals([1090, 500, 250], [8, 8, 15])}).rates()
    assert rates.rates == (8000, 12000, 14000)
    assert rates.frame_rates == (7, 15, 30)


def test_the_higher_one_of_two_means_counts() -> None:
    steady = {second: Totals([1000 * second]) for second in range(6)}
    quiet = steady | {6: Totals([5100])}
    assert measured(quiet).rates().rates == (8 * 820,)
    loud = steady | {6: Totals([9000])}
    assert measured(loud).rates().rates == (8 * 4000,)


def test_a_layer_that_began_later_counts_from_its_beginning() -> None:
    rates = measured({0: Totals([1000]), 1: Totals([2000, 300])}).rates()
    assert rates.rates == (8000, 10400)


def test_samples_that_follow_too_soon_do_not_count() -> None:
    rates = EncodingRates(1)
    assert rates.sample(Totals([500]), 0)
    assert not rates.sample(Totals([5000]), 0.1)
    assert rates.sample(Totals([2500]), 1)
    assert rates.rates().rates == (16000,)


def test_without_a_measurement_the_announced_rate_counts_and_else_a_usual_one() -> None:
    assert EncodingRates(2, 1.8e6).rates().rates == (1.8e6,)
    assert [EncodingRates(index).rates().rates for index in range(4)] == [(150e3,), (500e3,), (2.5e6,), (2.5e6,)]
    assert EncodingRates(2).rates().frame_rates == ()


def test_the_lowest_encoding_counts_as_cheap_at_first() -> None:
    assert EncodingRates(0, 2e6).rates().rates == (150e3,)
    assert EncodingRates(0, 100e3).rates().rates == (100e3,)


def test_an_encoding_that_began_anew_or_stood_still_is_measured_anew() -> None:
    restarted = {0: Totals([5000]), 1: Totals([9000]), 2: Totals([100])}
    assert measured(restarted, announced=7e5).rates().rates == (7e5,)
    stood_still = {0: Totals([5000]), 1: Totals([9000]), 2: Totals([9000])}
    assert measured(stood_still, announced=7e5).rates().rates == (7e5,)
    begins = stood_still | {3: Totals([9100])}
    assert measured(begins, announced=7e5).rates().rates == (7e5,), "a packet of a picture that just begins"
    assert measured(begins | {4: Totals([10100])}).rates().rates == (8000,)


def test_an_encoding_that_nobody_looked_at_for_long_is_measured_anew() -> None:
    sent = {0: Totals([0]), 1: Totals([100_000]), 61: Totals([101_000])}
    assert measured(sent, announced=7e5).rates().rates == (7e5,)
    assert measured(sent | {62: Totals([201_000])}).rates().rates == (800_000,)


def test_each_spatial_layer_includes_those_below_it() -> None:
    before = [1000, 0, 0, 0, 0, 0, 0, 0, 3000]
    after = [2000, 500, 0, 0, 0, 0, 0, 0, 6000, 1000, 0, 0, 0, 0, 0, 0, 9000]
    frames = [15, 15, 0, 0, 0, 0, 0, 0, 15, 15, 0, 0, 0, 0, 0, 0, 15]
    low, middle, high = measured({0: Totals(before), 1: Totals(after, frames)}).spatial_rates()
    assert (low.rates, low.frame_rates) == ((8000, 12000), (15, 30))
    assert (middle.rates, middle.frame_rates) == ((32000, 44000), (15, 30))
    assert (high.rates, high.frame_rates) == ((104000, 116000), (15,))


def test_a_spatial_layer_that_stops_is_none_any_more() -> None:
    both = {0: Totals([0] * 9), 1: Totals([1000, *[0] * 7, 3000]), 2: Totals([2000, *[0] * 7, 6000])}
    assert [one.rates for one in measured(both).spatial_rates()] == [(8000,), (32000,)]
    stopped = both | {second: Totals([1000 * second, *[0] * 7, 6000]) for second in range(3, 9)}
    assert [one.rates for one in measured(stopped).spatial_rates()] == [(8000,)]
    assert measured(stopped).rates().rates == (8000,)
