"""A moderator mutes, deafens, locks, removes and ends in the page, and everybody reads what happened."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.person import Person
from tests.gateway_process import GatewayProcess, run_gateway
from tests.identity.made_up_keys import SECRET, sign, write_key


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GatewayProcess]:
    with run_gateway(tmp_path / "log", "--token-keys", write_key(tmp_path, "k1", SECRET)) as gateway:
        yield gateway


def token(user: str, *grants: str) -> str:
    usual = ["publish", "subscribe", "message"]
    return sign({"sub": user, "exp": time.time() + 600, "channel": "cave", "can": [*usual, *grants]})


def enter(chromium: Chromium, gateway: GatewayProcess, name: str, *grants: str) -> Person:
    """Somebody who opens the page and gives it a token."""
    person = Person.new_in(chromium.browser.new_context(), gateway.url, name)
    person.opens("cave")
    person.presses("join")
    person.has_focus_on("token")
    person.page.keyboard.type(token(name.lower(), *grants))
    person.page.keyboard.press("Enter")
    return person


def test_a_moderator_mutes_deafens_locks_removes_and_ends_a_call(chromium: Chromium, guarded: GatewayProcess) -> None:
    mia, ben = enter(chromium, guarded, "Mia", "moderate"), enter(chromium, guarded, "Ben")
    mia.sees_together(2, within=10)
    mia.watches_and_hears("ben", by=time.monotonic() + 10)
    assert ben.page.get_by_test_id("moderate").count() == 0
    assert ben.page.get_by_test_id("moderate-channel").count() == 0

    mia.presses("moderate")
    mia.presses("moderate-microphone")
    ben.sees("notice", code="moderated")
    assert "A moderator muted your microphone" in ben.page.get_by_test_id("notice").inner_text()
    mia.sees("tile", user_id="ben", muted="true")
    ben.presses("mute")  # which asks to speak again, in vain
    ben.page.get_by_text("A moderator muted your microphone").wait_for()
    mia.sees("tile", user_id="ben", muted="true")

    mia.presses("moderate")
    mia.presses("moderate-microphone")
    ben.no_longer_sees("notice", code="moderated")
    ben.presses("mute")
    mia.sees("tile", user_id="ben", muted="false")

    mia.presses("moderate")
    mia.presses("moderate-deafen")
    ben.page.get_by_text("A moderator deafened you").wait_for()
    for person in (mia, ben):
        person.sees("tile", user_id="ben", deafened="true")
    ben.page.wait_for_timeout(3000)  # Then a stream that stands still shows as one.
    ben.sees("tile", user_id="mia", reconnecting="false")
    mia.presses("moderate")
    mia.presses("moderate-deafen")
    ben.sees("tile", user_id="ben", deafened="false")
    ben.watches_and_hears("mia", by=time.monotonic() + 10)

    mia.presses("moderate-channel")
    mia.presses("moderate-lock")
    ben.sees("locked")
    eve = enter(chromium, guarded, "Eve")
    eve.page.get_by_text("This channel is locked").wait_for()

    mia.presses("moderate")
    mia.presses("moderate-remove")
    ben.page.get_by_text("A moderator removed you from this channel").wait_for()
    mia.sees_together(1, within=5)

    mia.presses("moderate-channel")
    mia.presses("moderate-end")
    mia.page.get_by_text("The call has ended").wait_for()
    for person in (mia, ben, eve):
        person.closes_page()
        assert person.errors == []
    guarded.becomes_empty()
