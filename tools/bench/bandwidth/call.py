"""A call on links whose rates change, and what the rows read from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import trio
from attrs import define, frozen

from tools.bench.bandwidth.figures import ShadowPoint
from tools.bench.bandwidth.samples import Samples
from tools.bench.calls.browsers import BrowserPage
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.pages import read, until_media
from tools.bench.calls.readings import Figures, Reading
from tools.bench.calls.server import CallPage, CallServer, Camera, page_script
from tools.bench.calls.switch import Way
from tools.bench.calls.wire import Wire

#: The camera of all rows.  Each server's client library decides about the encodings below the best one.
CAMERA: Final = Camera(rate=2_000_000, simulcast=True)
#: Seconds from the first pictures to the change of the link.
SETTLED_SECONDS: Final = 15.0


@frozen
class Moment:
    """A moment on both clocks, in seconds: that of the pages, and that of the switch."""

    wall: float
    monotonic: float

    @classmethod
    def now(cls) -> Moment:
        return cls(time.time(), time.monotonic())


@frozen
class Readings:
    """The statistics of the pages at one moment.  There is no third person in most rows."""

    sender: Reading
    receiver: Reading
    third: Reading | None

    def until(self, later: Readings) -> Figures:
        """What happened to the receiver from these readings on."""
        return Figures.between((self.receiver, later.receiver), (self.sender, later.sender))

    def until_for_third(self, later: Readings) -> Figures:
        assert self.third is not None
        assert later.third is not None
        return Figures.between((self.third, later.third), (self.sender, later.sender))


@define
class NarrowCall:
    """One call.  ``pages`` has the pages of the sender, the receiver and a third person, as many as the row has.

    ``settled`` is for how many seconds the call runs before the link changes.  Other times last ``lasts`` times as long
    as usual.  ``shadow`` gets the gateway's estimate over time in the row that looks at it.
    """

    wire: Wire
    server: CallServer
    pages: Sequence[BrowserPage | None]
    say: Callable[[str], object]
    settled: float = SETTLED_SECONDS
    lasts: float = 1.0
    shadow: Sequence[ShadowPoint] = ()

    @property
    def sender(self) -> BrowserPage:
        return self._page(0)

    @property
    def receiver(self) -> BrowserPage:
        return self._page(1)

    @property
    def third(self) -> BrowserPage:
        """The page of another receiver, whose link is never limited."""
        return self._page(2)

    def _page(self, number: int) -> BrowserPage:
        page = self.pages[number]
        assert page is not None, "the row has too few pages"
        return page

    async def begin(self) -> None:
        """Let everybody join, and let the call run for a while."""
        await self.join_all()
        self.say("the call settles")
        await trio.sleep(self.settled)

    async def join_all(self) -> None:
        await self.join(self.sender, self.server.sender)
        for page, call in ((self.pages[1], self.server.receiver), (self.pages[2], self.server.third)):
            if page is not None:
                await self.join(page, call or self.server.receiver)
                await until_media(page)

    async def join(self, page: BrowserPage, call: CallPage) -> None:
        await page.open(call.url, page_script(CAMERA))
        await page.evaluate(call.join)

    async def change(self, end: int, way: Way, conditions: Conditions) -> Moment:
        """Change one direction of a link, and return the moment."""
        await self.wire.set(end, way, conditions)
        return Moment.now()

    async def watch(self, seconds: float, what: str) -> Moment:
        """Let the call run on.  Return the moment at its end."""
        self.say(what)
        await trio.sleep(seconds * self.lasts)
        return Moment.now()

    async def read(self) -> Readings:
        third = None if self.pages[2] is None else await read(self.third)
        return Readings(await read(self.sender), await read(self.receiver), third)

    async def samples(self, page: BrowserPage) -> Samples:
        return Samples.read(await page.evaluate("__quality.samples()"))
