"""From a budget to one step for each consumer: a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from sfu.allocation.ladder import SMOOTH, Ladder

STARVED: Final = -1
"""The place in the ladder of a consumer that gets nothing."""
DEFAULT_PRIORITY: Final = 1


@frozen
class Demand:
    """What one consumer could get: a step of its ``ladder``, which is not empty.

    Screens come before cameras.  Then the higher ``priority`` comes first, 1 to 255, which its owner has set.  Among
    equals somebody who is ``speaking`` comes first.
    """

    consumer: str
    ladder: Ladder
    screen: bool = False
    priority: int = DEFAULT_PRIORITY
    speaking: bool = False

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """The higher one comes first."""
        return self.screen, self.priority, self.speaking

    @property
    def top(self) -> int:
        return len(self.ladder) - 1

    def rate(self, place: int) -> float:
        """Bits a second at this place of the ladder."""
        return 0.0 if place == STARVED else self.ladder[place].rate

    def increment(self, place: int) -> float:
        """Bits a second that the step above this place adds."""
        return self.ladder[place + 1].rate - self.rate(place)

    def watchable(self) -> int:
        """The place that a consumer gets before others get anything, if it has priority over them.

        It is the first one that moves smoothly, at most the best of its lowest encoding.
        """
        lowest = self.ladder[0].layers.spatial
        for place, step in enumerate(self.ladder):
            is_smooth = step.frame_rate is None or step.frame_rate >= SMOOTH
            if is_smooth or place == self.top or self.ladder[place + 1].layers.spatial != lowest:
                return place
        return self.top


def total_rate(demands: Sequence[Demand], places: Sequence[int]) -> float:
    """Bits a second of all consumers together."""
    return sum(demand.rate(place) for demand, place in zip(demands, places, strict=True))


def distribute(
    budget: float, demands: Sequence[Demand], *, floor: Sequence[int] | None = None, caps: Sequence[int] | None = None
) -> list[int]:
    """The place of each consumer in its ladder.

    The consumers take steps in turn, by rank and then in the given order.  First each gets its lowest step, and a
    camera with priority, or of a speaker, a picture that moves.  Then they go up round by round: screens as far as they
    can, cameras by as many steps as their priority says, and those of speakers by one more.  A consumer for whose next
    step there is no room stays where it is.

    ``floor`` are places that are paid already, and ``caps`` the highest ones.  The default is to begin with nothing and
    to end at the top.  The rates of all consumers together are at most ``budget`` bits a second, or those of the floor
    if these are more.
    """
    places = [STARVED] * len(demands) if floor is None else list(floor)
    tops = [demand.top for demand in demands] if caps is None else list(caps)
    left = budget - total_rate(demands, places)

    def climb(at: int, steps: int, top: int) -> bool:
        """Go up by so many steps, at most to ``top``.  Returns whether there may be more to get."""
        nonlocal left
        demand = demands[at]
        for _ in range(steps):
            if places[at] >= top:
                return False
            more = demand.increment(places[at])
            if more > left:
                return False
            left -= more
            places[at] += 1
        return True

    order = sorted(range(len(demands)), key=lambda at: demands[at].rank, reverse=True)
    for at in order:
        demand = demands[at]
        moves = (demand.priority > DEFAULT_PRIORITY or demand.speaking) and not demand.screen
        goal = min(demand.watchable() if moves else 0, tops[at])
        climb(at, goal - places[at], goal)
    rising = [at for at in order if places[at] != STARVED]
    while rising:
        rising = [at for at in rising if climb(at, _weight(demands[at]), tops[at])]
    return places


def _weight(demand: Demand) -> int:
    """Steps in each round."""
    return len(demand.ladder) if demand.screen else demand.priority + demand.speaking
