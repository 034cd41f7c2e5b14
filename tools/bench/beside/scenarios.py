"""What is measured: who sends what to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from tools.bench.source import Source

VIDEO: Final = Source("video", "video", rate=30, burst=5, size=1100)
AUDIO: Final = Source("audio", "audio", rate=50, burst=1, size=100)


@frozen
class Scenario:
    """``members`` people, of whom the first ``publishers`` send each of ``sources``.

    Everybody receives whatever others send.
    """

    name: str
    title: str
    sources: tuple[Source, ...]
    publishers: int
    members: int

    @property
    def bursts(self) -> bool:
        """Whether there is anything to segment."""
        return any(source.burst > 1 for source in self.sources)

    @property
    def rate(self) -> int:
        """Packets a second that are forwarded."""
        sent = sum(source.rate * source.burst for source in self.sources)
        return sent * self.publishers * (self.members - 1)

    def receivers_of(self, publisher: int) -> list[int]:
        """Members by number."""
        return [number for number in range(self.members) if number != publisher]


def _one_to_many(source: Source, receivers: int) -> Scenario:
    return Scenario(
        f"{source.kind}-{receivers}", f"{source.kind} to {receivers}", (source,), publishers=1, members=1 + receivers
    )


SCENARIOS: Final[Sequence[Scenario]] = (
    *(_one_to_many(VIDEO, receivers) for receivers in (10, 60, 200)),
    *(_one_to_many(AUDIO, receivers) for receivers in (10, 60, 200)),
    Scenario("meeting-10", "meeting of 10", (AUDIO, VIDEO), publishers=10, members=10),
    Scenario("voices-25", "25 voices", (AUDIO,), publishers=25, members=25),
)
