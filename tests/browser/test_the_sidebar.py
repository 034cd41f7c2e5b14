"""The sidebar: people see who is in which channel before they join, and join and move with one click."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser.chromium import Chromium, run_chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person
from tests.browser.relay import Relay, open_relay
from tests.browser.test_network_changes import asleep, descendants, stopped
from tests.gateway_process import GatewayProcess, poll_until, run_gateway
from tools.chromium import PERMITTED, TOUCHED

pytestmark = pytest.mark.browser

READ = """() => {
  const sidebar = document.querySelector('[data-testid="sidebar"][data-current="true"]');
  if (!sidebar) return null;
  const names = (channel) => [...channel.closest("li").querySelectorAll("bdi")].map(({ textContent }) => textContent);
  const channels = [...sidebar.querySelectorAll('[data-testid="sidebar-channel"]')];
  return Object.fromEntries(channels.map((channel) => [channel.dataset.channelId, names(channel)]));
}"""
NOTE_TRUTH = f"""(wanted) => {{
  const read = {READ};
  window.__true = new Promise((resolve) => {{
    const look = () => JSON.stringify(read()) === JSON.stringify(wanted) && resolve(Date.now());
    new MutationObserver(look).observe(document.body, {{ subtree: true, childList: true, attributes: true }});
  }});
}}"""
IN_TIME = "Promise.race([window.__true, new Promise((done) => setTimeout(done, 10_000))])"
TRUTH_SECONDS = 1.0
# Longer than the gateway waits for a client that answers nothing.
FROZEN_SECONDS = 12


@pytest.fixture
def relay(gateway: GatewayProcess) -> Iterator[Relay]:
    with open_relay(gateway.port) as relay:
        yield relay


def sees_channels(person: Person, channels: Mapping[str, Sequence[str]], within: float = 5) -> None:
    """Wait until the sidebar shows exactly these people in these channels, and calls its lists current."""
    poll_until(lambda: person.page.evaluate(READ), lambda shown: shown == channels, within)


def opens_the_form(person: Person) -> Person:
    person.page.goto(f"{person.url}/?name={person.name}")
    person.sees("sidebar")
    return person


def test_a_person_sees_who_is_where_then_joins_and_moves_with_a_click(invite: Invite) -> None:
    ada, ben, cleo = invite("Ada"), invite("Ben"), invite("Cleo")
    opens_the_form(cleo)
    sees_channels(cleo, {})
    ada.joins("attic", mic=0, camera=0)
    ben.joins("kitchen")
    sees_channels(cleo, {"attic": ["Ada"], "kitchen": ["Ben"]}, within=2)
    cleo.sees("sidebar-person", user_id=ada.user_id, muted="true")
    cleo.sees("sidebar-person", user_id=ben.user_id, muted="false")
    ben.presses("mute")
    cleo.sees("sidebar-person", user_id=ben.user_id, muted="true")
    ben.presses("mute")

    cleo.page.get_by_role("button", name="Join kitchen, 1 person: Ben").click()
    cleo.sees_together(2, within=5)
    assert cleo.page.url == f"{cleo.url}/c/kitchen?name=Cleo"
    sees_channels(cleo, {"attic": ["Ada"], "kitchen": ["Ben", "Cleo"]})
    sees_channels(ada, {"attic": ["Ada"], "kitchen": ["Ben", "Cleo"]})
    cleo.watches_and_hears(ben.user_id, by=time.monotonic() + 15)
    cleo.sees("sidebar-person", user_id=ben.user_id, speaking="true")

    cleo.page.get_by_role("button", name="Join attic, 1 person: Ada").click()
    ada.sees_together(2, within=5)
    ben.sees_together(1, within=5)
    cleo.sees_together(2, within=5)
    for person in (ada, ben, cleo):
        sees_channels(person, {"attic": ["Ada", "Cleo"], "kitchen": ["Ben"]})
    # The camera was on, so it is on in the other channel as well.
    ada.watches(cleo.user_id, "camera", by=time.monotonic() + 15)

    cleo.presses("leave")
    sees_channels(cleo, {"attic": ["Ada"], "kitchen": ["Ben"]})
    ben.presses("leave")
    sees_channels(cleo, {"attic": ["Ada"]})


def test_the_keyboard_alone_is_enough_and_the_name_is_asked_first(invite: Invite) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    ada.joins("kitchen")
    ben.page.goto(ben.url)
    ben.has_focus_on("name")
    ben.sees("sidebar-channel", channel_id="kitchen")
    ben.page.keyboard.press("Shift+Tab")
    ben.has_focus_on("sidebar-channel")
    ben.page.keyboard.press("Enter")
    ben.has_focus_on("name")
    assert ben.sees("channel").input_value() == "kitchen"
    ben.page.keyboard.type("Ben")
    ben.page.keyboard.press("Shift+Tab")
    ben.page.keyboard.press("Enter")
    ada.sees_together(2, within=5)
    current = ben.page.get_by_role("button", name="kitchen, your channel, 2 people: Ada, Ben")
    current.wait_for(timeout=5000)
    assert current.get_attribute("aria-current") == "true"


def test_on_a_phone_the_sidebar_is_folded_behind_a_button(invite: Invite, chromium: Chromium) -> None:
    ada, ben = invite("Ada"), invite("Ben", chromium.browser.new_context(viewport={"width": 360, "height": 740}))
    ada.joins("kitchen")
    opens_the_form(ben)
    assert not ben.page.get_by_test_id("sidebar-channel").is_visible()
    button = ben.page.get_by_role("button", name="Channels: 1 person")
    button.click()
    ben.sees("sidebar-channel", channel_id="kitchen")
    assert ben.overflowing_elements() == []
    ben.page.keyboard.press("Escape")
    assert not ben.page.get_by_test_id("sidebar-channel").is_visible()
    ben.page.keyboard.press("Enter")  # the button has the focus again
    ben.sees("sidebar-channel", channel_id="kitchen").click()
    ben.sees_together(2, within=5)
    assert not ben.page.get_by_test_id("sidebar-channel").first.is_visible()
    for control in ("mute", "camera", "screen", "leave"):
        ben.sees(control)
    assert ben.overflowing_elements() == []


def test_a_page_that_is_visible_again_shows_the_truth_within_a_second(invite: Invite, relay: Relay) -> None:
    """Its network went away meanwhile, and nobody has told its connection that it is dead."""
    ada, ben, cleo = invite("Ada"), invite("Ben"), invite("Cleo")
    with somebody_leaves_unseen(ada, ben, cleo, relay):
        cleo.puts_the_page_in_the_background()
    began = time.time()
    cleo.brings_the_page_back()
    shows_the_truth(cleo, began)


def test_a_machine_that_wakes_up_shows_the_truth_within_a_second(
    invite: Invite, relay: Relay, playwright: Playwright, tmp_path: Path
) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    with run_chromium(playwright, tmp_path / "profile", PERMITTED, TOUCHED) as sleeper:
        cleo = invite("Cleo", sleeper.browser.new_context())
        with somebody_leaves_unseen(ada, ben, cleo, relay), asleep(sleeper):
            time.sleep(7)
            began = time.time()
        shows_the_truth(cleo, began)
        cleo.closes_page()


def test_a_page_that_was_frozen_shows_the_truth_within_a_second_of_going_on(
    invite: Invite, playwright: Playwright, tmp_path: Path
) -> None:
    """Browsers freeze a page that is long in the background.  They still answer pings, so nobody finds it silent."""
    ada, ben = invite("Ada"), invite("Ben")
    with run_chromium(playwright, tmp_path / "profile", PERMITTED, TOUCHED) as browser:
        cleo = invite("Cleo", browser.browser.new_context())
        ada.joins("attic")
        ben.joins("kitchen")
        opens_the_form(cleo)
        sees_channels(cleo, {"attic": ["Ada"], "kitchen": ["Ben"]})
        cleo.page.evaluate(NOTE_TRUTH, {"attic": ["Ada"]})
        with stopped(renderers(browser)):
            ben.presses("leave")
            time.sleep(FROZEN_SECONDS)
            began = time.time()
        shows_the_truth(cleo, began)
        cleo.closes_page()


def renderers(chromium: Chromium) -> list[int]:
    """The processes of this browser that run pages."""
    family = descendants(chromium.process.pid)
    return [pid for pid in family if b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextmanager
def somebody_leaves_unseen(ada: Person, ben: Person, cleo: Person, relay: Relay) -> Iterator[None]:
    """Cleo watches two channels from outside. Then her network goes away, and Ben leaves."""
    ada.joins("attic")
    ben.joins("kitchen")
    cleo.url = relay.url
    opens_the_form(cleo)
    sees_channels(cleo, {"attic": ["Ada"], "kitchen": ["Ben"]})
    cleo.page.evaluate(NOTE_TRUTH, {"attic": ["Ada"]})
    relay.freeze()
    ben.presses("leave")
    ada.page.wait_for_timeout(300)
    yield


def shows_the_truth(person: Person, began: float) -> None:
    """The page notes the time itself, so that Playwright's own delays do not count."""
    noted = person.page.evaluate(IN_TIME)
    assert noted is not None, person.page.evaluate(READ)
    assert 0 <= noted / 1000 - began < TRUTH_SECONDS


