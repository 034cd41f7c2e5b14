"""What the page does when something is not as one would wish."""

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
    """One that plays no sound before a touch, and gives devices to nobody it was not told of."""
    with run_chromium(playwright, tmp_path_factory.mktemp("wary") / "profile") as chromium:
        yield chromium


def test_a_kiosk_joins_untouched_and_has_a_button_that_turns_the_sound_on(
    chromium: Chromium, wary_chromium: Chromium, tmp_path: Path
) -> None:
    with run_gateway(tmp_path / "log", "--kiosk") as kiosk:
        ada = Person.sits_down(
            wary_chromium.browser.new_context(permissions=["camera", "microphone"]), kiosk.url, "Ada"
        )
        ben = Person.sits_down(chromium.browser.new_context(), kiosk.url, "Ben")
        ben.joins("gesture")
        # With a device on, Chromium would let the page play, and which is first is chance.
        ada.opens("gesture", join=1, mic=0, camera=0)
        ada.sees_untouched("sound-button", within=10)
        assert ada.asks_untouched("document.querySelector('[data-testid=audio]').paused") is True

        ada.presses("sound-button")
        ada.no_longer_sees("sound-button")
        ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
        for person in (ada, ben):
            person.goes()
            assert person.complaints == []


def test_no_address_starts_a_device_though_the_browser_would_let_it(invite: Invite, gateway: GatewayProcess) -> None:
    ada = invite("Ada")
    ada.page.add_init_script(COUNT_QUESTIONS)
    ada.opens("invited", join=1, mic=1, camera=1)
    ada.is_asked_for("join")
    # What the page would have done by itself it would have done by now: the gateway's answer is all it waits for.
    ada.page.wait_for_load_state("networkidle")
    assert ada.page.evaluate("window.__questions") == 0
    assert gateway.live()["sessions"] == 0

    ada.presses("join")
    ada.sees_together(1, within=5)
    assert ada.page.evaluate("window.__questions") == 1


def test_a_link_does_not_switch_on_what_a_person_has_switched_off(invite: Invite) -> None:
    ada = invite("Ada")
    ada.opens("off")
    for device in ("with-microphone", "with-camera"):
        ada.sees(device).uncheck()
    ada.presses("join")
    ada.sees_together(1, within=5)
    ada.presses("leave")
    ada.opens("off", mic=1, camera=1, join=1)
    assert not any(ada.sees(device).is_checked() for device in ("with-microphone", "with-camera"))


def test_who_refuses_the_camera_is_in_anyway_and_watches(
    invite: Invite, gateway: GatewayProcess, wary_chromium: Chromium
) -> None:
    context = wary_chromium.browser.new_context()
    context.grant_permissions([], origin=gateway.url)  # naming none refuses all
    ada, ben = invite("Ada", context), invite("Ben")
    ben.joins("refused")
    ada.joins("refused")

    ada.sees("notice", code="refused")
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    ben.sees("tile", user_id=ada.user_id, muted="true")


def test_when_the_gateway_is_restarted_the_page_comes_back_by_itself(chromium: Chromium, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "first") as first:
        people = [Person.sits_down(chromium.browser.new_context(), first.url, name) for name in ("Ada", "Ben")]
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
            person.goes()
            person.forgives("WebSocket connection")  # the attempts in between
            assert person.complaints == []
        second.becomes_empty()


def test_who_joins_in_another_tab_is_told_in_the_first_and_it_stays_out(invite: Invite) -> None:
    first, second, ben = invite("Ada"), invite("Ada"), invite("Ben")
    ben.joins("replaced")
    first.joins("replaced", user="ada")
    ben.sees_together(2, within=5)

    second.joins("replaced", user="ada")
    first.sees("notice", code="4409")
    second.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    ben.watches_and_hears("ada", by=time.monotonic() + 10)
    ben.sees_together(2, within=1)
    first.sees("notice", code="4409")


