"""A separate Chromium process with fake devices and without a window, which a test may kill."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from playwright.sync_api import Browser, Playwright

from tests.gateway_process import poll_until
from tools.chromium import FLAGS, find_chromium

_START_TIMEOUT = 30


@frozen
class Chromium:
    """A browser process, and Playwright's connection to it."""

    process: "subprocess.Popen[bytes]"
    browser: Browser

    def kill(self) -> None:
        """End the browser with SIGKILL, as the kernel does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def run_chromium(playwright: Playwright, profile: Path, *flags: str) -> Iterator[Chromium]:
    """Start a browser with a profile in a new folder."""
    command = [
        find_chromium(),
        *FLAGS,
        *flags,
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
    ]
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

    return int(poll_until(look, lambda lines: len(lines) == 2, _START_TIMEOUT)[0])
