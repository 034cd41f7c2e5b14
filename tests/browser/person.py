"""Somebody in front of the web client, and what they see and hear."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page

Stats = dict[str, Any]

_STICKING_OUT = """() => {
  const isOut = ({ left, right, width }) => width > 0 && (left < -1 || right > innerWidth + 1);
  return [...document.querySelectorAll("body *")]
    .filter((element) => isOut(element.getBoundingClientRect()))
    .map((element) => element.outerHTML.slice(0, 100));
}"""
_MIDDLE = """selector => {
  const video = document.querySelector(selector);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.drawImage(video, video.videoWidth / 2, video.videoHeight / 2, 1, 1, 0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}"""
_NOTE_WHEN = """text => {
  window.__noted = new Promise(resolve => {
    const look = () => {
      if (document.querySelector('[data-testid="together"]')?.textContent !== text) return;
      observer.disconnect();
      resolve(Date.now());
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}"""


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
        """Follow a link, press Join, and wait to be in."""
        self.opens(channel, **query)
        self.presses("join")
        self.sees("together", within=10)

    def opens(self, channel: str, **query: str | int) -> None:
        """Follow a link with one's name in it."""
        self.page.goto(f"{self.url}/c/{quote(channel)}?{urlencode({'name': self.name, **query})}")

    @property
    def user_id(self) -> str:
        return str(self.page.evaluate("window.__room.state().self"))

    def sees(self, test_id: str, within: float = 5, **attributes: str) -> Locator:
        """Wait for something to be there; ``attributes`` are its data attributes."""
        locator = self.page.locator(_selector(test_id, attributes))
        locator.first.wait_for(state="visible", timeout=within * 1000)
        return locator

    def is_asked_for(self, test_id: str, within: float = 5) -> None:
        """Wait until what is typed goes there, without a click."""
        self.page.locator(f"{_selector(test_id, {})}:focus").wait_for(timeout=within * 1000)

    def no_longer_sees(self, test_id: str, within: float = 5, **attributes: str) -> None:
        """Wait for something to be gone."""
        self.page.locator(_selector(test_id, attributes)).first.wait_for(state="detached", timeout=within * 1000)

    def presses(self, test_id: str) -> None:
        self.page.get_by_test_id(test_id).click()

    def sees_together(self, count: int, within: float) -> None:
        """Wait until the page says that so many are there."""
        shown = self.page.locator(f'{_selector("together", {})}:text-is("Together now: {count}")')
        shown.wait_for(timeout=within * 1000)

    @contextmanager
    def sees_together_soon(self, count: int, within: float) -> Iterator[None]:
        """What is done in this block makes the page say that so many are there, ``within`` seconds from its begin.

        The page itself takes the time, so that nothing that Playwright does in between counts.
        """
        self.page.evaluate(_NOTE_WHEN, f"Together now: {count}")
        began = time.time()
        yield
        noted = self.page.evaluate("Promise.race([window.__noted, new Promise(done => setTimeout(done, 15_000))])")
        assert noted is not None, f"{self.name} never sees {count} together"
        assert noted / 1000 - began < within, f"{self.name} sees it after {noted / 1000 - began:.3f} s"

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

    def watches_and_hears(self, user_id: str, by: float, seconds: int = 1) -> None:
        """From ``by`` (on the monotonic clock) at the latest, pictures and sound of somebody come, all the time."""
        last = self._pictures_and_sound(user_id)
        while not all(last):
            assert time.monotonic() < by, f"{self.name} has {last} (pictures, sound energy) of {user_id}"
            self.page.wait_for_timeout(100)
            last = self._pictures_and_sound(user_id)
        for _ in range(seconds):
            self.page.wait_for_timeout(1000)
            now = self._pictures_and_sound(user_id)
            assert now[0] > last[0], f"{self.name}: the picture of {user_id} stands still at {now[0]}"
            assert now[1] > last[1], f"{self.name}: {user_id} cannot be heard any more"
            last = now

    def hears_in_step_with_the_picture(self, user_id: str, by: float) -> None:
        """Sound and picture of somebody that are played now were captured at the same time, give or take 0.2 s."""
        while (apart := self._apart(user_id)) is None or abs(apart) > 0.2:
            assert time.monotonic() < by, f"{self.name}: sound and picture of {user_id} are {apart} s apart"
            self.page.wait_for_timeout(250)

    def _apart(self, user_id: str) -> float | None:
        inbound = self.inbound()
        picture = inbound[user_id, "camera"].get("estimatedPlayoutTimestamp")
        sound = inbound[user_id, "microphone"].get("estimatedPlayoutTimestamp")
        return float(picture - sound) / 1000 if picture and sound else None

    def _pictures_and_sound(self, user_id: str) -> tuple[float, float]:
        inbound = self.inbound()
        picture, sound = inbound.get((user_id, "camera"), {}), inbound.get((user_id, "microphone"), {})
        return picture.get("framesDecoded", 0), sound.get("totalAudioEnergy", 0)

    def watches(self, user_id: str, source: str, by: float) -> None:
        """From ``by`` at the latest, pictures of this source come, for a second."""
        while not (before := self.frames_from(user_id, source)):
            assert time.monotonic() < by, f"{self.name} has no picture of {user_id}'s {source}"
            self.page.wait_for_timeout(100)
        self.page.wait_for_timeout(1000)
        assert self.frames_from(user_id, source) > before, f"{self.name}: {user_id}'s {source} stands still"

    def colour_of(self, user_id: str) -> tuple[int, int, int]:
        """Red, green and blue (0 to 255) in the middle of somebody's picture, as it is shown."""
        red, green, blue, _ = self.page.evaluate(_MIDDLE, _selector("video", {"user_id": user_id}))
        return red, green, blue

    def target_bitrate(self) -> float:
        """At what rate, in bit/s, the browser wants to send its camera now."""
        while not (rate := self.outbound().get("camera", {}).get("targetBitrate")):
            self.page.wait_for_timeout(50)
        return float(rate)

    def reaches_target_bitrate(self, rate: float, by: float) -> None:
        while (reached := self.target_bitrate()) < rate:
            assert time.monotonic() < by, f"{self.name}'s camera is sent at {reached} bit/s, not at {rate}"
            self.page.wait_for_timeout(250)

    def hears_nothing_of(self, user_id: str) -> None:
        """For a second, no sound comes.  What had come before may fade away first: that is the browser's doing."""
        self.page.wait_for_timeout(1000)
        before = self.energy_from(user_id)
        self.page.wait_for_timeout(1000)
        louder = self.energy_from(user_id) - before
        assert louder < 1e-6, f"{self.name} still hears {user_id}"

    def tab_closes(self) -> None:
        self.page.close()

    def goes_elsewhere(self) -> None:
        self.page.goto("data:text/html,elsewhere")

    def comes_back(self) -> None:
        """The browser's own button, not Playwright's, which waits for pages that are not loaded again in vain."""
        self.page.evaluate("setTimeout(() => history.back())")

    def was_loaded_anew(self) -> bool:
        """Of a page that was come back to: the browser decides whether it kept it."""
        self.page.locator(f"{_selector('join', {})}, {_selector('together', {})}").first.wait_for(timeout=5000)
        return bool(self.page.evaluate("performance.getEntriesByType('navigation')[0].type === 'back_forward'"))

    def forgives(self, words: str) -> None:
        """What the browser complains of with these words is part of the test."""
        self.complaints[:] = [complaint for complaint in self.complaints if words not in complaint]

    def goes(self) -> None:
        """Close whatever is still there of the page."""
        with suppress(Error):  # where its browser was killed
            self.page.context.close()

    def asks_untouched(self, expression: str) -> Any:
        """Evaluate something in the page; what Playwright evaluates counts as a touch, this does not."""
        session = self.page.context.new_cdp_session(self.page)
        answer = session.send(
            "Runtime.evaluate", {"expression": expression, "userGesture": False, "returnByValue": True}
        )
        session.detach()
        return answer["result"].get("value")

    def sees_untouched(self, test_id: str, within: float) -> None:
        """Wait for something to be there without touching the page."""
        deadline = time.monotonic() + within
        while not self.asks_untouched(f"document.querySelector('[data-testid={test_id}]') !== null"):
            assert time.monotonic() < deadline, f"{self.name} does not see {test_id}"
            self.page.wait_for_timeout(100)

    def sticks_out(self) -> list[str]:
        """What of the page reaches beyond the left or right of its window."""
        found: list[str] = self.page.evaluate(_STICKING_OUT)
        return found


def _selector(test_id: str, attributes: dict[str, str]) -> str:
    data = "".join(f'[data-{name.replace("_", "-")}="{value}"]' for name, value in attributes.items())
    return f'[data-testid="{test_id}"]{data}'
