"""How many people must talk until the gateway uses a certain part of its core?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from attrs import frozen

#: Part of the gateway's core that the call uses before anybody attacks.
LOAD: Final = 0.7
#: Part of their core that the people may use. With more, the load test would measure itself.
LOAD_OF_CLIENTS: Final = 0.6
#: Speakers of the first measurement.
FIRST: Final = 3
#: Packets of a voice in a second.
PACKETS: Final = 50


@frozen
class Cost:
    """Processor seconds for each packet that the gateway sends, and for each that the people receive."""

    gateway: float
    clients: float


async def speakers_for(load: float, members: int, measure: Callable[[int], Awaitable[Cost]]) -> int:
    """Return how many of the members must talk to use this part of the gateway's core. It is at least one.

    The result may be lower, if the people would use too much of their own core. ``measure`` returns the cost of a
    packet with so many speakers. The cost falls when more packets leave at a time, so a second measurement corrects the
    first.
    """
    speakers = min(FIRST, members)
    for _ in range(2):
        speakers = _estimate(load, members, await measure(speakers))
    return speakers


def _estimate(load: float, members: int, cost: Cost) -> int:
    packets = min(load / cost.gateway, LOAD_OF_CLIENTS / cost.clients)
    return min(members, max(1, int(packets / (PACKETS * max(1, members - 1)))))
