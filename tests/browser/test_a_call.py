"""Two or three people call each other, with Chromium's fake camera and microphone."""

import time

import pytest

from tests.browser.conftest import Invite

pytestmark = pytest.mark.browser

#: Most of the bitrate of the two sizes that a page sends while two tiles fill a window of 1280 × 720.
_TWO_SIZES = 600_000


def test_two_people_see_and_hear_each_other_within_ten_seconds_at_a_useful_bitrate(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("two")
    ben.joins("two")
    joined = time.monotonic()
    ada.watches_and_hears(ben.user_id, by=joined + 10, seconds=3)
    ben.watches_and_hears(ada.user_id, by=joined + 13, seconds=3)  # 3 s later, because Ada's check took 3 s
    for person in (ada, ben):
        person.reaches_target_bitrate(_TWO_SIZES, by=joined + 20)
    ada.hears_in_sync_with_video(ben.user_id, by=joined + 20)


def test_a_late_joiner_sees_and_hears_everybody(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("three")
    ben.joins("three")
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)

    eve = invite("Eve")
    eve.joins("three")
    joined = time.monotonic()
    for late, early in ((eve, ada), (eve, ben), (ada, eve), (ben, eve)):
        late.watches_and_hears(early.user_id, by=joined + 20)


def test_others_see_that_a_person_is_muted_and_hear_nothing_until_they_unmute(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("mute")
    ben.joins("mute")
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)

    ada.presses("mute")
    ben.sees("tile", user_id=ada.user_id, muted="true")
    ben.hears_nothing_of(ada.user_id)

    ada.presses("mute")
    ben.sees("tile", user_id=ada.user_id, muted="false")
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 5)


def test_a_camera_that_is_switched_off_and_on_again_is_seen_again(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("camera")
    ben.joins("camera")
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)

    ada.presses("camera")
    ben.no_longer_sees("video", user_id=ada.user_id)
    ada.presses("camera")
    ben.sees("video", user_id=ada.user_id)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)


def test_a_shared_screen_is_seen_beside_the_camera(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("screen")
    ben.joins("screen")

    ada.presses("screen")
    ben.sees("tile", within=10, user_id=ada.user_id, kind="screen")
    ben.watches(ada.user_id, "screen", by=time.monotonic() + 10)
    ben.watches(ada.user_id, "camera", by=time.monotonic() + 10)

    ada.presses("screen")
    ben.no_longer_sees("tile", user_id=ada.user_id, kind="screen")
