"""Tests that should notice several of the mutations."""

from typing import Final

_EVERY_WAY = "tests/guarantees/test_every_way_to_die.py"
IN_A_CALL: Final = f"{_EVERY_WAY}::test_a_client_that_dies_in_a_call_is_gone_and_the_others_go_on"
CANCELLED: Final = f"{IN_A_CALL}[cancelled-clean]"
RESET: Final = f"{IN_A_CALL}[RST-clean]"
SILENT: Final = f"{IN_A_CALL}[silence-clean]"
REPLACED: Final = f"{IN_A_CALL}[replaced by the same user-clean]"
LOST_MEDIA: Final = f"{_EVERY_WAY}::test_a_client_that_loses_only_its_media_stays_listed_without_it"
OUTSIDE: Final = "tests/guarantees/test_programs_outside.py::test_every_program_ends_with_the_same_history"
ON_BEHALF: Final = "tests/guarantees/test_guarded_callbacks.py"
_FAULTS = "tests/guarantees/test_faulty_steps.py"
RAISES: Final = f"{_FAULTS}::test_a_step_that_raises_is_logged_and_everything_else_still_happens"
SLOW: Final = f"{_FAULTS}::test_a_step_that_takes_too_long_is_cut_off_and_counted"
CLEANUP_FAILS: Final = f"{_FAULTS}::test_media_whose_cleanup_fails_is_still_removed"
TEN_HANG: Final = f"{_FAULTS}::test_ten_goodbyes_that_hang_take_no_longer_than_one"
