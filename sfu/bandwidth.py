"""Runs the allocator of one receiving transport: when, with which figures, and what follows from the choice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from sfu.allocation import Allocator, Demand

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.dataplane.interface import Crossing, DataPlane, TransportId

SPACING: Final = 0.1
"""Seconds from one run to the next.  A client that joins consumes a hundred streams one after the other, and they share
a run."""
SPACING_PER_VIDEO: Final = 0.005
"""The same for each video, if that is more.  A run takes about 0.01 ms for each video.  In a large channel one sender
that pauses and resumes makes all receivers run."""
UNKNOWN_INTERVAL: Final = 1.0
"""Seconds to the next run while the estimate is unknown: the data plane has to learn what is in use."""
FIRST_PROBES: Final = 1.0
"""Seconds from the first estimate until it counts.  An estimate begins low, and the first probes raise it."""


@frozen
class Supply:
    """How well the videos of one receiver are served.

    They take ``used`` bits a second of the ``wanted`` ones that they would take if the path had room.  The worst served
    of them gets ``least_share`` of its own rate, from 0 (it is starved) to 1.
    """

    used: int = 0
    wanted: int = 0
    least_share: float = 1.0

    @property
    def is_short(self) -> bool:
        """Whether some video gets less than its owner asks for."""
        return self.least_share < 1


class BandwidthSharing:
    """Shares out the estimate of a receiver's path among the videos that it gets.

    Sound is no part of it: it is small, and comes first.  Until there is an estimate that counts, every video gets all
    that its owner asks for.  If the receiver stops to give feedback, the choice stays as it is.

    Without ``steers`` it does nothing, so every video gets all that its owner asks for.  ``supply`` is the last choice.

    The transport is an argument of each call, not a field.  A reference back to it would be a cycle, which only the
    garbage collector frees.
    """

    def __init__(self, steers: bool) -> None:
        self.enabled = False
        self.supply = Supply()
        self._steers = steers
        self._allocator = Allocator()
        self._is_blind = False
        self._is_limited = False
        self._counts_from: float | None = None
        self._asked = False
        self._ran_at = -math.inf
        self._spacing = SPACING
        self._due = math.inf

    def on_consumer(self, consumer: Consumer) -> None:
        """The transport has another consumer.  The first one whose receiver gives feedback enables the allocator."""
        if self._steers and consumer.kind == "video" and consumer.plan.has_bandwidth_feedback:
            self.enabled = True

    def ask(self, *, if_short: bool = False) -> bool:
        """Run soon, because something has changed.  Returns whether the timer may be earlier now.

        With ``if_short`` the change only matters where some video gets less than its owner asks for.
        """
        if not self.enabled or (if_short and not self.supply.is_short):
            return False
        is_news = not self._asked
        self._asked = True
        return is_news

    def on_crossed(self, why: Crossing) -> None:
        """The data plane's estimate crossed a watermark, so run at once."""
        if not self.enabled:
            return
        self._is_blind = why == "blind"
        if why == "next_proven":
            self._allocator.prove()
        self._due = -math.inf

    def get_timer(self) -> float:
        """Time of the next run.  Infinite if none is needed."""
        return min(self._due, self._ran_at + self._spacing if self._asked else math.inf)

    def handle_timer(self, consumers: Iterable[Consumer], plane: DataPlane, transport: TransportId, now: float) -> None:
        """Choose the layers of each consumer again, if it is time, and tell the data plane what is in use."""
        if now < self.get_timer():
            return
        self._asked, self._ran_at, self._due = False, now, math.inf
        if self._is_blind and self._is_limited:
            return
        takers = [(consumer, consumer.ladder()) for consumer in consumers if consumer.wanted]
        takers = [(consumer, ladder) for consumer, ladder in takers if ladder]
        demands = [
            Demand(consumer.id, ladder, consumer.producer.screen, consumer.priority, consumer.producer.speaking)
            for consumer, ladder in takers
        ]
        self._spacing = max(SPACING, SPACING_PER_VIDEO * len(demands))
        estimate = None if self._is_blind else self._estimate(plane, transport, now)
        self._is_limited = estimate is not None
        if estimate is None:
            allotment = self._allocator.release(demands)
            self._due = math.inf if self._is_blind else now + UNKNOWN_INTERVAL
        else:
            self._note_begun([consumer for consumer, _ in takers])
            wishes = [consumer.bounds for consumer, _ in takers]
            allotment = self._allocator.allot(demands, estimate, now, wishes=wishes)
            self._due = allotment.due
        self.supply = Supply(allotment.used, allotment.wanted, allotment.least_share)
        for consumer, _ in takers:
            consumer.allot(allotment.limits[consumer.id], now, urgent=allotment.urgent)
        plane.aim_bandwidth(transport, allotment.used, allotment.next, allotment.wanted)

    def _estimate(self, plane: DataPlane, transport: TransportId, now: float) -> float | None:
        """Bits a second that the path carries; None while nobody knows."""
        stats = plane.bandwidth_stats(transport)
        if stats is None:
            return None
        if self._counts_from is None:
            self._counts_from = now + FIRST_PROBES
        return stats.estimate if now >= self._counts_from else None

    def _note_begun(self, takers: Sequence[Consumer]) -> None:
        rising = self._allocator.rising
        for consumer in takers:
            if consumer.id in rising and consumer.is_on_target():
                self._allocator.begun(consumer.id)
