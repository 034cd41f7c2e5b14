"""A call whose receiver gets into trouble: what the rows do with it, and what they read."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio
from attrs import define, field, frozen

from tools.bench import BenchError
from tools.bench.calls.browsers import BrowserPage
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.server import CallPage, CallServer, Camera, page_script
from tools.bench.calls.wire import RECEIVER, Wire
from tools.bench.paths.timeline import Timeline

_WATCH: Final = Path(__file__).with_name("watch.js")
#: Seconds within which the first pictures must have come on a perfect network.
FIRST_SECONDS: Final = 30.0
#: Seconds from the first pictures to the trouble.
SETTLED_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.25


@frozen
class PathFigures:
    """What a run measured, in seconds.  Infinite means never, and None that the row does not measure it.

    ``picture`` is the time until the receiver's picture is there (again).  ``udp`` is the time until it comes over UDP
    again.  ``gone`` is the time until the others saw the receiver leave.  ``seen_leaving`` says whether they saw it in
    a row in which they must not.
    """

    picture: float | None = None
    udp: float | None = None
    gone: float | None = None
    seen_leaving: bool | None = None


@define
class TroubledCall:
    """One call.  ``sender`` is also the observer: its page notes who leaves."""

    wire: Wire
    server: CallServer
    sender: BrowserPage
    receiver: BrowserPage
    say: Callable[[str], object]
    settled: float = SETTLED_SECONDS
    #: What happened when, for people who read the kept files.
    marks: list[tuple[float, str]] = field(factory=list)

    async def begin(self) -> None:
        """Let both join, and let the call run for a while."""
        await self.let_sender_join()
        await self.let_receiver_join()
        if not await self._becomes_true(self._has_picture, FIRST_SECONDS):
            raise BenchError(f"the receiver has got no picture within {FIRST_SECONDS:g} s")
        self.say("the call settles")
        await trio.sleep(self.settled)

    async def let_sender_join(self) -> None:
        await self._join(self.sender, self.server.sender)

    async def let_receiver_join(self) -> float:
        """Return the time at which the receiver pressed the button."""
        return await self._join(self.receiver, self.server.receiver)

    async def _join(self, page: BrowserPage, call: CallPage) -> float:
        await page.open(call.url, f"{page_script(Camera())}\n{_WATCH.read_text(encoding='utf-8')}")
        begun = self.mark("joins")
        await page.evaluate(call.join)
        return begun

    async def set_link(self, conditions: Conditions) -> None:
        """Set the conditions of the receiver's link, in both directions."""
        await self.wire.set(RECEIVER, "from", conditions)
        await self.wire.set(RECEIVER, "to", conditions)

    def mark(self, what: str) -> float:
        """Note that this happens now, and return the time."""
        now = time.time()
        self.marks.append((now, what))
        self.say(what)
        return now

    async def watch(self, seconds: float, what: str) -> float:
        """Let the call run on.  Return the time at its end."""
        self.say(f"{what}: watching")
        await trio.sleep(seconds)
        return time.time()

    async def watch_until_gone(self, begun: float, seconds: float) -> float:
        """Wait until the sender's page saw the receiver leave.  Return the seconds after ``begun``, or infinity."""
        await self._becomes_true(lambda: self.was_seen_leaving(begun), seconds)
        return (await self.seen_by_sender()).first("user_left", begun)

    async def was_seen_leaving(self, begun: float) -> bool:
        """Whether the sender's page has seen the receiver leave since ``begun``."""
        return not math.isinf((await self.seen_by_sender()).first("user_left", begun))

    async def _has_picture(self) -> bool:
        return bool((await self.seen_by_receiver()).pictures)

    async def _becomes_true(self, is_true: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Look again and again for this long.  Return whether it became true."""
        for _ in range(round(seconds / _LOOK_SECONDS)):
            if await is_true():
                return True
            await trio.sleep(_LOOK_SECONDS)
        return False

    async def seen_by_receiver(self) -> Timeline:
        return Timeline.read(await self.receiver.evaluate("__watch.read()"))

    async def seen_by_sender(self) -> Timeline:
        return Timeline.read(await self.sender.evaluate("__watch.read()"))
