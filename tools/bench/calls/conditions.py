"""A model of one direction of a bad network: which frames get lost, and when the others arrive.

It does no I/O and reads no clock.  Times are seconds on any monotonic clock.
"""

from __future__ import annotations

import random
from typing import Final

from attrs import define, field, frozen

_ETHERNET: Final = 14
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_UDP: Final = 17
#: Seconds of one entry about waits in the queue, and the entries that a direction keeps.
WAIT_SECONDS: Final = 0.1
_MOST_WAITS: Final = 6000


@frozen
class Conditions:
    """The conditions in one direction.  The default is a perfect network.

    ``loss`` and ``duplicates`` are shares of all frames, from 0 to less than 1.  A ``loss`` of 1 without bursts cuts
    the link.  ``burst`` is the mean number of frames that get lost in a row (at least 1; Gilbert–Elliott if above).
    ``delay`` and ``jitter`` are seconds: each frame takes ``delay`` plus or minus up to ``jitter``.  Only if
    ``reorders`` may a frame overtake another.  ``rate`` is in bit/s, or None.  A frame that would wait for more than
    ``queue`` seconds for its turn gets lost.  ``udp`` says whether UDP passes.
    """

    loss: float = 0.0
    burst: float = 1.0
    delay: float = 0.0
    jitter: float = 0.0
    reorders: bool = False
    duplicates: float = 0.0
    rate: float | None = None
    queue: float = 0.2
    udp: bool = True


@define
class Counts:
    """Frames that came, and the reasons why some got lost or came twice."""

    frames: int = 0
    lost: int = 0
    overflowed: int = 0
    blocked: int = 0
    duplicated: int = 0


@define
class Direction:
    """One direction of one link.  Its frames follow ``conditions``, which may change at any time.

    The same seed and the same sequence of frames give the same losses: each frame takes four random values, whatever
    the conditions are.
    """

    seed: int
    conditions: Conditions = field(factory=Conditions)
    counts: Counts = field(factory=Counts)
    #: The longest wait in the queue in each tenth of a second, in seconds, by the number of that tenth.
    _waits: dict[int, float] = field(factory=dict)
    _random: random.Random = field(init=False)
    _in_burst: bool = False
    _free: float = float("-inf")
    _last: float = float("-inf")

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def pass_on(self, now: float, frame: bytes) -> tuple[float, ...]:
        """Return when the frame arrives: no time if it gets lost, two times if it is duplicated."""
        conditions, counts = self.conditions, self.counts
        for_loss, for_jitter, for_duplicate, for_copy = (self._random.random() for _ in range(4))
        counts.frames += 1
        if not conditions.udp and is_udp(frame):
            counts.blocked += 1
            return ()
        if self._loses(for_loss):
            counts.lost += 1
            return ()
        leaves = self._leaves(now, len(frame))
        if leaves is None:
            counts.overflowed += 1
            return ()
        first = self._arrives(leaves, for_jitter)
        if for_duplicate >= conditions.duplicates:
            return (first,)
        counts.duplicated += 1
        return (first, self._arrives(leaves, for_copy))

    def _loses(self, drawn: float) -> bool:
        """Whether this frame gets lost.  In a burst every frame does, and outside none (Gilbert–Elliott)."""
        loss, burst = self.conditions.loss, self.conditions.burst
        if burst <= 1:
            self._in_burst = drawn < loss
        elif self._in_burst:
            self._in_burst = drawn >= 1 / burst
        else:
            # With this probability of beginning a burst, a share of ``loss`` of all frames is in one.
            self._in_burst = drawn < loss / (1 - loss) / burst
        return self._in_burst

    def _leaves(self, now: float, size: int) -> float | None:
        """When the frame has passed the bottleneck.  None if the queue before it is full."""
        rate = self.conditions.rate
        if rate is None:
            return now
        begins = max(now, self._free)
        if begins - now > self.conditions.queue:
            return None
        self._note_wait(now, begins - now)
        self._free = begins + size * 8 / rate
        return self._free

    def _note_wait(self, now: float, seconds: float) -> None:
        number = int(now / WAIT_SECONDS)
        self._waits[number] = max(seconds, self._waits.get(number, 0.0))
        if len(self._waits) > _MOST_WAITS:
            del self._waits[next(iter(self._waits))]

    def take_waits(self) -> list[tuple[float, float]]:
        """Return the times since the last call at which frames queued for the rate, and the longest wait at each.

        Times are in seconds.  The queue of a direction without a rate is not measured.
        """
        waits, self._waits = self._waits, {}
        return [(number * WAIT_SECONDS, wait) for number, wait in waits.items()]

    def _arrives(self, leaves: float, drawn: float) -> float:
        conditions = self.conditions
        at = leaves + max(0.0, conditions.delay + conditions.jitter * (2 * drawn - 1))
        if not conditions.reorders:
            at = self._last = max(at, self._last)
        return at


def is_udp(frame: bytes) -> bool:
    """Whether an Ethernet frame carries UDP over IPv4 or IPv6 (without IPv6 extension headers)."""
    kind = frame[12:_ETHERNET]
    if kind == _IPV4:
        return frame[_ETHERNET + 9 : _ETHERNET + 10] == bytes([_UDP])
    return kind == _IPV6 and frame[_ETHERNET + 6 : _ETHERNET + 7] == bytes([_UDP])
