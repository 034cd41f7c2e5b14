"""How late this side's own loop is: whether the tool was the bottleneck."""

from __future__ import annotations

from typing import Final, Never

import trio
from attrs import define

LOOK_SECONDS: Final = 0.002


@define
class Lag:
    """``worst`` is by how many seconds the loop was late at most, since it was last taken."""

    worst: float = 0.0

    async def run(self) -> Never:
        while True:
            due = trio.current_time() + LOOK_SECONDS
            await trio.sleep_until(due)
            self.worst = max(self.worst, trio.current_time() - due)

    def take(self) -> float:
        worst, self.worst = self.worst, 0.0
        return worst
