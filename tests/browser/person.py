"""Somebody in front of the web client, and what they see and hear."""

import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page

Stats = dict[str, Any]


@define
class Person:
    """A page in a browser context of its own."""

    name: str
    url: str
    page: Page
    complaints: list[str] = field(factory=list)

    @classmethod
    def sits_down(cls, context: BrowserContext, url: str, name: str) -> "Person":
        person = cls(name, url, context.new_page())
        person.page.on("console", lambda message: person._read_console(message))
        person.page.on("pageerror", lambda error: person.complaints.append(str(error)))
        return person

    def _read_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def joins(self, channel: str, **query: str | int) -> None:
        """Follow a link that joins by itself, and wait to be in."""
        self.opens(channel, **query)
        self.sees("together", within=10)

    def opens(self, channel: str, **query: str | int) -> None:
        """Follow that link, whatever comes of it."""
        self.page.goto(f"{self.url}/c/{quote(channel)}?{urlencode({'name': self.name, 'join': 1, **query})}")

    @property
    def user_id(self) -> str:
        return str(self.page.evaluate("window.__room.state().self"))

    def sees(self, test_id: str, within: float = 5, **attributes: str) -> Locator:
        """Wait for something to be there; ``attributes`` are its data attributes."""
        named = "".join(f'[data-{name.replace("_", "-")}="{value}"]' for name, value in attributes.items())
        locator = self.page.locator(f'[data-testid="{test_id}"]{named}')
        locator.first.wait_for(state="visible", timeout=within * 1000)
        return locator

    def does_not_see(self, test_id: str, within: float = 5) -> None:
        """Wait for something to be gone."""
        self.page.get_by_test_id(test_id).first.wait_for(state="detached", timeout=within * 1000)

    def presses(self, test_id: str) -> None:
        self.page.get_by_test_id(test_id).click()

    def sees_together(self, count: int, within: float) -> None:
        """Wait until the page says that so many are there."""
        self.page.wait_for_function(
            """wanted => document.querySelector('[data-testid="together"]')?.textContent === wanted""",
            arg=f"Together now: {count}",
            polling=20,
            timeout=within * 1000,
        )

    def inbound(self) -> dict[tuple[str, str], Stats]:
        """What the browser measures of what it receives, by user id and source."""
        entries: list[Stats] = self.page.evaluate("window.__room.stats()")["inbound"]
        return {(entry["userId"], entry["source"]): entry for entry in entries}

    def outbound(self) -> dict[str, Stats]:
        """What the browser measures of what it sends, by source."""
        entries: list[Stats] = self.page.evaluate("window.__room.stats()")["outbound"]
        return {entry["source"]: entry for entry in entries}

    def frames_from(self, user_id: str, source: str = "camera") -> int:
        """How many of somebody's pictures were decoded."""
        return int(self.inbound().get((user_id, source), {}).get("framesDecoded", 0))

    def energy_from(self, user_id: str, source: str = "microphone") -> float:
        """How much sound came from somebody."""
        return float(self.inbound().get((user_id, source), {}).get("totalAudioEnergy", 0))

    def watches_and_hears(self, user_id: str, by: float) -> None:
        """From ``by`` (on the monotonic clock) at the latest, pictures and sound of somebody come, for 3 s on end."""
        last: tuple[int, float] = (0, 0.0)
        while not (last[0] > 0 and last[1] > 0):
            assert time.monotonic() < by, f"{self.name} has {last} (pictures, sound energy) of {user_id}"
            self.page.wait_for_timeout(100)
            last = (self.frames_from(user_id), self.energy_from(user_id))
        for _ in range(3):
            self.page.wait_for_timeout(1000)
            now = (self.frames_from(user_id), self.energy_from(user_id))
            assert now[0] > last[0], f"{self.name}: the picture of {user_id} stands still at {now[0]}"
            assert now[1] > last[1], f"{self.name}: {user_id} cannot be heard"
            last = now

    def tab_closes(self) -> None:
        self.page.close()

    def leaves_nothing_wrong(self) -> None:
        """Close the page, if it is still there; it must have had nothing to complain of."""
        with suppress(Error):  # where its browser was killed
            self.page.context.close()
        assert self.complaints == []
