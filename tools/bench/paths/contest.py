"""The whole contest: every row, several rounds, one contestant after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from attrs import asdict, define, field

from tools.bench.calls.browsers import BROWSERS, Browser
from tools.bench.calls.devtools import BrowserFailed
from tools.bench.calls.server import Contestant
from tools.bench.calls.wire import RECEIVER, SENDER, SERVER, Wire
from tools.bench.command import Outcome, Progress
from tools.bench.paths.call import SETTLED_SECONDS, PathFigures, TroubledCall
from tools.bench.paths.rows import PathRow

#: Seconds that one run may take.
MOST_SECONDS: Final = 240.0
#: Seconds that the end of a run may take, also of a failed one.
END_SECONDS: Final = 10.0


#: The figures of all runs, by row, contestant and browser.
PathsOutcome = Outcome[tuple[str, str, Browser], PathFigures]


@define
class PathsContest:
    """Runs the contest.  ``keep`` is a folder for what each run leaves behind: timelines, log, frames.

    ``settled`` is the time in seconds for which a call runs before the trouble begins.
    """

    wire: Wire
    progress: Progress
    keep: Path | None = None
    settled: float = SETTLED_SECONDS
    outcome: PathsOutcome = field(factory=PathsOutcome)

    async def run(
        self, rows: Sequence[PathRow], contestants: Sequence[Contestant], runs: int, browser: Browser = "chromium"
    ) -> PathsOutcome:
        """Play these rows.  ``browser`` is the receiver's, the sender always uses Chromium."""
        for row in rows:
            able = [one for one in contestants if not row.is_ipv6 or one.open_ipv6]
            for one in self.progress.by_turns(able, runs, f"{row.title}, {browser}, "):
                play, title = partial(self._play, row, one, browser), f"{row.title}, {one.title}, {browser}"
                await self.outcome.attempt((row.name, one.name, browser), title, play, self.progress)
        return self.outcome

    async def _play(self, row: PathRow, contestant: Contestant, browser: Browser) -> PathFigures:
        await self.wire.clear()
        self.progress(f"{contestant.title} starts")
        ends, opened = self.wire.ends, contestant.open_ipv6 if row.is_ipv6 else contestant.open
        assert opened is not None
        with trio.fail_after(MOST_SECONDS):
            async with (
                opened(ends[SERVER]) as server,
                BROWSERS["chromium"](ends[SENDER], server.origin) as sender,
                BROWSERS[browser](ends[RECEIVER], server.origin) as receiver,
            ):
                call = TroubledCall(self.wire, server, sender, receiver, self.progress, self.settled)
                folder = self._folder(row, contestant, browser)
                await self.wire.capture(folder and folder / "frames.pcap")
                try:
                    figures = await row.play(call)
                finally:
                    with trio.move_on_after(END_SECONDS, shield=True):
                        await self._end(call, folder)
        self.progress.say(f"{row.name}, {contestant.name}, {browser}: {figures}")
        return figures

    async def _end(self, call: TroubledCall, folder: Path | None) -> None:
        """Keep what this run leaves behind, and give the receiver back its network."""
        if folder is not None:
            await self.wire.capture(None)
            seen: dict[str, Any] = {"marks": call.marks}
            for name, read in (("sender", call.seen_by_sender), ("receiver", call.seen_by_receiver)):
                try:
                    seen[name] = asdict(await read())
                except BrowserFailed:
                    continue  # it was killed
            (folder / "timelines.json").write_text(json.dumps(seen, indent=1))
            (folder / "server.log").write_bytes(call.server.log())
        call.wire.ends[RECEIVER].set_addresses(home=True, away=False)
        await self.wire.clear()

    def _folder(self, row: PathRow, contestant: Contestant, browser: Browser) -> Path | None:
        if self.keep is None:
            return None
        number = len(self.outcome.runs[row.name, contestant.name, browser]) + 1
        folder = self.keep / f"{row.name}-{contestant.name}-{browser}-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
