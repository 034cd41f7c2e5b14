"""How many people must talk until the gateway uses a certain part of its core?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

#: Part of the gateway's core that the call uses before anybody attacks.
LOAD: Final = 0.7
#: Numbers of speakers whose cost is measured first.
SMALL: Final = 1
MEDIUM: Final = 4


async def speakers_for(load: float, most: int, measure: Callable[[int], Awaitable[float]]) -> int:
    """Return how many speakers use this part of a core, at least one and at most ``most``.

    ``measure`` returns the part that a number of speakers uses. The cost of a packet falls when more packets leave at
    a time, so a third measurement corrects the estimate of the first two.
    """
    small, medium = min(SMALL, most), min(MEDIUM, most)
    if small == medium:
        return most
    points = [(number, await measure(number)) for number in (small, medium)]
    guess = _estimate(load, most, points)
    if guess > medium:
        points = [points[1], (guess, await measure(guess))]
        guess = _estimate(load, most, points)
    return guess


def _estimate(load: float, most: int, points: list[tuple[int, float]]) -> int:
    (few, low), (many, high) = points
    if high <= low:
        return most
    number = few + (load - low) * (many - few) / (high - low)
    return min(most, max(1, int(number)))
