"""The packets that a received stream lacks, and when its receiver asks for each.

The rules are those of libwebrtc's receivers, so that the gateway sees the NACKs that browsers send.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from attrs import define, field

from tools.light.histogram import Histogram
from tools.light.packet_counts import PacketCounts

#: Requests for one packet, as in libwebrtc.
MAX_TRIES: Final = 10
#: Missing packets of one stream, as in libwebrtc.  If more are missing, only a key frame helps.
MAX_MISSING: Final = 1000
#: Seconds from a request to its answer before the first answer, and the limits of later measurements.
FIRST_ROUND_TRIP: Final = 0.1
_SHORTEST_ROUND_TRIP, _LONGEST_ROUND_TRIP = 0.01, 1.0
#: Least seconds between two looks at the missing packets, so that one NACK asks for many of them.
#: An answer may be later than the round trip by the same time.
TICK: Final = 0.02
#: Least seconds between two requests for a key frame.
KEY_FRAME_SECONDS: Final = 1.0


@define
class MissingPacket:
    """When its absence was noticed, and when and how often it was asked for.  Times are in seconds."""

    noticed_at: float
    asked_at: float = -math.inf
    tries: int = 0


@define(eq=False)
class MissingPackets:
    """The missing packets of one stream by their extended sequence numbers.

    ``now`` is a time of any one clock, in seconds.  ``counts`` gets the counts of requested, repaired and given up
    packets.  ``waited`` has the times from the notice of a gap until a requested packet came.  ``round_trip`` is the
    time from a request to its answer.  ``next_due`` is the time of the next request, or infinity.
    """

    counts: PacketCounts
    waited: Histogram = field(factory=Histogram)
    round_trip: float = FIRST_ROUND_TRIP
    next_due: float = math.inf
    packets: dict[int, MissingPacket] = field(factory=dict)
    _failed: bool = False
    _next_key_frame_request: float = -math.inf

    def add(self, numbers: Sequence[int], now: float) -> None:
        """Note these numbers as missing.  They are due at once."""
        if len(self.packets) + len(numbers) > MAX_MISSING:
            self._give_up(list(self.packets))
            self._failed = True
        else:
            self.packets.update((number, MissingPacket(now)) for number in numbers)
        if self.packets or self._failed:
            self.next_due = now

    def remove(self, number: int, now: float) -> None:
        """Note that a packet came.  Do nothing if its number is not asked for."""
        packet = self.packets.pop(number, None)
        if packet is None:
            return
        if not self.packets:
            self.next_due = math.inf
        if not packet.tries:
            return
        self.counts.repaired += 1
        self.waited.record(now - packet.noticed_at)
        if packet.tries == 1:  # an answer to several requests does not tell which of them it answers
            self._measure(now - packet.asked_at)

    def clear(self) -> list[int]:
        """Forget all missing packets, and return their numbers."""
        numbers = list(self.packets)
        self.packets.clear()
        self.next_due = math.inf
        return numbers

    def _measure(self, round_trip: float) -> None:
        # Falls at once and rises slowly.  So answers that had to wait for the publisher hardly count.
        weight = 1.0 if round_trip < self.round_trip else 1 / 16
        measured = self.round_trip + weight * (round_trip - self.round_trip)
        self.round_trip = min(max(measured, _SHORTEST_ROUND_TRIP), _LONGEST_ROUND_TRIP)

    def take_due(self, now: float) -> list[int]:
        """Return the numbers to ask for now, in ascending order.  Give up those that were asked for too often."""
        if now < self.next_due:
            return []
        due, hopeless = [], []
        for number, packet in self.packets.items():
            if now < packet.asked_at + self.round_trip + TICK:
                continue
            if packet.tries == MAX_TRIES:
                hopeless.append(number)
                continue
            self.counts.requested += not packet.tries
            packet.asked_at, packet.tries = now, packet.tries + 1
            due.append(number)
        self._give_up(hopeless)
        oldest = min((packet.asked_at for packet in self.packets.values()), default=math.inf)
        self.next_due = max(oldest + self.round_trip, now) + TICK
        return sorted(due)

    def _give_up(self, numbers: list[int]) -> None:
        for number in numbers:
            self.counts.given_up += self.packets.pop(number).tries > 0
        self._failed |= bool(numbers)

    def take_key_frame_request(self, now: float) -> bool:
        """Whether to ask for a key frame now, because repair failed.  True at most once a second."""
        failed, self._failed = self._failed, False
        if not failed or now < self._next_key_frame_request:
            return False
        self._next_key_frame_request = now + KEY_FRAME_SECONDS
        self.counts.key_frame_requests += 1
        return True