def test_joining_takes_a_name_and_the_enter_key_and_the_address_can_be_shared(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.page.goto(ada.url)
    ada.is_asked_for("name")
    ada.page.keyboard.type("Ada Lovelace")
    ada.page.get_by_test_id("channel").fill("tea")
    ada.page.keyboard.press("Enter")
    ada.sees_together(1, within=5)
    assert ada.page.url == f"{ada.url}/c/tea"

    ben.page.goto(ada.page.url)
    ben.is_asked_for("name")
    ben.page.keyboard.type("Ben")
    ben.page.keyboard.press("Enter")
    ben.sees_together(2, within=5)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)

    ada.page.keyboard.press("m")
    ben.sees("tile", user_id=ada.user_id, muted="true")
    ada.page.reload()
    assert ada.sees("name").input_value() == "Ada Lovelace"
    ben.sees_together(1, within=1)


def test_a_channel_that_cannot_be_is_corrected_and_nobody_lands_in_another(
    invite: Invite, gateway: GatewayProcess
) -> None:
    ada = invite("Ada")
    ada.opens("tea & cake")
    ada.is_asked_for("channel")
    assert ada.sees("channel").input_value() == "tea & cake"
    assert gateway.live()["sessions"] == 0

    ada.page.get_by_test_id("channel").fill("tea and cake")
    ada.page.keyboard.press("Enter")
    ada.sees_together(1, within=5)
    assert ada.page.url.startswith(f"{ada.url}/c/tea-and-cake")


def test_a_name_from_a_link_is_made_one_that_the_gateway_takes(invite: Invite) -> None:
    ada = invite(f"  Ada\t{'x' * 100}")
    ada.joins("names")
    assert ada.page.locator(".who").inner_text() == f"Ada {'x' * 60} (you)"


def test_where_a_token_is_asked_for_it_comes_with_the_link_or_from_the_person(
    chromium: Chromium, tmp_path: Path
) -> None:
    with run_gateway(tmp_path / "log", "--join-token", "open sesame") as guarded:
        ada, ben = (Person.sits_down(chromium.browser.new_context(), guarded.url, name) for name in ("Ada", "Ben"))
        ada.joins("cave", token="open sesame")
        ben.opens("cave")
        ben.presses("join")
        ben.is_asked_for("token")
        ben.page.keyboard.type("open barley")
        ben.page.keyboard.press("Enter")
        ben.page.get_by_text("not the right one").wait_for()
        ben.is_asked_for("token")
        ben.page.keyboard.type("open sesame")
        ben.page.keyboard.press("Enter")
        ben.sees_together(2, within=5)
        ben.presses("leave")
        ben.presses("join")
        ben.sees_together(2, within=5)
        for person in (ada, ben):
            person.goes()
            assert person.complaints == []
        guarded.becomes_empty()


def test_who_comes_back_with_the_browsers_button_is_in_again_or_one_press_from_it(invite: Invite) -> None:
    """A page that the browser kept goes on, as its person joined in it; one that is loaded anew asks."""
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("back")
    ben.joins("back")
    ada.sees_together(2, within=5)
    ben.goes_elsewhere()
    ada.sees_together(1, within=5)

    ben.comes_back()
    if ben.was_loaded_anew():
        ben.is_asked_for("join")
        ada.sees_together(1, within=1)
        ben.presses("join")
    ada.sees_together(2, within=10)
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)


def test_a_phone_shows_two_people_without_anything_sticking_out(invite: Invite, chromium: Chromium) -> None:
    ada, ben = (
        invite(name, chromium.browser.new_context(viewport={"width": 360, "height": 740})) for name in ("Ada", "Ben")
    )
    ada.page.goto(ada.url)
    ada.sees("join")
    assert ada.sticks_out() == []

    ada.joins("phone")
    ben.joins("phone")
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    assert ada.sees("tile").count() == 2
    for control in ("mute", "camera", "screen", "leave"):
        ada.sees(control)
    assert ada.sticks_out() == []
