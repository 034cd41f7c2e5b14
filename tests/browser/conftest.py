"""One gateway and one browser for each test file.  Every test uses a channel of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from tests.browser.chromium import Chromium, run_chromium
from tests.browser.person import Person
from tests.gateway_process import GatewayProcess, run_gateway
from tools.chromium import PERMITTED, TOUCHED


class Invite(Protocol):
    def __call__(self, name: str, context: BrowserContext | None = None) -> Person: ...


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_gateway(tmp_path_factory.mktemp("gateway") / "log") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    profile: Path = tmp_path_factory.mktemp("chromium") / "profile"
    with run_chromium(playwright, profile, PERMITTED, TOUCHED) as chromium:
        yield chromium


@pytest.fixture
def invite(gateway: GatewayProcess, chromium: Chromium, request: pytest.FixtureRequest) -> Iterator[Invite]:
    """Opens the page for people, by name.

    After the test it closes their pages, and checks that the gateway is empty and that no page logged an error.
    """
    people: list[Person] = []

    def invite(name: str, context: BrowserContext | None = None) -> Person:
        people.append(Person.new_in(context or chromium.browser.new_context(), gateway.url, name))
        return people[-1]

    yield invite
    for person in people:
        person.closes_page()
    # The gateway ends a connection that a frozen relay left open 9.5 s after its last packet.
    gateway.becomes_empty(within=12 if "relay" in request.fixturenames else 3)
    assert [error for person in people for error in person.errors] == []
