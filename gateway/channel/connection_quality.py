"""How good a member's connection is, in four steps, from the gateway's own measurements.

The rating is the R factor of the E-model (ITU-T G.107), as far as loss and delay decide it. The worse direction counts.

- *Delay*: 0.024 for each millisecond from mouth to ear, and 0.11 more for each above 177.3 (the approximation of Cole
  and Rosenbluth, "Voice over IP performance monitoring", 2001).
- *Loss*: 95 p / (p + Bpl), with p in percent (G.107 section 7.5). It counts packets before any repair, since it tells
  how good the network is. Bpl = 10 is that of a speech codec with little concealment (GSM EFR in G.113 appendix I).
  Repair hides more loss than that in sound, but a picture suffers sooner.
- *Bandwidth*: 10 for each halving of the bitrate that the member's videos would take. The E-model knows no pictures. A
  spatial layer has about a quarter of the bitrate of the next one, so each layer that all videos lose costs one step.
  LiveKit's scorer takes a step for each lost layer, too. A video that loses a layer alone costs a step, but no more. A
  video that does not fit at all makes the connection poor.

G.109 calls an R of 80 and more high quality, and says that below 60 nearly all users are dissatisfied. So *excellent*
goes with up to 1.3 % of loss on a short path, and *poor* begins at 5 %. For comparison, LiveKit's scorer takes 10
points for each percent of lost video and steps down at 80 and at 40 points, hence at 2 % and at 6 %.
"""

import math
from typing import Final

from attrs import define, field

import sfu
from protocol.events import ConnectionQuality

_BEST: Final = 93.2
_LOSS_ROBUSTNESS: Final = 10.0  # percent
# Milliseconds from mouth to ear beside the network: capture, coding, the receiver's buffer.
_PROCESSING: Final = 60.0
_EXCELLENT: Final = 80.0
_GOOD: Final = 60.0

_STEPS: Final[tuple[ConnectionQuality, ...]] = ("lost", "poor", "good", "excellent")

HALVING: Final = 10.0
"""The cost of each halving of the videos' bitrate."""
MOST_FOR_ONE: Final = 25.0
"""The most that a single video costs which gets some layers. With no other impairment it leaves a good connection."""
STARVED: Final = 50.0
"""The cost of a video that gets nothing, and the most that a lack of bandwidth costs."""

LOSS_MEMORY: Final = 0.5
"""The weight of the past in the loss, each time it is measured. Browsers report about audio only every five seconds."""
FEWEST_PACKETS: Final = 20
"""With fewer packets in the window, their loss says nothing."""
ROUND_TRIP_AGE: Final = 5
"""A round trip counts for so many measurements after the last report."""
MARGIN: Final = 5.0
"""The rating must exceed the limit of a better step by so much."""
RISES_AFTER: Final = 3
"""A better step must be measured so many times in a row. A worse step counts at once, and so does the end of a
silence."""


def rate(loss: float, round_trip: float | None) -> float:
    """The R factor for a share of lost packets (0 to 1) and a round trip in seconds."""
    delay = _PROCESSING + 500 * (round_trip or 0.0)
    percent = 100 * loss
    delay_impairment = 0.024 * delay + 0.11 * max(0.0, delay - 177.3)
    return _BEST - delay_impairment - 95 * percent / (percent + _LOSS_ROBUSTNESS)


def lack(video_share: float, least_share: float) -> float:
    """The points of the R factor that a lack of bandwidth costs; see :class:`sfu.PeerMeasurement` for the shares."""
    if least_share <= 0:
        return STARVED
    one, together = (-HALVING * math.log2(max(share, 2**-5)) for share in (least_share, video_share))
    return max(min(one, MOST_FOR_ONE), together)


def step_of(rating: float) -> ConnectionQuality:
    """The step of a connection that is not silent."""
    return "excellent" if rating >= _EXCELLENT else "good" if rating >= _GOOD else "poor"


@define
class _RecentLoss:
    """The share of lost packets in one direction, over some seconds."""

    _total: tuple[int, int] = (0, 0)
    _packets: float = 0.0
    _lost: float = 0.0

    def add(self, packets: int, lost: int) -> bool:
        """Take in the totals of now. Return whether there were more packets than before."""
        fresh, fresh_lost = packets - self._total[0], lost - self._total[1]
        self._total = packets, lost
        if fresh < 0:  # A stream ended, and took its totals along.
            fresh = fresh_lost = 0
        self._packets = LOSS_MEMORY * self._packets + fresh
        self._lost = LOSS_MEMORY * self._lost + fresh_lost
        return fresh > 0

    @property
    def share(self) -> float:
        """From 0 to 1. A single lost packet does not count."""
        if self._packets < FEWEST_PACKETS:
            return 0.0
        return min(1.0, max(0.0, self._lost - 1) / self._packets)


@define
class QualityMeter:
    """The quality of one member's connection.

    ``measured`` is the present step, and ``announced`` the one that the channel knows, since ``announced_at``. A
    connection without measurements counts as excellent.
    """

    measured: ConnectionQuality = "excellent"
    announced: ConnectionQuality = "excellent"
    announced_at: float = 0.0
    _sent: _RecentLoss = field(factory=_RecentLoss)
    _received: _RecentLoss = field(factory=_RecentLoss)
    _round_trip_age: int = ROUND_TRIP_AGE
    _lack: float = 0.0
    # How often in a row a better step than the present one was measured.
    _better: int = 0

    def update(self, measurement: sfu.PeerMeasurement) -> None:
        """Take in a measurement. Call it at regular intervals."""
        self._sent.add(measurement.expected, measurement.missing)
        is_reported = self._received.add(measurement.reported, measurement.reported_lost)
        self._round_trip_age = 0 if is_reported else self._round_trip_age + 1
        round_trip = measurement.round_trip if self._round_trip_age < ROUND_TRIP_AGE else None
        # An estimate begins low and rises within seconds. So a lack counts only if the measurement before had it, too.
        before, self._lack = self._lack, lack(measurement.video_share, measurement.least_share)
        received = rate(self._received.share, round_trip) - min(before, self._lack)
        rating = min(rate(self._sent.share, round_trip), received)
        self._follow("lost" if measurement.is_silent else step_of(rating), rating)

    def _follow(self, step: ConnectionQuality, rating: float) -> None:
        present = _STEPS.index(self.measured)
        if self.measured != "lost" and _STEPS.index(step) > present:
            step = step_of(rating - MARGIN)
            self._better = self._better + 1 if _STEPS.index(step) > present else 0
            if self._better < RISES_AFTER:
                return
        self.measured, self._better = step, 0
