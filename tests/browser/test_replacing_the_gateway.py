"""A deploy during a call in the browser: the pages are back within 3 s, and nobody presses a button."""

import signal
import time
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.person import Person
from tests.front_door.test_replacing_a_gateway import BACK_SECONDS, free_port, started

pytestmark = pytest.mark.browser

NOTE_RETURN = """window.__back = new Promise(resolve => {
  let lostAt;
  setInterval(() => {
    const { phase, participants } = window.__room.state();
    if (phase !== "joined") lostAt ??= performance.now();
    else if (lostAt !== undefined && participants.length === 2) resolve((performance.now() - lostAt) / 1000);
  }, 10);
}), undefined"""


def test_two_people_in_a_call_are_back_within_three_seconds(chromium: Chromium, tmp_path: Path) -> None:
    options, port = ("--state-dir", str(tmp_path / "state")), free_port()
    with started(tmp_path / "old", *options, port=port) as old:
        url = old.listening().url
        ada, ben = (Person.new_in(chromium.browser.new_context(), url, name) for name in ("Ada", "Ben"))
        for person in (ada, ben):
            person.joins("lobby")
        ada.watches_and_hears(ben.user_id, by=time.monotonic() + 15)
        users = {ada.user_id, ben.user_id}
        with started(tmp_path / "new", *options, port=port) as new:
            new.waits()
            for person in (ada, ben):
                person.page.evaluate(NOTE_RETURN)
            old.process.send_signal(signal.SIGTERM)
            for person in (ada, ben):
                assert person.page.evaluate("window.__back") <= BACK_SECONDS
            assert old.ended() == 0
            assert {ada.user_id, ben.user_id} == users
            ada.watches_and_hears(ben.user_id, by=time.monotonic() + 15)
            ben.watches_and_hears(ada.user_id, by=time.monotonic() + 15)
            for person in (ada, ben):
                person.closes_page()
                person.ignores_errors_with("WebSocket connection")  # the first attempt may come too early
                assert person.errors == []
            new.listening().becomes_empty()
