"""Tests that several mutations ought to make fail."""

from typing import Final

_EVERY_WAY = "tests/guarantees/test_every_way.py"
IN_A_CALL: Final = f"{_EVERY_WAY}::test_who_dies_in_the_middle_of_a_call_is_gone_and_the_others_talk_on"
CANCELLED: Final = f"{IN_A_CALL}[cancelled-clean]"
RESET: Final = f"{IN_A_CALL}[RST-clean]"
SILENT: Final = f"{IN_A_CALL}[silence-clean]"
REPLACED: Final = f"{IN_A_CALL}[replaced by the same user-clean]"
LOST_MEDIA: Final = f"{_EVERY_WAY}::test_who_loses_only_the_media_stays_on_the_list_without_it"
ON_BEHALF: Final = "tests/guarantees/test_on_anothers_behalf.py"
_FAULTS = "tests/guarantees/test_faults.py"
RAISES: Final = f"{_FAULTS}::test_a_step_that_raises_is_logged_and_everything_else_still_happens"
SLOW: Final = f"{_FAULTS}::test_a_step_that_takes_too_long_is_cut_off_and_counted"
CLEANUP_FAILS: Final = f"{_FAULTS}::test_media_whose_cleanup_fails_does_not_stay"
TEN_HANG: Final = f"{_FAULTS}::test_ten_goodbyes_that_hang_take_no_longer_than_one"
