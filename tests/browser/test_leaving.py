"""However a person leaves, the others see it at once, and the gateway keeps nothing of that person."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser.chromium import Chromium, run_chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person
from tests.gateway_process import GatewayProcess, poll_until, run_gateway
from tools.chromium import PERMITTED, TOUCHED

pytestmark = pytest.mark.browser

AT_ONCE = 1.0
ONE_PERSON = {
    "channels": 1,
    "members": 1,
    "transports": 2,
    "producers": 2,
    "consumers": 0,
    "routes": 0,
}


def talk(ada: Person, ben: Person, channel: str) -> None:
    """Let two people join, and wait until they see and hear each other."""
    ada.joins(channel)
    ben.joins(channel)
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)


def live(gateway: GatewayProcess) -> dict[str, int]:
    """The present numbers without connections: each page also has one that watches all channels."""
    return {what: number for what, number in gateway.live().items() if what != "sessions"}


def only_one_person_is_left(gateway: GatewayProcess) -> None:
    assert live(gateway) == ONE_PERSON


def test_a_person_who_closes_the_tab_is_gone_at_once(invite: Invite, gateway: GatewayProcess) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    talk(ada, ben, "closes")
    with ada.will_see_together(1, within=AT_ONCE):
        ben.closes_tab()
    only_one_person_is_left(gateway)


def test_a_person_who_goes_to_another_page_is_gone_at_once(invite: Invite, gateway: GatewayProcess) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    talk(ada, ben, "goes")
    with ada.will_see_together(1, within=AT_ONCE):
        ben.navigates_away()
    only_one_person_is_left(gateway)


def test_a_person_who_presses_leave_is_gone_at_once_and_may_join_again(invite: Invite, gateway: GatewayProcess) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    talk(ada, ben, "leaves")
    with ada.will_see_together(1, within=AT_ONCE):
        ben.presses("leave")
    poll_until(lambda: live(gateway), lambda live: live == ONE_PERSON, within=1)

    ben.sees("join")
    ben.presses("join")
    ada.sees_together(2, within=5)
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 10)


def test_a_person_whose_browser_is_killed_is_gone_at_once(
    invite: Invite, gateway: GatewayProcess, playwright: Playwright, tmp_path: Path
) -> None:
    ada = invite("Ada")
    with run_chromium(playwright, tmp_path / "profile", PERMITTED, TOUCHED) as doomed:
        ben = invite("Ben", doomed.browser.new_context())
        talk(ada, ben, "killed")
        with ada.will_see_together(1, within=AT_ONCE):
            doomed.kill()
    only_one_person_is_left(gateway)


def test_the_log_has_the_steps_of_a_leave_in_order(invite: Invite, gateway: GatewayProcess) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    talk(ada, ben, "story")
    bens = ben.user_id
    with ada.will_see_together(1, within=AT_ONCE):
        ben.closes_tab()

    story = [line for line in gateway.log() if line.get("user") == bens]
    joined, disconnected, closed, removed, received = story
    assert joined["event"] == "client joined"
    assert disconnected["event"] == "client disconnected"
    assert disconnected["why"]
    assert closed["event"] == "media closed"
    assert (closed["consumers"], closed["producers"], closed["transports"], closed["forced"]) == (2, 2, 2, 0)
    assert closed["seconds"] < AT_ONCE
    assert removed["event"] == "removed from channel"
    assert (removed["reason"], removed["remaining"]) == ("left", 1)
    assert received["event"] == "members notified"
    assert received["members"] == 1


def test_after_the_last_person_has_left_the_gateway_is_empty(chromium: Chromium, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log") as gateway:
        before = gateway.open_files()
        people = [Person.new_in(chromium.browser.new_context(), gateway.url, name) for name in ("Ada", "Ben", "Eve")]
        for person in people:
            person.joins("last")
        people[0].watches_and_hears(people[2].user_id, by=time.monotonic() + 15)
        poll_until(gateway.live, lambda live: live["routes"] == 12, within=10)
        assert len(gateway.open_files()) >= len(before) + len(people)

        for person in people:
            person.closes_page()
        gateway.becomes_empty()
        poll_until(gateway.open_files, lambda files: files == before, within=2)
