"""Two and three people call each other, with Chromium's fake camera and microphone."""

import time

import pytest

from tests.browser.conftest import Invite

pytestmark = pytest.mark.browser


def test_two_people_see_and_hear_each_other_within_ten_seconds(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("two")
    ben.opens("two")
    by = time.monotonic() + 10
    ada.sees_together(2, within=10)
    ben.sees_together(2, within=10)
    ada.watches_and_hears(ben.user_id, by)
    ben.watches_and_hears(ada.user_id, by + 3)
