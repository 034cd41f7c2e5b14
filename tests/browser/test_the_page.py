"""The page in less usual cases: kiosks, refused devices, restarts, odd links, tokens, small screens."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser.chromium import Chromium, run_chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person
from tests.gateway_process import GatewayProcess, run_gateway

pytestmark = pytest.mark.browser

COUNT_QUESTIONS = """
window.__questions = 0;
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wanted) => { window.__questions += 1; return ask(wanted); };
"""


@pytest.fixture(scope="module")
def wary_chromium(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A Chromium that plays no sound before a user gesture, and grants no devices by itself."""
    with run_chromium(playwright, tmp_path_factory.mktemp("wary") / "profile") as chromium:
        yield chromium


def test_a_kiosk_joins_without_a_gesture_and_shows_a_button_that_turns_the_sound_on(
    chromium: Chromium, wary_chromium: Chromium, tmp_path: Path
) -> None:
    with run_gateway(tmp_path / "log", "--kiosk") as kiosk:
        ada = Person.new_in(wary_chromium.browser.new_context(permissions=["camera", "microphone"]), kiosk.url, "Ada")
        ben = Person.new_in(chromium.browser.new_context(), kiosk.url, "Ben")
        ben.joins("gesture")
        # While a device is on, Chromium lets the page play sound. So the kiosk joins without devices.
        ada.opens("gesture", join=1, mic=0, camera=0)
        ada.sees_without_gesture("sound-button", within=10)
        assert ada.evaluates_without_gesture("document.querySelector('[data-testid=audio]').paused") is True

        ada.presses("sound-button")
        ada.no_longer_sees("sound-button")
        ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
        for person in (ada, ben):
            person.closes_page()
            assert person.errors == []


def test_no_link_starts_a_device_even_if_the_browser_would_allow_it(invite: Invite, gateway: GatewayProcess) -> None:
    ada = invite("Ada")
    ada.page.add_init_script(COUNT_QUESTIONS)
    ada.opens("invited", join=1, mic=1, camera=1)
    ada.has_focus_on("join")
    # A page that joins by itself waits for the gateway's answer alone, so it would have joined by now.
    ada.page.wait_for_load_state("networkidle")
    assert ada.page.evaluate("window.__questions") == 0
    assert gateway.live()["members"] == 0

    ada.presses("join")
    ada.sees_together(1, within=5)
    assert ada.page.evaluate("window.__questions") == 1


def test_a_link_does_not_switch_on_a_device_that_the_person_has_switched_off(invite: Invite) -> None:
    ada = invite("Ada")
    ada.opens("off")
    for device in ("with-microphone", "with-camera"):
        ada.sees(device).uncheck()
    ada.presses("join")
    ada.sees_together(1, within=5)
    ada.presses("leave")
    ada.opens("off", mic=1, camera=1, join=1)
    assert not any(ada.sees(device).is_checked() for device in ("with-microphone", "with-camera"))


def test_a_person_who_refuses_the_camera_still_joins_and_watches(
    invite: Invite, gateway: GatewayProcess, wary_chromium: Chromium
) -> None:
    context = wary_chromium.browser.new_context()
    context.grant_permissions([], origin=gateway.url)  # an empty list refuses every permission
    ada, ben = invite("Ada", context), invite("Ben")
    ben.joins("refused")
    ada.joins("refused")

    ada.sees("notice", code="refused")
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    ben.sees("tile", user_id=ada.user_id, muted="true")


def test_after_a_restart_of_the_gateway_the_page_rejoins_by_itself(chromium: Chromium, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "first") as first:
        people = [Person.new_in(chromium.browser.new_context(), first.url, name) for name in ("Ada", "Ben")]
        for person in people:
            person.joins("restart")
        people[0].sees_together(2, within=5)
    for person in people:
        person.sees("notice", code="1001")
        person.no_longer_sees("together")

    with run_gateway(tmp_path / "second", port=first.port, media_port=first.media_port) as second:
        for person in people:
            person.sees_together(2, within=10)
            person.no_longer_sees("notice")
        ada, ben = people
        ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
        ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)
        for person in people:
            person.closes_page()
            person.ignores_errors_with("WebSocket connection")  # the page has tried to connect during the restart
            assert person.errors == []
        second.becomes_empty()


