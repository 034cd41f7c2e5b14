"""The core of a switch in user space: it passes Ethernet frames between its ports, as each port's conditions say.

It does no I/O and reads no clock, so tests run it in virtual time.  :mod:`tools.bench.calls.switch_process` connects
it to network devices.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from attrs import define, field

from tools.bench.calls.conditions import Conditions, Direction

#: Frames that the switch holds at most, some 30 MB.  It discards further ones.
MOST_HELD: Final = 20_000
#: Times by which frames left late, in seconds: a frame counts for the first limit that it does not pass.
LATE_LIMITS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, math.inf)

Way = Literal["from", "to"]


def address_of(port: int) -> bytes:
    """The Ethernet address of the device at a port."""
    return bytes([2, 0, 0, 0, 0, port + 1])


@define
class Switch:
    """A switch with ``ports`` ports.  A frame passes the conditions *from* its source, then those *to* its destination.

    It knows the address at each port from the beginning and learns none.  So it floods nothing, and it discards frames
    to unknown addresses (``unknown``), such as multicast.
    """

    ports: int
    seed: int
    unknown: int = 0
    too_many: int = 0
    late: list[int] = field(factory=lambda: [0] * len(LATE_LIMITS))
    _ports: dict[bytes, int] = field(init=False)
    _directions: dict[Way, Sequence[Direction]] = field(init=False)
    _held: list[tuple[float, int, int, bool, bytes]] = field(factory=list)
    _number: int = 0

    def __attrs_post_init__(self) -> None:
        self._ports = {address_of(port): port for port in range(self.ports)}
        self._directions = {
            "from": [Direction(self.seed + 2 * port) for port in range(self.ports)],
            "to": [Direction(self.seed + 2 * port + 1) for port in range(self.ports)],
        }

    def direction(self, way: Way, port: int) -> Direction:
        return self._directions[way][port]

    def set(self, way: Way, port: int, conditions: Conditions) -> None:
        """Change the conditions from or to a port.  Frames under way keep their times."""
        self.direction(way, port).conditions = conditions

    def receive(self, now: float, port: int, frame: bytes) -> None:
        """A frame came in at this port."""
        to = self._ports.get(frame[:6])
        if to is None:
            self.unknown += 1
            return
        for at in self._directions["from"][port].pass_on(now, frame):
            self._hold(at, to, False, frame)

    def due(self, now: float) -> Iterator[tuple[int, bytes]]:
        """Take out the frames whose time has come, with their ports."""
        held = self._held
        while held and held[0][0] <= now:
            at, _, port, has_arrived, frame = heapq.heappop(held)
            if has_arrived:
                self._count_late(now - at)
                yield port, frame
            else:
                for later in self._directions["to"][port].pass_on(at, frame):
                    self._hold(later, port, True, frame)

    def next_due(self) -> float | None:
        """When the next frame is due, or None."""
        return self._held[0][0] if self._held else None

    def _hold(self, at: float, port: int, has_arrived: bool, frame: bytes) -> None:
        if len(self._held) >= MOST_HELD:
            self.too_many += 1
            return
        # The number keeps the order of frames with the same time.
        self._number += 1
        heapq.heappush(self._held, (at, self._number, port, has_arrived, frame))

    def _count_late(self, seconds: float) -> None:
        for index, limit in enumerate(LATE_LIMITS):
            if seconds <= limit:
                self.late[index] += 1
                return
