"""One call on one network, and the whole contest: every row, several rounds, one contestant after the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import trio
from attrs import define, field, frozen

from tools.bench.calls.browsers import BROWSERS, Browser
from tools.bench.calls.pages import Pages, join
from tools.bench.calls.readings import Figures
from tools.bench.calls.server import Camera, Contestant
from tools.bench.calls.wire import RECEIVER, SENDER, SERVER, Wire
from tools.bench.command import Outcome, Progress
from tools.bench.quality.rows import NetworkRow

#: Seconds from the first frames to the first reading, on a perfect network.  Meanwhile the bitrate rises.
WARM_SECONDS: Final = 10.0
#: Seconds that one run may take besides its own.
MORE_SECONDS: Final = 150.0


@frozen
class QualityRun:
    """The figures of one call, and how late the 99th percentile of frames left the switch, in seconds."""

    figures: Figures
    switch_late: float


#: All runs, by row, contestant and browser.
QualityOutcome = Outcome[tuple[str, str, Browser], QualityRun]


@define
class QualityContest:
    """Runs the contest.

    ``seconds`` is the time of a run for rows without a time of their own.  ``warm`` is the time before it, on a perfect
    network.
    """

    wire: Wire
    seconds: float
    progress: Progress
    warm: float = WARM_SECONDS
    outcome: QualityOutcome = field(factory=QualityOutcome)

    async def run(
        self, rows: Sequence[NetworkRow], contestants: Sequence[Contestant], runs: int, browser: Browser = "chromium"
    ) -> QualityOutcome:
        """Run all rows in this browser, one contestant after the other."""
        for row in rows:
            for one in self.progress.by_turns(contestants, runs, f"{row.title}, {browser}, "):
                play, title = partial(self._play, row, one, browser), f"{row.title}, {one.title}, {browser}"
                await self.outcome.attempt((row.name, one.name, browser), title, play, self.progress)
        return self.outcome

    async def _play(self, row: NetworkRow, contestant: Contestant, browser: Browser) -> QualityRun:
        await self.wire.clear()
        self.progress(f"{contestant.title} starts")
        opened, ends = BROWSERS[browser], self.wire.ends
        with trio.fail_after(MORE_SECONDS + (row.seconds or self.seconds)):
            async with (
                contestant.open(ends[SERVER]) as server,
                opened(ends[SENDER], server.origin) as sender,
                opened(ends[RECEIVER], server.origin) as receiver,
            ):
                pages = Pages(sender, receiver)
                await join(pages, server, Camera())
                self.progress(f"{contestant.title}: the call settles")
                await trio.sleep(self.warm)
                self.progress(f"{contestant.title}: measuring")
                return await self._measure(row, pages)

    async def _measure(self, row: NetworkRow, pages: Pages) -> QualityRun:
        seconds = row.seconds or self.seconds
        counts = await self.wire.counts()
        before = await pages.read()
        for (end, way), conditions in row.links.items():
            await self.wire.set(end, way, conditions)
        await trio.sleep(seconds)
        after = await pages.read()
        late = (await self.wire.counts()).lateness.since(counts.lateness)
        await self.wire.clear()
        (got_before, sent_before), (got_after, sent_after) = before, after
        return QualityRun(Figures.between((got_before, got_after), (sent_before, sent_after)), late.quantile(0.99))
