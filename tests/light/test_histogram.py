"""Quantiles of a histogram are exact to one per cent, also of a sum of histograms."""

import random

import pytest

from tools.light import Histogram


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
def test_a_quantile_is_right_to_within_one_per_cent(share: float) -> None:
    rng = random.Random(1)
    durations = sorted(rng.lognormvariate(-6, 1.5) for _ in range(10_000))
    exact = durations[max(0, round(share * len(durations)) - 1)]
    assert Histogram.of(durations).quantile(share) == pytest.approx(exact, rel=0.0101)


def test_the_sum_of_two_histograms_has_all_durations() -> None:
    rng = random.Random(2)
    durations = [rng.random() for _ in range(1000)]
    whole, half = Histogram.of(durations), Histogram.of(durations[:300])
    half.add(Histogram.of(durations[300:]))
    assert half.counts == whole.counts
    assert (half.count, half.largest) == (whole.count, whole.largest)
    assert half.mean == pytest.approx(whole.mean)


def test_an_empty_histogram_has_no_quantile_and_zero_seconds_are_allowed() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().mean is None
    assert Histogram.of([0.0, -0.001]).quantile(1) == 0.0


def test_taking_empties_the_histogram() -> None:
    histogram = Histogram.of([0.1, 0.2])
    assert histogram.take().count == 2
    assert histogram.count == 0
