"""The load of the tool's own processes.  Above certain limits it distorts the results."""

from __future__ import annotations

import time
from typing import Final, Never

import trio
from attrs import define, field, frozen

#: Length of each measured sleep, in seconds.
LOOK: Final = 0.02
#: A process that wakes up later than this, in seconds, sends late.
LATE: Final = 0.05
#: Greatest share of seconds with such a delay.
LATE_SHARE: Final = 0.2
#: Greatest share of a core, over :data:`BUSY_SECONDS` in a row.
BUSY: Final = 0.9
BUSY_SECONDS: Final = 3
#: Greatest share of due packets that were left out as too late, or that the system did not take.
UNSENT_SHARE: Final = 0.001


@define
class LagMeter:
    """Measures how late this process wakes up from sleeps of ``look`` seconds."""

    look: float = LOOK
    _worst: float = 0.0
    _due: float = field(factory=time.monotonic)

    async def run(self) -> Never:
        """Measure until cancelled."""
        while True:
            self._due = time.monotonic() + self.look
            await trio.sleep(self.look)
            self._worst = max(self._worst, time.monotonic() - self._due)

    def take(self) -> float:
        """Return the longest delay since the last call, in seconds."""
        worst, self._worst = self._worst, 0.0
        return max(0.0, worst)


@frozen
class LoadSample:
    """One second of one process: its longest delay, and its share of a core."""

    lag: float
    cpu: float


@define
class OwnLoad:
    """All seconds of one process."""

    name: str
    seconds: list[LoadSample] = field(factory=list)

    def complaints(self) -> list[str]:
        """Return the reasons why this process's load has distorted the results."""
        found = []
        late = sum(second.lag > LATE for second in self.seconds)
        if late > max(1, LATE_SHARE * len(self.seconds)):
            found.append(
                f"{self.name} woke up more than {LATE * 1000:.0f} ms late in {late} of {len(self.seconds)} seconds"
            )
        run = longest = 0
        for second in self.seconds:
            run = run + 1 if second.cpu > BUSY else 0
            longest = max(longest, run)
        if longest >= BUSY_SECONDS:
            found.append(f"{self.name} took more than {BUSY:.0%} of a core for {longest} seconds")
        return found

    @property
    def worst_lag(self) -> float:
        return max((second.lag for second in self.seconds), default=0.0)

    @property
    def most_cpu(self) -> float:
        return max((second.cpu for second in self.seconds), default=0.0)

    @property
    def mean_cpu(self) -> float:
        return sum(second.cpu for second in self.seconds) / len(self.seconds) if self.seconds else 0.0


def unsent_complaint(unsent: int, sent: int) -> str | None:
    """Return a complaint if the tool left out too many packets, else None."""
    if unsent <= UNSENT_SHARE * (sent + unsent):
        return None
    return (
        f"{unsent} of {sent + unsent} packets were not sent: the senders were too late, or the system did not take them"
    )
