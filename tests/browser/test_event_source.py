"""``EventSource`` in a page of the gateway's own origin: it reconnects by itself, and ends with the whole history."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import frozen

from gateway.presence.store import FILE_NAME
from protocol.client import ConnectionClosed, connect
from tests.browser.chromium import Chromium
from tests.browser.firefox import run_firefox
from tests.browser.relay import open_relay
from tests.gateway_process import GatewayProcess, poll_until, run_gateway

pytestmark = pytest.mark.browser

CHANNEL = "lobby"
START = f"""(() => {{
  window.__seen = [];
  const source = new EventSource("/api/presence?channel={CHANNEL}");
  for (const type of ["open", "error", "reset"]) source.addEventListener(type, () => window.__seen.push({{ type }}));
  source.addEventListener("message", ({{ lastEventId, data }}) => window.__seen.push({{ lastEventId, data }}));
}})()"""


@frozen
class Page:
    """A page of the gateway. ``asks`` returns the value of a JavaScript expression in it."""

    asks: Callable[[str], Any]

    def seen(self, kind: str) -> int:
        """How many events of this type have come that are no messages."""
        return sum(one.get("type") == kind for one in self.asks("window.__seen"))

    def messages(self) -> list[Any]:
        """The data of all messages. Each has another id."""
        messages = [one for one in self.asks("window.__seen") if "data" in one]
        assert len({one["lastEventId"] for one in messages}) == len(messages)
        return [json.loads(one["data"]) for one in messages]

    def history(self) -> list[Any]:
        """The changes of the list so far. Before them comes one snapshot, and no other follows."""
        first, *changes = self.messages() or [{"snapshot": True}]
        assert first["snapshot"]
        assert not any("snapshot" in change for change in changes)
        return changes


Open = Callable[[str], Page]


@pytest.fixture(params=["chromium", "firefox"])
def open_page(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a page in one of the browsers, and lets it read the changes of the channel."""
    with ExitStack() as stack:
        if request.param == "chromium":
            chromium: Chromium = request.getfixturevalue("chromium")
            context = stack.enter_context(closing(chromium.browser.new_context()))
        else:
            firefox = stack.enter_context(run_firefox(tmp_path / "profile")).marionette

        def open_at(url: str) -> Page:
            if request.param == "chromium":
                tab = context.new_page()
                tab.goto(url)
                page = Page(tab.evaluate)
            else:
                firefox.command("WebDriver:Navigate", url=url)
                page = Page(firefox.evaluate)
            page.asks(START)
            poll_until(page.messages, bool, within=10)
            return page

        yield open_at


@asynccontextmanager
async def _joined(url: str, user: str) -> AsyncIterator[None]:
    with suppress(ConnectionClosed):  # the gateway may end before
        async with connect(url) as client:
            await client.join(CHANNEL, user, user_id=user)
            yield


@contextmanager
def member(gateway: GatewayProcess, user: str) -> Iterator[None]:
    """Be in the channel while the block runs."""
    with (
        start_blocking_portal("trio") as portal,
        portal.wrap_async_context_manager(_joined(gateway.websocket_url, user)),
    ):
        yield


def journal(folder: Path) -> list[Any]:
    """The changes of the list that are on disk, in their order."""
    with closing(sqlite3.connect(f"file:{folder / FILE_NAME}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT text FROM entries WHERE text IS NOT NULL ORDER BY number").fetchall()
    return [json.loads(text)["data"] for (text,) in rows]


def users(changes: list[Any]) -> list[tuple[str, str]]:
    return [(change["type"].removeprefix("user_"), change["userId"]) for change in changes]


def has_all(page: Page, folder: Path, changes: list[tuple[str, str]], within: float = 15) -> None:
    """Check that the page gets these changes, and that they are those of the journal."""
    poll_until(lambda: users(page.history()), lambda seen: seen == changes, within)
    assert page.history() == journal(folder)


def test_a_page_whose_connection_breaks_misses_nothing_and_gets_nothing_twice(open_page: Open, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    with run_gateway(tmp_path / "log", "--state-dir", str(folder)) as gateway, open_relay(gateway.port) as relay:
        page = open_page(relay.url)
        with member(gateway, "ada"):
            has_all(page, folder, [("joined", "ada")])
            relay.refuse()
            relay.reset()
            poll_until(lambda: page.seen("error"), bool, within=5)
            with member(gateway, "ben"):
                pass
        missed = [("joined", "ben"), ("left", "ben"), ("left", "ada")]
        poll_until(lambda: users(journal(folder))[1:], lambda changes: changes == missed, within=5)
        assert users(page.history()) == [("joined", "ada")]
        relay.accept()
        has_all(page, folder, [("joined", "ada"), *missed])
        with member(gateway, "cleo"):
            has_all(page, folder, [("joined", "ada"), *missed, ("joined", "cleo")])
        assert (page.seen("open"), page.seen("reset")) == (2, 0)


def test_a_page_goes_on_after_a_restart_of_the_gateway(open_page: Open, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    options = ("--state-dir", str(folder))
    with run_gateway(tmp_path / "first", *options) as first:
        page = open_page(first.url)
        with member(first, "ada"):
            has_all(page, folder, [("joined", "ada")])
            first.stop()
    with run_gateway(tmp_path / "second", *options, port=first.port) as second:
        with member(second, "ben"):
            pass
        has_all(page, folder, [("joined", "ada"), ("left", "ada"), ("joined", "ben"), ("left", "ben")])
        assert page.seen("reset") == 0
