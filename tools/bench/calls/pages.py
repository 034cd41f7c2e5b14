"""The pages of a call: how people join, and the statistics that their browsers keep."""

from __future__ import annotations

from typing import Final

import trio
from attrs import frozen

from tools.bench import BenchError
from tools.bench.calls.browsers import BrowserPage
from tools.bench.calls.readings import Reading
from tools.bench.calls.server import CallServer, Camera, page_script

#: Seconds within which the first frames and the first sound must have come.
FIRST_SECONDS: Final = 30.0


@frozen
class Pages:
    """The two pages of a call."""

    sender: BrowserPage
    receiver: BrowserPage

    async def read(self) -> tuple[Reading, Reading]:
        """Read the statistics of the receiver and of the sender."""
        return await read(self.receiver), await read(self.sender)


async def read(page: BrowserPage) -> Reading:
    return Reading(**await page.evaluate("__quality.read()"))


async def join(pages: Pages, server: CallServer, camera: Camera) -> None:
    """Let both people join, and wait until the receiver sees and hears the sender."""
    for page, call in ((pages.sender, server.sender), (pages.receiver, server.receiver)):
        await page.open(call.url, page_script(camera))
        await page.evaluate(call.join)
    await until_media(pages.receiver)


async def until_media(receiver: BrowserPage) -> None:
    """Wait until somebody sees and hears somebody.  Raises :exc:`BenchError` after :data:`FIRST_SECONDS`."""
    with trio.move_on_after(FIRST_SECONDS):
        while True:
            reading = await read(receiver)
            if reading.total("video", "framesDecoded") and reading.total("audio", "totalSamplesReceived"):
                return
            await trio.sleep(0.1)
    raise BenchError(f"the receiver has got no picture or no sound within {FIRST_SECONDS:g} s")
