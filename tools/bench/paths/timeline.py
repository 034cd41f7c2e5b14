"""What a page noted, and how long its picture was away.  All times are seconds of the wall clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from attrs import frozen

#: The picture is there while there is less than this between two pictures, in seconds.
GAP_SECONDS: Final = 1.0
#: A gap that begins within a second of the trouble counts if it is longer than this.
SHORT_GAP_SECONDS: Final = 0.3
_UDP: Final = "udp "


@frozen
class Seen:
    """An event that a page noted: its time, its name such as ``user_left``, and more in words."""

    at: float
    what: str
    detail: str


@frozen
class Timeline:
    """When a page got pictures, and its events.  Both are in order."""

    pictures: Sequence[float]
    events: Sequence[Seen]

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Timeline:
        """The timeline that ``__watch.read()`` in the page returned."""
        events = [Seen(at / 1000, what, detail) for at, what, detail in found["events"]]
        return cls([at / 1000 for at in found["pictures"]], events)

    def back_after(self, begun: float, until: float) -> float:
        """Seconds after ``begun`` from which the picture was there for good.

        0 if it stood still only later, for a moment, and infinite if it was not there at the end, ``until``.
        """
        last = max((at for at in self.pictures if at <= begun), default=begun)
        times = [last, *(at for at in self.pictures if begun < at < until), until]
        gaps = [(start, end) for start, end in pairwise(times) if end - start > SHORT_GAP_SECONDS]
        counted = [end for start, end in gaps if end - start > GAP_SECONDS or start < begun + GAP_SECONDS]
        if not counted:
            return 0.0
        return math.inf if counted[-1] == until and until - gaps[-1][0] > GAP_SECONDS else counted[-1] - begun

    def first_after(self, begun: float, until: float) -> float:
        """Seconds after ``begun`` from which the first picture was there for good."""
        first = next((at - begun for at in self.pictures if begun < at < until), math.inf)
        return max(first, self.back_after(begun, until))

    def udp_after(self, begun: float, until: float) -> float:
        """Seconds after ``begun`` from which the picture came over UDP for good.  Infinite if it never did."""
        since, is_udp = begun, False
        for seen in self.events:
            if seen.what == "path" and seen.at < until:
                was_udp, is_udp = is_udp, seen.detail.startswith(_UDP)
                if seen.at > begun and is_udp and not was_udp:
                    since = seen.at
        return max(since - begun, self.back_after(begun, until)) if is_udp else math.inf

    def first(self, what: str, begun: float, until: float = math.inf) -> float:
        """Seconds after ``begun`` of the first event of this name.  Infinite if there was none before ``until``."""
        return next(
            (seen.at - begun for seen in self.events if seen.what == what and begun < seen.at < until), math.inf
        )
