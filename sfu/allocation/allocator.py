"""The allocator: it keeps the choice of layers for one receiver steady, and follows the estimate of its path.

Down at once, up with care.  A receiver's path is estimated by what arrives, so an estimate may be too high for a
moment, and each failed attempt freezes pictures.  The rules:

- **Down**: as soon as the videos take more than the estimate, everything is shared out again within 90 % of it.
- **Up**: not within 2 s of the last change, and only into room that the data plane has proven by probing, or that the
  estimate has offered for 2 s.
- **Back-off**: if something has to go down within 10 s of an upgrade, the upgrade failed.  The next one waits 5 s, and
  after each further failure half as long again, at most 2 minutes.
- **No key frame**: an upgrade to a larger picture begins at a key frame.  If that does not come within 3 s, the upgrade
  is given back, as a failure.
- **Newcomers** and consumers whose owner changed a wish get their share at once, if need be from others.  So does a
  consumer that had everything, when its sender begins to send more.
- Pictures that others see make way for somebody who sees nothing, also during the back-off.  So does the room of a
  picture that ended: the path has borne it.
- **Speakers**: the picture of a person who begins to speak may grow at once, but only into the room of others.  People
  speak in turn, so these changes are many, and none of them may ask the path for much more than it carries already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen

from sfu.allocation.distribution import STARVED, Demand, distribute, total_rate
from sfu.allocation.ladder import NO_LIMIT
from sfu.layers import Layers

BUDGET_SHARE: Final = 0.9
"""The part of the estimate that is shared out.  The rest is for headers, and for pictures larger than the mean."""
PAUSE: Final = 2.0
"""Seconds from a change to the next step up, and for which the estimate must offer room that no probe has proven."""
TRIAL: Final = 10.0
"""An upgrade that lasts for so many seconds has succeeded."""
BACK_OFF: Final = 5.0
BACK_OFF_GROWTH: Final = 1.5
MAX_BACK_OFF: Final = 120.0
KEY_FRAME_WAIT: Final = 3.0
SPEAKER_SLACK: Final = 1.25
"""A new speaker's picture may let the total rise by so much: no two cameras have the same rate."""
BUSY_INTERVAL: Final = 1.0
"""Seconds to the next run while somebody could get more, or an upgrade has not begun."""
CALM_INTERVAL: Final = 5.0
"""Seconds to the next run while everybody has everything.  Rates change, and the data plane compares them."""


@frozen
class Allotment:
    """The choice for one receiver.

    ``limits`` has the highest layers of each consumer, or None for one that must be paused.  Of the whole choice,
    ``used`` is the rate and ``wanted`` the rate if everybody had everything, both in bits a second.  ``next`` is the
    estimate at which somebody can go up; None if nobody may.  The next run is due at ``due`` seconds.  ``urgent`` says
    that the choice before took more than the path carries.  The worst served consumer gets ``least_share`` of the rate
    of its top step, 0 to 1.
    """

    limits: dict[str, Layers | None]
    used: int
    next: int | None
    wanted: int
    due: float
    urgent: bool = False
    least_share: float = 1.0


@frozen
class _Rise:
    """An upgrade that has not begun: the layers before it, and the time of the decision."""

    former: Layers
    since: float


@frozen
class _Situation:
    """What a run has to decide: everybody's demand, the place ``kept`` from the last run, and the top of its ladder.

    Those who are ``free`` may go up at once.  Those who are ``favored`` may do so in the room of others.  ``is_over``
    says that the kept places take more than the path carries.
    """

    demands: Sequence[Demand]
    kept: list[int]
    tops: list[int]
    free: list[bool]
    favored: list[bool]
    budget: float
    is_over: bool

    @property
    def climbers(self) -> list[bool]:
        """Those who need not wait for the time of the next upgrade."""
        return [is_free or is_favored for is_free, is_favored in zip(self.free, self.favored, strict=True)]