def test_a_connection_that_passes_nothing_any_more_is_replaced(invite: Invite, relay: Relay) -> None:
    ada, cleo = invite("Ada"), invite("Cleo")
    cleo.url = relay.url
    opens_the_form(cleo)
    relay.freeze()
    ada.joins("attic")
    sees_channels(cleo, {"attic": ["Ada"]}, within=10)
    relay.reset()
    ada.presses("leave")
    sees_channels(cleo, {}, within=5)
    cleo.ignores_errors_with("WebSocket connection")


def test_after_a_restart_of_the_gateway_the_sidebar_is_true(chromium: Chromium, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "first") as first:
        ada, cleo = (Person.new_in(chromium.browser.new_context(), first.url, name) for name in ("Ada", "Cleo"))
        ada.joins("attic")
        opens_the_form(cleo)
        sees_channels(cleo, {"attic": ["Ada"]})
        ada.closes_page()
    cleo.page.locator('[data-testid="sidebar"][data-current="false"]').wait_for(timeout=5000)
    with run_gateway(tmp_path / "second", port=first.port, media_port=first.media_port) as second:
        sees_channels(cleo, {}, within=15)
        ben = Person.new_in(chromium.browser.new_context(), second.url, "Ben")
        ben.joins("attic")
        sees_channels(cleo, {"attic": ["Ben"]})
        for person in (ben, cleo):
            person.closes_page()
            person.ignores_errors_with("WebSocket connection")  # the page has tried to connect during the restart
        assert ada.errors + ben.errors + cleo.errors == []
        second.becomes_empty()


def test_a_gateway_that_asks_for_a_token_shows_its_channels_only_with_it(chromium: Chromium, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--join-token", "open sesame") as guarded:
        ada = Person.new_in(chromium.browser.new_context(), guarded.url, "Ada")
        ada.opens("cave")
        ada.page.wait_for_load_state("networkidle")
        ada.presses("join")
        ada.has_focus_on("token")
        assert ada.page.get_by_test_id("sidebar").count() == 0
        ada.page.keyboard.type("open sesame")
        ada.page.keyboard.press("Enter")
        ada.sees_together(1, within=5)
        sees_channels(ada, {"cave": ["Ada"]})
        ada.closes_page()
        assert ada.errors == []
        guarded.becomes_empty()
