"""Error codes and close codes: which errors count, and the client's next step."""

import pytest

from protocol import CloseCode, ErrorCode, NextStep, next_step


def test_only_errors_that_a_correct_client_never_causes_count() -> None:
    counted = {code for code in ErrorCode if code.is_counted}
    assert counted == {ErrorCode.MALFORMED, ErrorCode.INVALID, ErrorCode.UNKNOWN_TYPE}


@pytest.mark.parametrize(
    ("step", "codes"),
    [
        (NextStep.STOP, {1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4409, 4410}),
        (NextStep.JOIN_AGAIN_AT_ONCE, {1012}),
        (NextStep.JOIN_AGAIN, {1006, 4408, 4413, 4500}),
        (NextStep.JOIN_AGAIN_LATER, {1001, 4429}),
    ],
)
def test_each_close_code_has_a_next_step(step: NextStep, codes: set[int]) -> None:
    assert {code for code in CloseCode if next_step(code) is step} == codes


@pytest.mark.parametrize("code", [None, 1005, 1013, 3000, 4999])
def test_an_unknown_close_code_means_to_join_again_later(code: int | None) -> None:
    assert next_step(code) is NextStep.JOIN_AGAIN_LATER


def test_every_code_has_a_description() -> None:
    assert all(code.meaning for code in [*ErrorCode, *CloseCode])
