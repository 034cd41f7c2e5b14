"""Limits over time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.connection.rates import ErrorBudget, TokenBucket


def test_a_burst_passes_at_once_and_no_more() -> None:
    bucket = TokenBucket(rate=10, burst=64)
    assert [bucket.take(1, 0.0) for _ in range(65)] == [True] * 64 + [False]


def test_used_tokens_come_back_with_time() -> None:
    bucket = TokenBucket(rate=10, burst=64)
    for _ in range(64):
        bucket.take(1, 5.0)
    assert [bucket.take(1, 5.5) for _ in range(6)] == [True] * 5 + [False]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    bucket.take(1, 0.0)
    assert [bucket.take(1, 1e6) for _ in range(4)] == [True, True, True, False]


def test_a_cost_larger_than_the_burst_passes_and_is_paid_for_afterwards() -> None:
    bucket = TokenBucket(rate=1, burst=2)
    assert bucket.take(12, 0.0)
    assert not bucket.take(1, 9.9)
    assert bucket.take(1, 10.5)


def test_a_refused_cost_is_not_charged() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    bucket.take(1, 0.0)
    for tenth in range(10):
        assert not bucket.take(100, tenth / 10 - 1)
    assert bucket.take(1, 0.5)


@settings(derandomize=True, max_examples=50)
@given(st.lists(st.floats(0, 2), max_size=200))
def test_in_the_long_run_no_more_than_the_rate_passes(waits: list[float]) -> None:
    bucket, now, passed = TokenBucket(rate=3, burst=5), 0.0, 0
    for wait in waits:
        now += wait
        passed += bucket.take(1, now)
    assert passed <= 5 + 3 * now + 1


def test_the_budget_allows_twenty_errors_in_ten_seconds_and_no_more() -> None:
    budget = ErrorBudget(20, 10)
    assert [budget.spend(n * 0.45) for n in range(21)] == [True] * 20 + [False]


def test_errors_are_forgotten_after_the_window() -> None:
    budget = ErrorBudget(20, 10)
    assert all(budget.spend(n * 0.5) for n in range(20))
    assert all(budget.spend(10 + n * 0.5) for n in range(100))