def test_a_second_tab_with_the_same_user_id_is_refused_and_the_first_one_stays(invite: Invite) -> None:
    first, second, ben = invite("Ada"), invite("Ada"), invite("Ben")
    ben.joins("seat")
    first.joins("seat", user="ada")
    ben.sees_together(2, within=5)

    second.opens("seat", user="ada")
    second.presses("join")
    second.sees("notice", code="4409")
    first.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    ben.watches_and_hears("ada", by=time.monotonic() + 10)
    ben.sees_together(2, within=1)

    first.closes_page()
    ben.sees_together(1, within=5)
    second.presses("again")
    ben.sees_together(2, within=5)


def test_joining_takes_only_a_name_and_enter_and_the_address_can_be_shared(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.page.goto(ada.url)
    ada.has_focus_on("name")
    ada.page.keyboard.type("Ada Lovelace")
    ada.page.get_by_test_id("channel").fill("tea")
    ada.page.keyboard.press("Enter")
    ada.sees_together(1, within=5)
    assert ada.page.url == f"{ada.url}/c/tea"

    ben.page.goto(ada.page.url)
    ben.has_focus_on("name")
    ben.page.keyboard.type("Ben")
    ben.page.keyboard.press("Enter")
    ben.sees_together(2, within=5)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)

    ada.page.keyboard.press("m")
    ben.sees("tile", user_id=ada.user_id, muted="true")
    ada.page.reload()
    assert ada.sees("name").input_value() == "Ada Lovelace"
    ben.sees_together(1, within=1)


def test_the_person_corrects_an_invalid_channel_name_and_joins_no_other_channel(
    invite: Invite, gateway: GatewayProcess
) -> None:
    ada = invite("Ada")
    ada.opens("tea & cake")
    ada.has_focus_on("channel")
    assert ada.sees("channel").input_value() == "tea & cake"
    assert gateway.live()["members"] == 0

    ada.page.get_by_test_id("channel").fill("tea and cake")
    ada.page.keyboard.press("Enter")
    ada.sees_together(1, within=5)
    assert ada.page.url.startswith(f"{ada.url}/c/tea-and-cake")


def test_a_name_from_a_link_is_changed_to_one_that_the_gateway_accepts(invite: Invite) -> None:
    ada = invite(f"  Ada\t{'x' * 100}")
    ada.joins("names")
    assert ada.page.locator(".who").inner_text() == f"Ada {'x' * 60} (you)"


def test_the_person_enters_a_required_token(chromium: Chromium, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--join-token", "open sesame") as guarded:
        ada, ben = (Person.new_in(chromium.browser.new_context(), guarded.url, name) for name in ("Ada", "Ben"))
        ada.opens("cave")
        ada.presses("join")
        ada.has_focus_on("token")
        ada.page.keyboard.type("open sesame")
        ada.page.keyboard.press("Enter")
        ada.sees_together(1, within=5)
        ben.opens("cave", token="open sesame")  # a token in an address counts for nothing
        ben.presses("join")
        ben.has_focus_on("token")
        ben.page.keyboard.type("open barley")
        ben.page.keyboard.press("Enter")
        ben.page.get_by_text("not the right one").wait_for()
        ben.has_focus_on("token")
        ben.page.keyboard.type("open sesame")
        ben.page.keyboard.press("Enter")
        ben.sees_together(2, within=5)
        ben.presses("leave")
        ben.presses("join")
        ben.sees_together(2, within=5)
        for person in (ada, ben):
            person.closes_page()
            assert person.errors == []
        guarded.becomes_empty()


def test_after_the_browsers_back_button_the_page_rejoins_or_shows_its_form(invite: Invite) -> None:
    """A page that the browser kept rejoins.  A page that the browser reloaded shows its form."""
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("back")
    ben.joins("back")
    ada.sees_together(2, within=5)
    ben.navigates_away()
    ada.sees_together(1, within=5)

    ben.presses_the_back_button()
    if ben.page_was_reloaded():
        ben.has_focus_on("join")
        ada.sees_together(1, within=1)
        ben.presses("join")
    ada.sees_together(2, within=10)
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)


def test_on_a_phone_no_element_reaches_beyond_the_window(invite: Invite, chromium: Chromium) -> None:
    ada, ben = (
        invite(name, chromium.browser.new_context(viewport={"width": 360, "height": 740})) for name in ("Ada", "Ben")
    )
    ada.page.goto(ada.url)
    ada.sees("join")
    assert ada.overflowing_elements() == []

    ada.joins("phone")
    ben.joins("phone")
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    assert ada.sees("tile").count() == 2
    for control in ("mute", "camera", "screen", "leave"):
        ada.sees(control)
    assert ada.overflowing_elements() == []
