"""A call survives a change of the network: the page resumes its session, and nobody sees the person leave."""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright

from tests.browser.chromium import Chromium, run_chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person
from tests.browser.relay import Relay, open_relay
from tests.gateway_process import GatewayProcess, poll_until
from tools.chromium import PERMITTED, TOUCHED

pytestmark = pytest.mark.browser

RESUMES = 'sfu_resumes_total{sent="missing_messages"}'
NOTE_LEAVES = """window.__left = [];
new MutationObserver(() => {
  const text = document.querySelector('[data-testid="news"]')?.textContent ?? "";
  if (text.includes("left")) window.__left.push(text);
  if (document.querySelector('[data-testid="join"]')) window.__left.push("the form");
}).observe(document.body, { subtree: true, childList: true, characterData: true })"""


@pytest.fixture
def relay(gateway: GatewayProcess) -> Iterator[Relay]:
    with open_relay(gateway.port) as relay:
        yield relay


def talk(ada: Person, ben: Person, channel: str) -> None:
    """Let two people join, wait until they see and hear each other, and let their pages note who leaves."""
    ada.joins(channel)
    ben.joins(channel)
    both_see_and_hear(ada, ben)
    for person in (ada, ben):
        person.page.evaluate(NOTE_LEAVES)


def both_see_and_hear(ada: Person, ben: Person) -> None:
    ada.watches_and_hears(ben.user_id, by=time.monotonic() + 15)
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 15)


def both_see_again(ada: Person, ben: Person) -> None:
    """Wait until more pictures come both ways.  After a trouble the first ones may take a moment."""
    sees_again(ada, ben.user_id)
    sees_again(ben, ada.user_id)


def sees_again(person: Person, user_id: str) -> None:
    had = person.frames_from(user_id)
    poll_until(lambda: person.frames_from(user_id) - had, lambda frames: frames > 15, within=10)


def state_of(person: Person) -> dict[str, Any]:
    state: dict[str, Any] = person.page.evaluate("window.__room.state()")
    return state


def nobody_left(ada: Person, ben: Person) -> None:
    for person in (ada, ben):
        assert person.page.evaluate("window.__left") == []


def through(relay: Relay, person: Person) -> Person:
    """Let this person reach the gateway only through the relay."""
    person.url = relay.url
    return person


@contextmanager
def resumes_once(gateway: GatewayProcess, within: float) -> Iterator[None]:
    """The block makes exactly one page resume its session, ``within`` seconds after the block."""
    before = gateway.metrics().get(RESUMES, 0)
    yield
    poll_until(lambda: gateway.metrics().get(RESUMES, 0), lambda resumes: resumes > before, within)
    assert gateway.metrics()[RESUMES] == before + 1


def test_a_connection_that_passes_nothing_any_more_costs_nothing(
    gateway: GatewayProcess, relay: Relay, invite: Invite
) -> None:
    ada, ben = through(relay, invite("Ada")), invite("Ben")
    talk(ada, ben, "frozen")
    participants = state_of(ben)["participants"]
    with resumes_once(gateway, within=12):
        relay.freeze()
    ada.presses("mute")
    ben.sees("tile", user_id=ada.user_id, muted="true")
    ada.presses("mute")
    ben.sees("tile", user_id=ada.user_id, muted="false")
    both_see_again(ada, ben)
    # Only the microphone's state changed and changed back: the same people, producers and times of joining.
    assert state_of(ben)["participants"] == participants
    nobody_left(ada, ben)


def test_the_page_tells_the_gateway_its_own_ice_credentials_at_first_and_after_each_restart(
    gateway: GatewayProcess, relay: Relay, invite: Invite
) -> None:
    ada, ben = through(relay, invite("Ada")), invite("Ben")
    asked: list[Any] = []
    ada.page.on("websocket", lambda opened: opened.on("framesent", lambda frame: asked.append(json.loads(frame))))
    talk(ada, ben, "credentials")
    first = {one["data"]["transportId"]: one["data"]["iceParameters"] for one in _of("connect_transport", asked)}
    assert len(first) == 2
    ada.page.evaluate("window.dispatchEvent(new Event('online'))")

    def told_again() -> list[Any]:
        ada.page.wait_for_timeout(50)  # Playwright hands frames over only while it is called
        return _of("set_ice_parameters", asked)

    # A request may come twice, since the page changes its WebSocket meanwhile.
    later = poll_until(told_again, lambda later: _transports_of(later) == first.keys(), within=10)
    assert _transports_of(_of("restart_ice", asked)) == first.keys()
    for each in later:
        given = each["data"]["iceParameters"]
        assert given.keys() == {"usernameFragment", "password"}
        assert given != first[each["data"]["transportId"]]
    both_see_again(ada, ben)
    nobody_left(ada, ben)


