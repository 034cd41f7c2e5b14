"""A person who uses the web client in Chromium, and checks of everything they see and hear."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page

Stats = dict[str, Any]

_OVERFLOWING = """() => {
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
_SET_HIDDEN = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
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
    """A person with a page in a browser context of its own."""

    name: str
    url: str
    page: Page
    errors: list[str] = field(factory=list)

    @classmethod
    def new_in(cls, context: BrowserContext, url: str, name: str) -> "Person":
        person = cls(name, url, context.new_page())
        person.page.on("console", lambda message: person._read_console(message))
        person.page.on("pageerror", lambda error: person.errors.append(str(error)))
        return person

    def _read_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    def joins(self, channel: str, **query: str | int) -> None:
        """Follow a link, press Join, and wait until joined."""
        self.opens(channel, **query)
        self.presses("join")
        self.sees("together", within=10)

    def opens(self, channel: str, **query: str | int) -> None:
        """Follow a link that contains the person's name."""
        self.page.goto(f"{self.url}/c/{quote(channel)}?{urlencode({'name': self.name, **query})}")

    @property
    def user_id(self) -> str:
        return str(self.page.evaluate("window.__room.state().self"))

    def sees(self, test_id: str, within: float = 5, **attributes: str) -> Locator:
        """Wait until an element is visible.  ``attributes`` are its data attributes."""
        locator = self.page.locator(_selector(test_id, attributes))
        locator.first.wait_for(state="visible", timeout=within * 1000)
        return locator

    def has_focus_on(self, test_id: str, within: float = 5) -> None:
        """Wait until this element has the keyboard's focus."""
        self.page.locator(f"{_selector(test_id, {})}:focus").wait_for(timeout=within * 1000)

    def no_longer_sees(self, test_id: str, within: float = 5, **attributes: str) -> None:
        """Wait until an element is gone."""
        self.page.locator(_selector(test_id, attributes)).first.wait_for(state="detached", timeout=within * 1000)

    def presses(self, test_id: str) -> None:
        self.page.get_by_test_id(test_id).click()

    def sees_together(self, count: int, within: float) -> None:
        """Wait until the page shows this number of participants."""
        shown = self.page.locator(f'{_selector("together", {})}:text-is("Together now: {count}")')
        shown.wait_for(timeout=within * 1000)

    @contextmanager
    def will_see_together(self, count: int, within: float) -> Iterator[None]:
        """The block makes the page show this number of participants, ``within`` seconds from the block's beginning.

        The page itself notes the time, so that Playwright's own delays do not count.
        """
        self.page.evaluate(_NOTE_WHEN, f"Together now: {count}")
        began = time.time()
        yield
        noted = self.page.evaluate("Promise.race([window.__noted, new Promise(done => setTimeout(done, 15_000))])")
        assert noted is not None, f"{self.name} never sees {count} together"
        assert noted / 1000 - began < within, f"{self.name} sees it after {noted / 1000 - began:.3f} s"

    def inbound(self) -> dict[tuple[str, str], Stats]:
        """The browser's statistics of received streams, by user id and source."""
        entries: list[Stats] = self.page.evaluate("window.__room.stats()")["inbound"]
        return {(entry["userId"], entry["source"]): entry for entry in entries}

    def sent_encodings(self, source: str = "camera") -> list[Stats]:
        """The browser's statistics of a sent stream: one entry for each encoding, in rising quality."""
        entries: list[Stats] = self.page.evaluate("window.__room.stats()")["outbound"]
        return sorted((one for one in entries if one["source"] == source), key=lambda one: str(one.get("rid", "")))

    def frames_from(self, user_id: str, source: str = "camera") -> int:
        """Return the number of decoded video frames of a user."""
        return int(self.inbound().get((user_id, source), {}).get("framesDecoded", 0))

    def width_from(self, user_id: str) -> int:
        """The width in pixels of the newest decoded picture of a user's camera; 0 without any."""
        return int(self.inbound().get((user_id, "camera"), {}).get("frameWidth", 0))

    def sees_width(self, user_id: str, low: int, high: int, within: float) -> None:
        """Wait until a user's camera comes in a width from ``low`` to ``high`` pixels."""
        deadline = time.monotonic() + within
        while not low <= (width := self.width_from(user_id)) <= high:
            assert time.monotonic() < deadline, f"{self.name} sees {user_id} {width} pixels wide"
            self.page.wait_for_timeout(100)

    def energy_from(self, user_id: str, source: str = "microphone") -> float:
        """The sound energy that came from a user so far."""
        return float(self.inbound().get((user_id, source), {}).get("totalAudioEnergy", 0))

    def watches_and_hears(self, user_id: str, by: float, seconds: int = 1) -> None:
        """Video and sound of a user arrive by ``by`` (monotonic clock), and keep arriving for ``seconds``."""
        last = self._frames_and_energy(user_id)
        while not all(last):
            assert time.monotonic() < by, f"{self.name} has {last} (frames, sound energy) of {user_id}"
            self.page.wait_for_timeout(100)
            last = self._frames_and_energy(user_id)
        for _ in range(seconds):
            self.page.wait_for_timeout(1000)
            now = self._frames_and_energy(user_id)
            assert now[0] > last[0], f"{self.name}: the video of {user_id} stands still at frame {now[0]}"
            assert now[1] > last[1], f"{self.name}: {user_id} cannot be heard any more"
            last = now

    def hears_in_sync_with_video(self, user_id: str, by: float) -> None:
        """The sound and the frame of a user that play now were captured at the same time, within 0.2 s."""
        while (apart := self._seconds_apart(user_id)) is None or abs(apart) > 0.2:
            assert time.monotonic() < by, f"{self.name}: sound and video of {user_id} are {apart} s apart"
            self.page.wait_for_timeout(250)

    def _seconds_apart(self, user_id: str) -> float | None:
        inbound = self.inbound()
        picture = inbound[user_id, "camera"].get("estimatedPlayoutTimestamp")
        sound = inbound[user_id, "microphone"].get("estimatedPlayoutTimestamp")
        return float(picture - sound) / 1000 if picture and sound else None

    def _frames_and_energy(self, user_id: str) -> tuple[float, float]:
        inbound = self.inbound()
        picture, sound = inbound.get((user_id, "camera"), {}), inbound.get((user_id, "microphone"), {})
        return picture.get("framesDecoded", 0), sound.get("totalAudioEnergy", 0)

    def watches(self, user_id: str, source: str, by: float) -> None:
        """Check that frames of this source arrive by ``by``, and keep arriving for a second."""
        while not (before := self.frames_from(user_id, source)):
            assert time.monotonic() < by, f"{self.name} has no frame of {user_id}'s {source}"
            self.page.wait_for_timeout(100)
        self.page.wait_for_timeout(1000)
        assert self.frames_from(user_id, source) > before, f"{self.name}: {user_id}'s {source} stands still"

    def colour_of(self, user_id: str) -> tuple[int, int, int]:
        """Red, green and blue (0 to 255) in the middle of a user's video, as the page shows it."""
        red, green, blue, _ = self.page.evaluate(_MIDDLE, _selector("video", {"user_id": user_id}))
        return red, green, blue

    def target_bitrate(self) -> float:
        """The bitrate, in bit/s, at which the browser aims to send all encodings of its camera now."""
        while not (rate := sum(one.get("targetBitrate", 0) for one in self.sent_encodings())):
            self.page.wait_for_timeout(50)
        return float(rate)

    def reaches_target_bitrate(self, rate: float, by: float) -> None:
        while (reached := self.target_bitrate()) < rate:
            assert time.monotonic() < by, f"{self.name}'s camera is sent at {reached} bit/s, not at {rate}"
            self.page.wait_for_timeout(250)

    def hears_nothing_of(self, user_id: str) -> None:
        """Check that no sound arrives for a second.  The browser may first fade out the sound that it has."""
        self.page.wait_for_timeout(1000)
        before = self.energy_from(user_id)
        self.page.wait_for_timeout(1000)
        louder = self.energy_from(user_id) - before
        assert louder < 1e-6, f"{self.name} still hears {user_id}"

    def puts_the_page_in_the_background(self) -> None:
        """Let the page believe that another tab is in front of it.  A browser without a window shows all its tabs."""
        self.page.evaluate(_SET_HIDDEN, True)

    def brings_the_page_back(self) -> None:
        self.page.evaluate(_SET_HIDDEN, False)

    def closes_tab(self) -> None:
        self.page.close()

    def navigates_away(self) -> None:
        self.page.goto("data:text/html,elsewhere")

    def presses_the_back_button(self) -> None:
        """Go back as a person does.  Playwright's own method would wait in vain for a page that is not reloaded."""
        self.page.evaluate("setTimeout(() => history.back())")

    def page_was_reloaded(self) -> bool:
        """Whether the browser reloaded the page after the back button.  It may also have kept the page."""
        self.page.locator(f"{_selector('join', {})}, {_selector('together', {})}").first.wait_for(timeout=5000)
        return bool(self.page.evaluate("performance.getEntriesByType('navigation')[0].type === 'back_forward'"))

    def ignores_errors_with(self, words: str) -> None:
        """Forget logged errors with these words, because the test expects them."""
        self.errors[:] = [error for error in self.errors if words not in error]

    def closes_page(self) -> None:
        """Close the page and its context, unless they are closed already."""
        with suppress(Error):  # its browser may have been killed
            self.page.context.close()

    def evaluates_without_gesture(self, expression: str) -> Any:
        """Evaluate an expression without a user gesture.  Playwright's own ``evaluate`` counts as a gesture."""
        session = self.page.context.new_cdp_session(self.page)
        answer = session.send(
            "Runtime.evaluate", {"expression": expression, "userGesture": False, "returnByValue": True}
        )
        session.detach()
        return answer["result"].get("value")

    def sees_without_gesture(self, test_id: str, within: float) -> None:
        """Wait until an element exists, without a user gesture."""
        deadline = time.monotonic() + within
        while not self.evaluates_without_gesture(f"document.querySelector('[data-testid={test_id}]') !== null"):
            assert time.monotonic() < deadline, f"{self.name} does not see {test_id}"
            self.page.wait_for_timeout(100)

    def overflowing_elements(self) -> list[str]:
        """The elements that reach beyond the left or right edge of the window."""
        found: list[str] = self.page.evaluate(_OVERFLOWING)
        return found


def _selector(test_id: str, attributes: dict[str, str]) -> str:
    data = "".join(f'[data-{name.replace("_", "-")}="{value}"]' for name, value in attributes.items())
    return f'[data-testid="{test_id}"]{data}'
