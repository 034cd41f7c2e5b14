"""A Firefox process of one's own, with fake devices and without a window, and the people in front of it."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, frozen

from tests.browser.marionette import Marionette
from tests.gateway_process import ENVIRONMENT, eventually
from tools.firefox import FLAGS, find_firefox, write_profile

_START_TIMEOUT = 60
_NONE: Mapping[str, object] = {}


@frozen
class Firefox:
    """A browser process and Marionette's hold on it."""

    marionette: Marionette

    def sits_down(self, url: str, name: str) -> "FirefoxPerson":
        """Somebody in a window of their own."""
        window = self.marionette.command("WebDriver:NewWindow", type="window")["handle"]
        return FirefoxPerson(self.marionette, window, url, name)


@define
class FirefoxPerson:
    """Somebody in front of the web client in Firefox.  They look one after the other: it has one remote control."""

    marionette: Marionette
    window: str
    url: str
    name: str

    def joins(self, channel: str) -> None:
        """Follow a link, press Join, and wait to be in."""
        self._look()
        self.marionette.command(
            "WebDriver:Navigate", url=f"{self.url}/c/{quote(channel)}?{urlencode({'name': self.name})}"
        )
        self.marionette.click("[data-testid=join]")
        eventually(lambda: self.asks("window.__room.state().phase"), lambda phase: phase == "joined", within=10)

    def asks(self, expression: str) -> Any:
        """The value of an expression in the page, awaited where it says so."""
        self._look()
        return self.marionette.evaluate(expression)

    @property
    def user_id(self) -> str:
        return str(self.asks("window.__room.state().self"))

    def stats(self, way: str) -> list[dict[str, Any]]:
        """What the browser measures of what is ``inbound`` or ``outbound``."""
        found: list[dict[str, Any]] = self.asks("await window.__room.stats()")[way]
        return found

    def frames_from(self, user_id: str) -> int:
        """How many pictures of somebody's camera were decoded."""
        of_them = (each for each in self.stats("inbound") if (each["userId"], each["source"]) == (user_id, "camera"))
        return int(next(of_them, {}).get("framesDecoded", 0))

    def watches(self, user_id: str, within: float) -> None:
        """Pictures of somebody come within so many seconds, and go on to come."""
        frames_grow(lambda: self.frames_from(user_id), within)

    def watches_again(self, user_id: str, within: float) -> None:
        """The same of somebody whose pictures came before."""
        had = self.frames_from(user_id)
        frames_grow(lambda: self.frames_from(user_id) - had, within)

    def producers(self) -> set[str]:
        """Everything that the list shows somebody to send."""
        participants = self.asks("window.__room.state().participants")
        return {producer["producerId"] for each in participants for producer in each["producers"]}

    def reads(self, test_id: str, within: float) -> str:
        """The text of something, once it is there."""
        selector = f"document.querySelector('[data-testid={test_id}]')?.textContent"
        return str(eventually(lambda: self.asks(selector), lambda text: text is not None, within))

    def leaves(self) -> None:
        self._look()
        self.marionette.click("[data-testid=leave]")

    def _look(self) -> None:
        self.marionette.command("WebDriver:SwitchToWindow", handle=self.window)


def frames_grow(look: Callable[[], int], within: float) -> None:
    """The number is not 0 within so many seconds, and then grows for a second."""
    first = eventually(look, lambda frames: frames > 0, within)
    time.sleep(1)
    assert look() > first, f"the picture stands still at {first}"


@contextmanager
def run_firefox(profile: Path, more: Mapping[str, object] = _NONE) -> Iterator[Firefox]:
    """Start a browser that keeps its profile, with ``more`` preferences, in a folder of its own."""
    write_profile(profile, more)
    command = [find_firefox(), *FLAGS, "--profile", str(profile)]
    with (
        (profile / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT) as process,
    ):
        try:
            with Marionette(_port(process, profile)) as marionette:
                yield Firefox(marionette)
                marionette.command("Marionette:Quit", flags=["eForceQuit"])
                process.wait(20)
        finally:
            if process.poll() is None:
                process.kill()


def _port(process: "subprocess.Popen[bytes]", profile: Path) -> int:
    file = profile / "MarionetteActivePort"

    def look() -> str:
        assert process.poll() is None, (profile / "log").read_text(errors="replace")
        return file.read_text().strip() if file.exists() else ""

    return int(eventually(look, bool, _START_TIMEOUT))
