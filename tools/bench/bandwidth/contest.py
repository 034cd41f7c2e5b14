"""The whole contest: every row, several rounds, one contestant after the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import trio
from attrs import define, field

from tools.bench.bandwidth.call import SETTLED_SECONDS, NarrowCall
from tools.bench.bandwidth.figures import BandwidthOutcome, BandwidthRun
from tools.bench.bandwidth.rows import BandwidthRow
from tools.bench.calls.browsers import BrowserPage, chromium
from tools.bench.calls.server import Contestant
from tools.bench.calls.wire import RECEIVER, SENDER, SERVER, Wire
from tools.bench.command import Progress

#: Seconds that one run may take.
MOST_SECONDS: Final = 300.0
#: Where the browsers of the sender, the receiver and the third person are.  The sender's link is limited in no row with
#: a third person.
_PLACES: Final = (SENDER, RECEIVER, SENDER)
#: So large that our page shows the picture of one other person in the camera's size, and asks for that.
_WINDOW: Final = "--window-size=1440,810"


@define
class BandwidthContest:
    """Runs the contest.

    ``settled`` is the time in seconds for which a call runs before its link changes.  Other times of a row last
    ``lasts`` times as long as usual.
    """

    wire: Wire
    progress: Progress
    settled: float = SETTLED_SECONDS
    lasts: float = 1.0
    outcome: BandwidthOutcome = field(factory=BandwidthOutcome)

    async def run(self, rows: Sequence[BandwidthRow], contestants: Sequence[Contestant], runs: int) -> BandwidthOutcome:
        """Run all rows in Chromium, one contestant after the other."""
        for row in rows:
            able = [one for one in contestants if one.name == "gateway" or not row.only_ours]
            for one in self.progress.by_turns(able, runs, f"{row.title}, "):
                play, title = partial(self._play, row, one), f"{row.title}, {one.title}"
                await self.outcome.attempt((row.name, one.name, "chromium"), title, play, self.progress)
        return self.outcome

    async def _play(self, row: BandwidthRow, contestant: Contestant) -> BandwidthRun:
        await self.wire.clear()
        self.progress(f"{contestant.title} starts")
        ends = self.wire.ends
        with trio.fail_after(MOST_SECONDS):
            async with AsyncExitStack() as stack:
                server = await stack.enter_async_context(contestant.open(ends[SERVER]))
                pages: list[BrowserPage | None] = [None, None, None]
                for number in range(row.pages):
                    browser = chromium(ends[_PLACES[number]], server.origin, _WINDOW)
                    pages[number] = await stack.enter_async_context(browser)
                counts = await self.wire.counts()
                call = NarrowCall(self.wire, server, pages, self.progress, self.settled, self.lasts)
                figures = await row.play(call)
                late = (await self.wire.counts()).lateness.since(counts.lateness).quantile(0.99)
        await self.wire.clear()
        run = BandwidthRun(figures, late, call.shadow)
        self.progress.say(f"{row.name}, {contestant.name}: {dict(figures)}")
        return run
