"""The scenarios: members, and the streams that they send to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from tools.light.media_loop import MediaLoop, constant_loop

#: 30 frames a second of five packets with payloads of 1,100 bytes, like a camera's stream of 1.2 Mbit/s.
VIDEO: Final = constant_loop("video", rate=30, packets=5, payload_size=1100)
AUDIO: Final = constant_loop("audio", rate=50, packets=1, payload_size=100)

#: Number of receivers that measure latency.
WITNESSES: Final = 10


@frozen
class CallScenario:
    """A call of ``members``.

    Each of the first ``publishers`` sends all ``streams``. Every member receives the streams of all others. Without
    ``feedback`` nobody takes transport-wide numbers.
    """

    name: str
    title: str
    streams: tuple[MediaLoop, ...]
    publishers: int
    members: int
    #: Whether publishers number their packets and receivers report arrivals, as browsers do to estimate bandwidth.
    feedback: bool = False

    @property
    def has_bursts(self) -> bool:
        """Whether a frame has several packets, so that segmented sends help."""
        return any(stream.packets_per_second > stream.rate for stream in self.streams)

    @property
    def rate(self) -> int:
        """Packets a second that leave the server."""
        sent = sum(round(stream.packets_per_second) for stream in self.streams)
        return sent * self.publishers * (self.members - 1)

    def receives(self, number: int) -> bool:
        """Whether the member with this number receives anything."""
        return self.publishers > 1 or number > 0

    def is_witness(self, number: int) -> bool:
        """Whether this receiver's packets are decrypted to measure latency. Witnesses are spread over all receivers."""
        receivers = sum(map(self.receives, range(self.members)))
        return number % max(1, receivers // WITNESSES) == 0

    def receivers_of(self, publisher: int) -> list[int]:
        """The numbers of the members that receive from a publisher."""
        return [number for number in range(self.members) if number != publisher]


def _one_to_many(stream: MediaLoop, receivers: int) -> CallScenario:
    title = f"{stream.kind} to {receivers}"
    return CallScenario(f"{stream.kind}-{receivers}", title, (stream,), publishers=1, members=1 + receivers)


def _with_feedback(scenario: CallScenario) -> CallScenario:
    return evolve(scenario, name=f"{scenario.name}-feedback", title=f"{scenario.title}, feedback", feedback=True)


_MEETING: Final = CallScenario("meeting-10", "meeting of 10", (AUDIO, VIDEO), publishers=10, members=10)
SCENARIOS: Final[Sequence[CallScenario]] = (
    *(_one_to_many(VIDEO, receivers) for receivers in (10, 60, 200)),
    *(_one_to_many(AUDIO, receivers) for receivers in (10, 60, 200)),
    _MEETING,
    CallScenario("voices-25", "25 voices", (AUDIO,), publishers=25, members=25),
    _with_feedback(_one_to_many(VIDEO, 60)),
    _with_feedback(_MEETING),
)