@define
class Allocator:
    """The memory of the choice for one receiver.  Times are in seconds on the caller's clock."""

    # The choice: None for a consumer that is paused.
    _held: dict[str, Layers | None] = field(factory=dict)
    # The consumers that had everything.
    _satisfied: set[str] = field(factory=set)
    # The wishes of each consumer's owner at the last run.
    _wishes: dict[str, object] = field(factory=dict)
    # The consumers of people who spoke at the last run.
    _speaking: set[str] = field(factory=set)
    _rises: dict[str, _Rise] = field(factory=dict)
    _proven: bool = False
    _room_since: float = math.inf
    _changed_at: float = -math.inf
    # The highest total since the last change, in bits a second.  Pictures may have ended since.
    _borne: float = 0.0
    _raised_at: float | None = None
    # How long the next step up waits if this one fails.
    _back_off: float = BACK_OFF
    _not_before: float = -math.inf

    @property
    def rising(self) -> frozenset[str]:
        """The consumers whose upgrade waits for a key frame.  Call :meth:`begun` when it came."""
        return frozenset(self._rises)

    def begun(self, consumer: str) -> None:
        """The consumer gets the layers of its upgrade."""
        self._rises.pop(consumer, None)

    def prove(self) -> None:
        """The path has carried what the next step needs."""
        self._proven = True

    def release(self, demands: Sequence[Demand]) -> Allotment:
        """The choice while nobody knows what the path carries: everything for everybody."""
        self._held, self._wishes, self._rises, self._satisfied = {}, {}, {}, set()
        wanted = round(total_rate(demands, [demand.top for demand in demands]))
        return Allotment({demand.consumer: NO_LIMIT for demand in demands}, wanted, None, wanted, math.inf)

    def allot(
        self, demands: Sequence[Demand], estimate: float, now: float, *, wishes: Sequence[object] = ()
    ) -> Allotment:
        """Share out ``estimate``, in bits a second, among the consumers that could get something.

        ``wishes`` has a value for each demand, which changes when the owner of the consumer wants something else.
        """
        self._give_back(demands, now)
        kept = [self._place(demand) for demand in demands]
        situation = _Situation(
            demands,
            kept,
            tops=[demand.top for demand in demands],
            free=self._take_wishes(demands, kept, wishes or [None] * len(demands)),
            favored=self._take_speakers(demands),
            budget=BUDGET_SHARE * estimate,
            is_over=total_rate(demands, kept) > estimate,
        )
        places = self._choose(situation, now)
        self._judge(situation, places, now)
        self._remember(situation, places, now)
        above = _next_rate(demands, places)
        return Allotment(
            limits=dict(self._held),
            used=round(total_rate(demands, places)),
            next=None if above is None or now < self._not_before else math.ceil(above / BUDGET_SHARE),
            wanted=round(total_rate(demands, situation.tops)),
            due=self._due(now, is_calm=above is None and not self._rises),
            urgent=situation.is_over,
            least_share=_least_share(demands, places),
        )

    # Where everybody stands.

    def _place(self, demand: Demand) -> int:
        """The place of the held layers in the present ladder.

        The ladder may have lost this step.  The nearest one of the same encoding spares the receiver a switch.
        """
        held = self._held.get(demand.consumer)
        if held is None:
            return STARVED
        same = [at for at, step in enumerate(demand.ladder) if step.layers.spatial == held.spatial]
        within = [at for at in same if demand.ladder[at].layers.temporal <= held.temporal]
        below = [at for at, step in enumerate(demand.ladder) if step.layers.spatial < held.spatial]
        return within[-1] if within else same[0] if same else below[-1] if below else 0

    def _take_wishes(self, demands: Sequence[Demand], kept: list[int], wishes: Sequence[object]) -> list[bool]:
        """Who need not wait for a step up: newcomers, those whose owner wants something else, and those who had
        everything until their sender sent more."""
        former = self._wishes
        self._wishes = {
            demand.consumer: (demand.screen, demand.priority, wish)
            for demand, wish in zip(demands, wishes, strict=True)
        }
        return [
            former.get(demand.consumer) != self._wishes[demand.consumer]
            or (demand.consumer in self._satisfied and place < demand.top)
            for demand, place in zip(demands, kept, strict=True)
        ]

    def _take_speakers(self, demands: Sequence[Demand]) -> list[bool]:
        """Those who speak, if they are others than at the last run.

        All of them, since the end of one makes room for another who began before.  Once only: a picture whose key frame
        did not come must not try again and again.
        """
        former, self._speaking = self._speaking, {demand.consumer for demand in demands if demand.speaking}
        return [demand.speaking and former != self._speaking for demand in demands]

    def _give_back(self, demands: Sequence[Demand], now: float) -> None:
        """Return to the former layers where no key frame came.  The sender cannot serve the upgrade now.

        A video that ended meanwhile is no failure.
        """
        present = {demand.consumer for demand in demands}
        self._rises = {consumer: rise for consumer, rise in self._rises.items() if consumer in present}
        late = [consumer for consumer, rise in self._rises.items() if now - rise.since >= KEY_FRAME_WAIT]
        for consumer in late:
            self._held[consumer] = self._rises.pop(consumer).former
            self._satisfied.discard(consumer)
        if late:
            self._fail(now)
            self._changed_at = now

    def _fail(self, now: float) -> None:
        """The last upgrade failed, so the next one waits."""
        self._not_before = now + self._back_off
        self._back_off = min(BACK_OFF_GROWTH * self._back_off, MAX_BACK_OFF)
        self._raised_at = None

    # The choice.

    def _choose(self, situation: _Situation, now: float) -> list[int]:
        demands, kept, free, budget = situation.demands, situation.kept, situation.free, situation.budget
        caps = [top if climbs else at for top, at, climbs in zip(situation.tops, kept, situation.climbers, strict=True)]
        if situation.is_over:
            return distribute(budget, demands, caps=caps)
        best = kept if kept == situation.tops else _plan(budget, demands, kept, situation.tops)
        self._room_since = math.inf if best == kept else min(self._room_since, now)
        if best == kept or self._may_rise(now):
            return best
        if any(free):
            return _plan(budget, demands, kept, caps)
        # Even in the back-off, pictures make way for a speaker, and for people who see nothing of somebody.
        if any(situation.favored):
            return _swap(min(budget, SPEAKER_SLACK * total_rate(demands, kept)), demands, kept, caps)
        if now >= self._changed_at + PAUSE:
            return _swap(min(budget, self._borne), demands, kept, [max(at, 0) for at in kept])
        return kept

    def _may_rise(self, now: float) -> bool:
        may = now >= max(self._changed_at + PAUSE, self._not_before)
        return may and (self._proven or now >= self._room_since + PAUSE)

    def _judge(self, situation: _Situation, places: list[int], now: float) -> None:
        """Whether the last upgrade failed or succeeded, and whether this is another one."""
        pairs = list(zip(situation.kept, places, situation.climbers, strict=True))
        if self._raised_at is not None and now - self._raised_at > TRIAL:
            self._back_off, self._raised_at = BACK_OFF, None
        if situation.is_over and self._raised_at is not None and any(place < was for was, place, _ in pairs):
            self._fail(now)
        elif any(place > was and not climbs for was, place, climbs in pairs):
            self._raised_at = now

    def _remember(self, situation: _Situation, places: list[int], now: float) -> None:
        before, self._held = self._held, {}
        for demand, was, place in zip(situation.demands, situation.kept, places, strict=True):
            layers = None if place == STARVED else demand.ladder[place].layers
            self._held[demand.consumer] = layers
            former = before.get(demand.consumer)
            if place < was:
                self._rises.pop(demand.consumer, None)
            elif place > was and layers is not None and former is not None and layers.spatial > former.spatial:
                self._rises.setdefault(demand.consumer, _Rise(former, now))
        at_top = zip(situation.demands, places, situation.tops, strict=True)
        self._satisfied = {demand.consumer for demand, place, top in at_top if place == top}
        if places != situation.kept:
            self._changed_at, self._proven, self._room_since, self._borne = now, False, math.inf, 0.0
        self._borne = max(self._borne, total_rate(situation.demands, places))

    def _due(self, now: float, *, is_calm: bool) -> float:
        if is_calm:
            return now + CALM_INTERVAL
        turns = (self._changed_at + PAUSE, self._not_before, self._room_since + PAUSE)
        key_frames = (rise.since + KEY_FRAME_WAIT for rise in self._rises.values())
        return min(now + BUSY_INTERVAL, *(time for time in (*turns, *key_frames) if time > now))


