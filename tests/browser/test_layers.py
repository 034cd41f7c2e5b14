"""A camera comes in several sizes, and a page asks for the one that it shows.  A page shows what it measures."""

import time

import pytest

from tests.browser.chromium import Chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person
from tests.gateway_process import poll_until

pytestmark = pytest.mark.browser


def camera_bytes(person: Person, user_id: str) -> int:
    return int(person.inbound()[user_id, "camera"]["bytesReceived"])


def comes_again(person: Person, user_id: str, before: int) -> None:
    """Wait until the camera brings more than the bytes from before, and shows them."""
    frames = person.frames_from(user_id)
    poll_until(lambda: camera_bytes(person, user_id), lambda now: now > before, within=5)
    poll_until(lambda: person.frames_from(user_id), lambda now: now > frames, within=5)


def test_a_camera_is_sent_in_three_sizes_and_each_page_gets_the_one_that_fits_its_tiles(
    invite: Invite, chromium: Chromium
) -> None:
    ada = invite("Ada")
    ben = invite("Ben", chromium.browser.new_context(viewport={"width": 400, "height": 640}))
    eve = invite("Eve", chromium.browser.new_context(viewport={"width": 1280, "height": 720}))
    ada.joins("sizes")
    ben.joins("sizes", camera=0)
    eve.joins("sizes", camera=0)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 30)
    assert [encoding["rid"] for encoding in ada.sent_encodings()] == ["r0", "r1", "r2"]
    ben.sees_width(ada.user_id, 1, 320, within=20)
    eve.sees_width(ada.user_id, 640, 1280, within=30)

    ben.page.set_viewport_size({"width": 1280, "height": 720})
    ben.sees_width(ada.user_id, 640, 1280, within=20)


def test_a_page_in_the_background_gets_sound_and_no_video_and_shows_video_again_at_once(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("background")
    ben.joins("background", camera=0)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 30)

    ben.puts_the_page_in_the_background()
    ben.page.wait_for_timeout(3_000)
    before, sound = camera_bytes(ben, ada.user_id), ben.energy_from(ada.user_id)
    ben.page.wait_for_timeout(2_000)
    assert camera_bytes(ben, ada.user_id) == before
    assert ben.energy_from(ada.user_id) > sound
    ben.sees("tile", user_id=ada.user_id, reconnecting="false")

    ben.brings_the_page_back()
    comes_again(ben, ada.user_id, before)


def test_a_tile_that_is_scrolled_away_gets_no_video(invite: Invite, chromium: Chromium) -> None:
    """In a window as small as this, a shared screen leaves room for one of the people."""
    ada, ben = invite("Ada"), invite("Ben")
    eve = invite("Eve", chromium.browser.new_context(viewport={"width": 300, "height": 420}))
    ada.joins("scrolled", camera=0, mic=0)
    ben.joins("scrolled", mic=0)
    eve.joins("scrolled", camera=0, mic=0)
    eve.watches(ben.user_id, "camera", by=time.monotonic() + 30)
    ada.presses("screen")
    eve.sees("tile", within=30, user_id=ada.user_id, kind="screen")
    eve.page.wait_for_timeout(4_000)

    before = camera_bytes(eve, ben.user_id)
    eve.page.wait_for_timeout(1_000)
    assert camera_bytes(eve, ben.user_id) == before
    eve.page.locator(f'[data-testid="tile"][data-user-id="{ben.user_id}"]').scroll_into_view_if_needed()
    comes_again(eve, ben.user_id, before)


def test_the_statistics_show_each_stream_and_close_with_the_keyboard(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("statistics")
    ben.joins("statistics")
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 30)

    ada.page.keyboard.press("s")
    ada.has_focus_on("statistics")
    row = ada.page.locator('[data-testid="statistics-received"] tr[data-source="camera"]')
    row.wait_for(timeout=10_000)
    stream, size, frames, rate = row.locator("th, td").all_inner_texts()[:4]
    assert stream == "Ben camera"
    assert " × " in size
    assert int(frames) > 0
    assert rate.endswith("bit/s")
    assert ada.page.locator('[data-testid="statistics-sent"] tr[data-source="camera"]').count() == 3
    ada.page.keyboard.press("Escape")
    ada.no_longer_sees("statistics")
    ada.has_focus_on("statistics-button")


def test_a_camera_that_nobody_watches_is_not_sent_and_comes_at_once_when_somebody_does(invite: Invite) -> None:
    ada = invite("Ada")
    ada.joins("unwatched")
    ada.sees("video")
    ada.page.wait_for_timeout(6_000)
    assert sent_rate(ada, seconds=2) <= 20_000
    # Another negotiation must not switch the encodings on again.
    ada.presses("screen")
    ada.page.wait_for_timeout(8_000)
    assert sent_rate(ada, seconds=2) <= 20_000

    ben = invite("Ben")
    ben.joins("unwatched", camera=0)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 5)


def sent_rate(person: Person, seconds: int) -> float:
    """The bitrate of the camera, with retransmissions and probes, over some seconds from now."""
    before = camera_sent(person)
    person.page.wait_for_timeout(1_000 * seconds)
    return 8 * (camera_sent(person) - before) / seconds


def camera_sent(person: Person) -> int:
    return sum(each["bytesSent"] + each.get("headerBytesSent", 0) for each in person.sent_encodings())


def test_a_click_pins_a_tile_which_then_comes_in_a_larger_size(invite: Invite, chromium: Chromium) -> None:
    people = [invite("Ada"), invite("Ben")]
    eve = invite("Eve", chromium.browser.new_context(viewport={"width": 960, "height": 480}))
    for person in people:
        person.joins("pinned", mic=0)
    eve.joins("pinned", camera=0, mic=0)
    ada, ben = (person.user_id for person in people)
    for user_id in (ada, ben):
        eve.sees_width(user_id, 1, 320, within=40)

    eve.page.locator(f'[data-testid="tile"][data-user-id="{ben}"]').click()
    eve.sees("tile", user_id=ben, pinned="true")
    eve.has_focus_on("pin")
    eve.sees_width(ben, 640, 1280, within=20)
    eve.page.keyboard.press("Enter")
    eve.sees("tile", user_id=ben, pinned="false")
    eve.has_focus_on("pin")
    eve.sees_width(ben, 1, 320, within=20)
