"""A separate Firefox process with fake devices and without a window, and the people who use it."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, frozen

from tests.gateway_process import ENVIRONMENT, poll_until
from tools.firefox import FLAGS, find_firefox, write_profile
from tools.marionette import Marionette

_START_TIMEOUT = 60
_NONE: Mapping[str, object] = {}


@frozen
class Firefox:
    """A browser process, and the Marionette connection to it."""

    marionette: Marionette

    def new_person(self, url: str, name: str) -> "FirefoxPerson":
        """A person with a new window."""
        window = self.marionette.command("WebDriver:NewWindow", type="window")["handle"]
        return FirefoxPerson(self.marionette, window, url, name)


@define
class FirefoxPerson:
    """A person who uses the web client in Firefox.

    All people share one Marionette session, so each call first switches to the person's window.
    """

    marionette: Marionette
    window: str
    url: str
    name: str

    def joins(self, channel: str) -> None:
        """Follow a link, press Join, and wait until joined."""
        self._look()
        self.marionette.command(
            "WebDriver:Navigate", url=f"{self.url}/c/{quote(channel)}?{urlencode({'name': self.name})}"
        )
        self.marionette.click("[data-testid=join]")
        poll_until(lambda: self.asks("window.__room.state().phase"), lambda phase: phase == "joined", within=10)

    def asks(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page.  It may contain ``await``."""
        self._look()
        return self.marionette.evaluate(expression)

    @property
    def user_id(self) -> str:
        return str(self.asks("window.__room.state().self"))

    def stats(self, direction: str) -> list[dict[str, Any]]:
        """The browser's statistics of its ``inbound`` or ``outbound`` streams."""
        found: list[dict[str, Any]] = self.asks("await window.__room.stats()")[direction]
        return found

    def frames_from(self, user_id: str) -> int:
        """Return the number of decoded frames of a user's camera."""
        of_them = (each for each in self.stats("inbound") if (each["userId"], each["source"]) == (user_id, "camera"))
        return int(next(of_them, {}).get("framesDecoded", 0))

    def watches(self, user_id: str, within: float) -> None:
        """Check that frames of a user arrive within ``within`` seconds, and keep arriving."""
        frames_grow(lambda: self.frames_from(user_id), within)

    def watches_again(self, user_id: str, within: float) -> None:
        """Check that more frames of a user arrive within ``within`` seconds, and keep arriving."""
        had = self.frames_from(user_id)
        frames_grow(lambda: self.frames_from(user_id) - had, within)

    def producers(self) -> set[str]:
        """The ids of all producers in the participant list."""
        participants = self.asks("window.__room.state().participants")
        return {producer["producerId"] for each in participants for producer in each["producers"]}

    def reads(self, test_id: str, within: float) -> str:
        """The text of an element, once it exists."""
        selector = f"document.querySelector('[data-testid={test_id}]')?.textContent"
        return str(poll_until(lambda: self.asks(selector), lambda text: text is not None, within))

    def leaves(self) -> None:
        """Press Leave, wait for the form, and go to another page.  The form would go on watching the channels."""
        self._look()
        self.marionette.click("[data-testid=leave]")
        poll_until(lambda: self.asks("window.__room.state().phase"), lambda phase: phase == "idle", within=5)
        self.marionette.command("WebDriver:Navigate", url="about:blank")

    def _look(self) -> None:
        self.marionette.command("WebDriver:SwitchToWindow", handle=self.window)


def frames_grow(look: Callable[[], int], within: float) -> None:
    """Check that the number of frames is above 0 within ``within`` seconds, and ten higher soon after.

    On a busy machine a browser may decode the first frame, and the next one more than a second later.
    """
    first = poll_until(look, lambda frames: frames > 0, within)
    poll_until(look, lambda frames: frames >= first + 10, 10)


@contextmanager
def run_firefox(profile: Path, more: Mapping[str, object] = _NONE) -> Iterator[Firefox]:
    """Start a browser with ``more`` preferences and a profile in a new folder."""
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

    return int(poll_until(look, bool, _START_TIMEOUT))