def _transports_of(requests: list[Any]) -> set[str]:
    return {one["data"]["transportId"] for one in requests}


def _of(kind: str, asked: list[Any]) -> list[Any]:
    return [one for one in asked if one["type"] == kind]


def test_a_request_that_got_lost_with_the_connection_is_served_once(
    gateway: GatewayProcess, relay: Relay, invite: Invite
) -> None:
    ada, ben = through(relay, invite("Ada")), invite("Ben")
    talk(ada, ben, "requests")
    with resumes_once(gateway, within=12):
        relay.freeze()
        ada.presses("camera")
        ada.presses("mute")
    ben.sees("tile", user_id=ada.user_id, muted="true")
    poll_until(lambda: len(producers_of(ben, ada)), lambda count: count == 1, within=5)
    nobody_left(ada, ben)


def producers_of(who: Person, member: Person) -> list[dict[str, Any]]:
    """The producers of a member, as the page of ``who`` lists them."""
    participants = state_of(who)["participants"]
    return next(each["producers"] for each in participants if each["userId"] == member.user_id)


def test_after_a_reset_connection_the_page_joins_again_without_the_form(
    gateway: GatewayProcess, relay: Relay, invite: Invite
) -> None:
    """A reset ends the session at once, so that nobody who is gone is shown."""
    ada, ben = through(relay, invite("Ada")), invite("Ben")
    talk(ada, ben, "reset")
    relay.reset()
    poll_until(lambda: ben.page.evaluate("window.__left"), lambda left: len(left) > 0, within=2)
    ben.sees_together(2, within=5)
    both_see_and_hear(ada, ben)
    assert ada.page.evaluate("window.__left") == []
    # The page opens another WebSocket at once, and the reset may meet that one, too.
    ada.ignores_errors_with("WebSocket connection")


def test_five_seconds_offline_cost_nothing(invite: Invite, gateway: GatewayProcess) -> None:
    ada, ben = invite("Ada"), invite("Ben")
    talk(ada, ben, "offline")
    participants = state_of(ben)["participants"]
    ada.page.context.set_offline(True)
    time.sleep(5)
    ada.page.context.set_offline(False)
    both_see_again(ada, ben)
    poll_until(lambda: state_of(ada)["reconnecting"], lambda is_reconnecting: not is_reconnecting, within=10)
    assert state_of(ben)["participants"] == participants
    nobody_left(ada, ben)
    ada.ignores_errors_with("WebSocket connection")


def test_a_machine_that_sleeps_for_seven_seconds_wakes_up_in_the_call(
    invite: Invite, gateway: GatewayProcess, playwright: Playwright, tmp_path: Path
) -> None:
    ada = invite("Ada")
    with run_chromium(playwright, tmp_path / "profile", PERMITTED, TOUCHED) as sleeper:
        ben = invite("Ben", sleeper.browser.new_context())
        talk(ada, ben, "asleep")
        bens = ben.user_id
        with resumes_once(gateway, within=8), asleep(sleeper):
            wakes_at = time.monotonic() + 7
            ada.sees("tile", within=6, user_id=bens, reconnecting="true")
            time.sleep(max(0, wakes_at - time.monotonic()))
        ada.sees("tile", within=5, user_id=bens, reconnecting="false")
        both_see_again(ada, ben)
        nobody_left(ada, ben)


@contextmanager
def asleep(chromium: Chromium) -> Iterator[None]:
    """Stop all processes of a browser during the block."""
    with stopped(descendants(chromium.process.pid)):
        yield


@contextmanager
def stopped(processes: Sequence[int]) -> Iterator[None]:
    """Stop these processes during the block."""
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(processes):
            os.kill(pid, signal.SIGCONT)


def descendants(pid: int) -> list[int]:
    """A process and all the processes that it has started, directly or not."""
    lists = ((task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir())
    children = [int(child) for children in lists for child in children.split()]
    return [pid, *(each for child in children for each in descendants(child))]
