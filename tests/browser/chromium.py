"""A Chromium process of one's own: with fake devices, without a window, and killable."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from playwright.sync_api import Browser, Playwright

from tests.browser.gateway_process import eventually

_START_TIMEOUT = 30
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # needed where the tests run as root
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    # Pages are looked at side by side; none is in the background.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter",
)
#: The person answers every question for a device with yes.
PERMITTED = "--use-fake-ui-for-media-stream"
#: The person has touched the page before: sound plays.
TOUCHED = "--autoplay-policy=no-user-gesture-required"


@frozen
class Chromium:
    """A browser process and Playwright's hold on it."""

    process: "subprocess.Popen[bytes]"
    browser: Browser

    def kill(self) -> None:
        """End the browser as the kernel does it when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


def find_chromium() -> str:
    """The browser named by CHROMIUM, or the first that is installed."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    assert found, "no Chromium: install it (apt install chromium) or name it in the environment as CHROMIUM"
    return found


@contextmanager
def run_chromium(playwright: Playwright, profile: Path, *flags: str) -> Iterator[Chromium]:
    """Start a browser that keeps its profile in a folder of its own."""
    command = [find_chromium(), *_FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
    profile.mkdir(parents=True)
    with (profile / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{_debugging_port(process, profile)}")
            yield Chromium(process, browser)
            if process.poll() is None:
                browser.new_browser_cdp_session().send("Browser.close")
                process.wait(10)
        finally:
            if process.poll() is None:
                process.kill()


def _debugging_port(process: "subprocess.Popen[bytes]", profile: Path) -> int:
    file = profile / "DevToolsActivePort"

    def look() -> list[str]:
        assert process.poll() is None, (profile / "log").read_text(errors="replace")
        return file.read_text().splitlines() if file.exists() else []

    return int(eventually(look, lambda lines: len(lines) == 2, _START_TIMEOUT)[0])