def _next_rate(demands: Sequence[Demand], places: Sequence[int]) -> float | None:
    """The rate of all after the next steps up, in bits a second; None if everybody has everything.

    One step at a time would take too long when many are starved.  So it is what fits into twice the present rate, and
    at least the cheapest step.
    """
    increments = [demand.increment(at) for demand, at in zip(demands, places, strict=True) if at < demand.top]
    if not increments:
        return None
    used = total_rate(demands, places)
    room = max(2 * used, used + min(increments))
    return total_rate(demands, distribute(room, demands, floor=places))


def _plan(budget: float, demands: Sequence[Demand], kept: Sequence[int], caps: Sequence[int]) -> list[int]:
    """Steps up for some.  Steps down for others only where that serves a higher rank, or somebody who has nothing."""
    rise = distribute(budget, demands, floor=kept, caps=caps)
    anew = distribute(budget, demands, caps=caps)
    return anew if _serves_better(demands, rise, anew) else rise


def _swap(budget: float, demands: Sequence[Demand], kept: list[int], caps: Sequence[int]) -> list[int]:
    """Steps up for some at the cost of others, where that gives more than it takes."""
    swapped = distribute(budget, demands, caps=caps)
    return swapped if _serves_better(demands, kept, swapped) else kept


def _least_share(demands: Sequence[Demand], places: Sequence[int]) -> float:
    """The part of its top rate that the worst served consumer gets."""
    pairs = [(demand.rate(at), demand.rate(demand.top)) for demand, at in zip(demands, places, strict=True)]
    return min((rate / top for rate, top in pairs if rate < top), default=1.0)


def _serves_better(demands: Sequence[Demand], now: Sequence[int], then: Sequence[int]) -> bool:
    """Whether a change from ``now`` to ``then`` gives more than it takes.

    Whoever loses steps must lose them to a higher rank, or to somebody who had nothing.  Whoever loses the last step
    must lose it to a higher rank.
    """
    gains = [at for at in range(len(demands)) if then[at] > now[at]]
    best = max((demands[at].rank for at in gains), default=None)
    if best is None:
        return False
    serves_starved = any(now[at] == STARVED for at in gains)
    losses = [at for at in range(len(demands)) if then[at] < now[at]]
    return all(best > demands[at].rank or (serves_starved and then[at] != STARVED) for at in losses)
