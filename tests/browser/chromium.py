"""A Chromium process of one's own: with fake devices, without a window, and killable."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from playwright.sync_api import Browser, Playwright

from tests.gateway_process import eventually
from tools.chromium import FLAGS, find_chromium

_START_TIMEOUT = 30


@frozen
class Chromium:
    """A browser process and Playwright's hold on it."""

    process: "subprocess.Popen[bytes]"
    browser: Browser

    def kill(self) -> None:
        """End the browser as the kernel does it when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def run_chromium(playwright: Playwright, profile: Path, *flags: str) -> Iterator[Chromium]:
    """Start a browser that keeps its profile in a folder of its own."""
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

    return int(eventually(look, lambda lines: len(lines) == 2, _START_TIMEOUT)[0])
