"""A client for Chromium's remote control (the Chrome DevTools Protocol), for one page."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tools.bench import BenchError

COMMAND_SECONDS: Final = 60.0
_MESSAGE_BYTES: Final = 16 << 20
_LOADED: Final = """new Promise((done) => {
  if (document.readyState === "complete") done();
  else addEventListener("load", done);
}).then(() => undefined)"""


class BrowserFailed(BenchError):
    """A browser ended, refused a command, or its page raised an exception.  The text says which."""


@define
class _PendingCommand:
    done: trio.Event = field(factory=trio.Event)
    answer: dict[str, Any] | None = None


@define(eq=False)
class ChromiumPage:
    """The one page of a Chromium.  :func:`open_page` makes it.  Its methods raise :exc:`BrowserFailed`."""

    _socket: WebSocketConnection
    _session: str | None = None
    _numbers: itertools.count[int] = field(factory=itertools.count)
    _pending: dict[int, _PendingCommand] = field(factory=dict)

    async def open(self, url: str, script: str) -> None:
        """Go to ``url``, and wait until it has loaded.  ``script`` runs there before the page's own scripts."""
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self.command("Page.enable")
        await self.command("Page.addScriptToEvaluateOnNewDocument", source=script)
        found = await self.command("Page.navigate", url=url)
        if "errorText" in found:
            raise BrowserFailed(f"{url}: {found['errorText']}")
        await self.evaluate(_LOADED)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, after the promise if it is one."""
        found = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BrowserFailed(details.get("exception", {}).get("description", details["text"]))
        return found["result"].get("value")

    async def close_tab(self) -> None:
        """Close the page as a person does."""
        await self.command("Page.close")

    async def quit(self) -> None:
        """End the browser as a person does, so that it cleans up."""
        self._session = None
        with suppress(BrowserFailed):  # it may end before it answers
            await self.command("Browser.close")

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        pending = self._pending[number] = _PendingCommand()
        try:
            with trio.fail_after(COMMAND_SECONDS):
                await self._socket.send_message(json.dumps(message))
                await pending.done.wait()
        except (trio.TooSlowError, ConnectionClosed) as error:
            raise BrowserFailed(f"{method}: Chromium does not answer") from error
        finally:
            del self._pending[number]
        if pending.answer is None:
            raise BrowserFailed(f"{method}: Chromium has ended")
        if "error" in pending.answer:
            raise BrowserFailed(f"{method}: {pending.answer['error']['message']}")
        result: dict[str, Any] = pending.answer["result"]
        return result

    async def _read(self) -> None:
        try:
            while True:
                message = json.loads(await self._socket.get_message())
                if (pending := self._pending.get(message.get("id"))) is not None:
                    pending.answer = message
                    pending.done.set()
        except ConnectionClosed:
            for pending in self._pending.values():
                pending.done.set()


@asynccontextmanager
async def open_page(stream: trio.SocketStream, resource: str) -> AsyncIterator[ChromiumPage]:
    """Speak to the Chromium at the other end of ``stream`` for as long as the block runs."""
    async with trio.open_nursery() as nursery:
        with trio.fail_after(COMMAND_SECONDS):
            socket = await wrap_client_stream(nursery, stream, "127.0.0.1", resource, max_message_size=_MESSAGE_BYTES)
        page = ChromiumPage(socket)
        nursery.start_soon(page._read)
        yield page
        nursery.cancel_scope.cancel()
