"""Room for newcomers: how busy the event loop and the planes are, and whether more people may join.

A gateway that takes more people than its machine carries gives a bad call to all of them. So newcomers are refused
while something is over its limit, and those inside keep their quality. Each limit is on the mean of the last
:data:`WINDOW` seconds. After it was passed, everything must fall well below its limit, or the gateway would refuse and
admit in turns.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Never, Protocol

import structlog
import trio
from attrs import define, field, frozen

log = structlog.get_logger(__name__)

WINDOW: Final = 3.0
"""Seconds over which the load is a mean. A join shows its load after a second or two: its streams begin then."""
INTERVAL: Final = 0.1
"""Seconds between two looks at the loop's delay."""
PLANES_EVERY: Final = 5
"""Looks at the loop for each look at the planes."""
CALM: Final = 0.8
"""Part of each limit below which everything must fall until newcomers may join again."""


@frozen(kw_only=True)
class RoomLimits:
    """What may be used before newcomers are refused.

    ``loop_load`` and ``plane_load`` are parts of the time for which the event loop, or the thread of a plane, is busy.
    ``loop_delay`` is the mean number of seconds by which the loop runs its tasks late. ``receive_loss`` is the part of
    the arriving datagrams that do not fit into the receive buffers of a plane.
    """

    loop_load: float = math.inf
    loop_delay: float = math.inf
    plane_load: float = math.inf
    receive_loss: float = math.inf


@define(eq=False)
class Gate:
    """The gate of the loop, or of a plane. It closes when a measure is above its limit."""

    name: str
    limits: dict[str, float]
    measured: dict[str, float] = field(factory=dict)
    closed_since: float | None = None

    @property
    def is_closed(self) -> bool:
        return self.closed_since is not None

    def look(self, now: float, **measured: float) -> None:
        """Take the newest measures, one for each limit, and close or open. Log a change."""
        self.measured = measured
        limit = CALM if self.is_closed else 1.0
        over = any(value > limit * self.limits[name] for name, value in measured.items())
        shown = {name: round(value, 3) for name, value in measured.items()}
        if over and self.closed_since is None:
            self.closed_since = now
            log.warning("no room for newcomers", at=self.name, **shown)
        elif not over and self.closed_since is not None:
            log.info("room for newcomers again", at=self.name, seconds=round(now - self.closed_since, 1), **shown)
            self.closed_since = None


@define(eq=False)
class Room:
    """The gates of one gateway with so many planes."""

    limits: RoomLimits
    plane_count: int
    loop: Gate = field(init=False)
    planes: tuple[Gate, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.loop = Gate("event loop", {})
        self.planes = tuple(Gate(f"plane {number}", {}) for number in range(self.plane_count))
        self.reconfigure(self.limits)

    def reconfigure(self, limits: RoomLimits) -> None:
        """Use other limits from the next look on."""
        self.limits = limits
        self.loop.limits = {"load": limits.loop_load, "delay": limits.loop_delay}
        for plane in self.planes:
            plane.limits = {"load": limits.plane_load, "loss": limits.receive_loss}

    @property
    def is_anywhere(self) -> bool:
        """Whether newcomers may join some channel."""
        return not self.loop.is_closed and not all(plane.is_closed for plane in self.planes)

    def is_on(self, plane: int, ages: Callable[[], Iterable[float]]) -> bool:
        """Whether a newcomer may join a channel on this plane. ``ages`` returns for how many seconds each of the
        plane's members has been there.

        The newest members have hardly any streams yet. They will need as much as the others, so they count already.
        """
        gate = self.planes[plane]
        if self.loop.is_closed or gate.is_closed:
            return False
        load, limit = gate.measured.get("load", 0.0), self.limits.plane_load
        if load < limit / 2:
            return True
        is_settled = [age > WINDOW for age in ages()]
        settled = max(1, sum(is_settled))
        newest = len(is_settled) - settled
        return load * (1 + newest / settled) <= limit


class BusyLoop(Protocol):
    """The part of :class:`gateway.ops.loop_time.LoopTime` that tells how busy the loop is."""

    def busy_seconds(self) -> float: ...


class PlaneCounts(Protocol):
    """The part of a plane's totals that counts what it has read."""

    @property
    def packets_in(self) -> int: ...


class BusyPlane(Protocol):
    """The part of a data plane that tells how busy it is."""

    def busy_seconds(self) -> float: ...
    def receive_drops(self) -> int: ...
    def totals(self) -> PlaneCounts: ...


@define
class Counters:
    """By how much counters rose in the last :data:`WINDOW` seconds."""

    _samples: deque[tuple[float, ...]] = field(factory=deque)

    def rise(self, now: float, *counters: float) -> tuple[float, ...] | None:
        """Take the counters of this moment. Return the time, and the rise of each counter. None while the gateway is
        too young."""
        samples = self._samples
        samples.append((now, *counters))
        while len(samples) > 2 and samples[1][0] <= now - WINDOW:
            samples.popleft()
        if now - samples[0][0] < WINDOW / 2:
            return None
        return tuple(new - old for old, new in zip(samples[0], samples[-1], strict=True))


async def watch_room(room: Room, loop: BusyLoop, planes: Sequence[BusyPlane], clock: Callable[[], float]) -> Never:
    """Measure the load as long as the gateway runs. ``clock`` is that of the busy seconds."""
    of_loop, of_planes = Counters(), [Counters() for _ in planes]
    delays: deque[float] = deque(maxlen=round(WINDOW / INTERVAL))
    while True:
        for _ in range(PLANES_EVERY):
            due = trio.current_time() + INTERVAL
            await trio.sleep_until(due)
            delays.append(max(0.0, trio.current_time() - due))
            if (rise := of_loop.rise(clock(), loop.busy_seconds())) is not None:
                seconds, busy = rise
                delay = sum(delays) / len(delays)
                room.loop.look(trio.current_time(), load=_share(busy, seconds), delay=delay)
        for gate, plane, counters in zip(room.planes, planes, of_planes, strict=True):
            counts = plane.busy_seconds(), plane.receive_drops(), plane.totals().packets_in
            if (rise := counters.rise(clock(), *counts)) is not None:
                seconds, busy, lost, read = rise
                loss = _share(lost, lost + read)
                gate.look(trio.current_time(), load=_share(busy, seconds), loss=loss)


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0
