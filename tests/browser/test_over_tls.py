"""The page over the gateway's own HTTPS."""

import time
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.person import Person
from tests.front_door.made_up_certificates import make_certificate
from tests.gateway_process import run_gateway

pytestmark = pytest.mark.browser


def test_two_people_call_each_other_over_https(chromium: Chromium, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", *make_certificate(tmp_path).options) as gateway:
        plain = gateway.url.replace("https://", "http://")  # people type addresses without a scheme
        ada, ben = (
            Person.new_in(chromium.browser.new_context(ignore_https_errors=True), plain, name)
            for name in ("Ada", "Ben")
        )
        for person in (ada, ben):
            person.joins("lobby")
            assert person.page.url.startswith(f"{gateway.url}/c/lobby")
        ada.watches_and_hears(ben.user_id, by=time.monotonic() + 15)
        ben.watches_and_hears(ada.user_id, by=time.monotonic() + 15)
        for person in (ada, ben):
            assert person.page.evaluate("isSecureContext")
            person.closes_page()
            assert person.errors == []
