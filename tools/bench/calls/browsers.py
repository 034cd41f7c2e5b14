"""Browsers in namespaces of the emulated network, each with a profile of its own and one page."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import trio
from attrs import define

from tools.bench.calls.devtools import COMMAND_SECONDS, BrowserFailed, open_page
from tools.bench.calls.wire import Namespace
from tools.chromium import FLAGS, PERMITTED, TOUCHED, find_chromium
from tools.firefox import ANYWHERE, find_firefox, write_profile
from tools.firefox import FLAGS as FIREFOX_FLAGS
from tools.loadtest.child import ChildProcess, open_child
from tools.marionette import Marionette, MarionetteError

START_SECONDS: Final = 60.0
QUIT_SECONDS: Final = 10.0
#: Sound without a click.
_FIREFOX_PREFERENCES: Final = {**ANYWHERE, "media.autoplay.default": 0, "media.autoplay.block-webaudio": False}

Browser = Literal["chromium", "firefox"]

T = TypeVar("T")


class BrowserPage(Protocol):
    """A page in a browser.  Both methods raise :exc:`BrowserFailed`."""

    async def open(self, url: str, script: str) -> None:
        """Go to ``url``, and wait until it has loaded.

        ``script`` runs there before the page's own scripts.  Firefox cannot do that, and runs it after them.  That is
        early enough for scripts that begin to work when the person joins.
        """

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, after the promise if it is one."""

    async def close_tab(self) -> None:
        """Close the page as a person does."""


@asynccontextmanager
async def chromium(namespace: Namespace, origin: str, *options: str) -> AsyncIterator[BrowserPage]:
    """Run a Chromium.  Pages of ``origin`` may use devices although they are not encrypted."""
    with tempfile.TemporaryDirectory(prefix="bench-chromium-", ignore_cleanup_errors=True) as folder:
        command = [
            *namespace.prefix,
            find_chromium(),
            *FLAGS,
            PERMITTED,
            TOUCHED,
            *options,
            f"--unsafely-treat-insecure-origin-as-secure={origin}",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        ]
        async with open_child(ChildProcess, "Chromium", command) as process:
            port, resource = (await _appears(process, Path(folder) / "DevToolsActivePort")).split()
            with namespace.entered():
                socket = trio.socket.socket()
            await socket.connect(("127.0.0.1", int(port)))
            async with trio.SocketStream(socket) as stream, open_page(stream, resource) as page:
                yield page
                await page.quit()
                with trio.move_on_after(QUIT_SECONDS):
                    await process.process.wait()


@define
class FirefoxPage:
    """The one page of a Firefox."""

    _marionette: Marionette

    async def open(self, url: str, script: str) -> None:
        await self._call(self._marionette.command, "WebDriver:Navigate", url=url)
        await self._call(self._marionette.run, script)

    async def evaluate(self, expression: str) -> Any:
        return await self._call(self._marionette.evaluate, expression)

    async def close_tab(self) -> None:
        await self._call(self._marionette.command, "WebDriver:CloseWindow")

    async def _call(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        try:
            return await trio.to_thread.run_sync(partial(function, *arguments, **options))
        except (MarionetteError, OSError) as error:
            raise BrowserFailed(f"Firefox: {error}") from error


@asynccontextmanager
async def firefox(namespace: Namespace, origin: str) -> AsyncIterator[BrowserPage]:
    """Run a Firefox.  Pages may use devices although they are not encrypted."""
    with tempfile.TemporaryDirectory(prefix="bench-firefox-", ignore_cleanup_errors=True) as folder:
        profile = Path(folder) / "profile"
        write_profile(profile, _FIREFOX_PREFERENCES)
        command = [*namespace.prefix, find_firefox(), *FIREFOX_FLAGS, "--profile", str(profile)]
        async with open_child(ChildProcess, "Firefox", command) as process:
            port = int(await _appears(process, profile / "MarionetteActivePort"))
            with namespace.entered():
                marionette = Marionette(port, COMMAND_SECONDS)
            with marionette:
                marionette.command("WebDriver:SetTimeouts", script=1000 * COMMAND_SECONDS)
                yield FirefoxPage(marionette)


#: For each browser, the function that runs it in a namespace.  Its other argument is the origin of the pages.
BROWSERS: Final[dict[Browser, Callable[[Namespace, str], AbstractAsyncContextManager[BrowserPage]]]] = {
    "chromium": chromium,
    "firefox": firefox,
}


async def _appears(process: ChildProcess, file: Path) -> str:
    """Return the text of a file that a browser writes once it listens.  Raises :exc:`BrowserFailed`."""
    with trio.move_on_after(START_SECONDS):
        while process.process.poll() is None:
            if file.exists() and (text := file.read_text()).strip():
                return text
            await trio.sleep(0.05)
    raise BrowserFailed(f"{process.name} did not start; the end of its log:\n{process.last_lines()}")
