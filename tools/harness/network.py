"""A network for datagrams in memory, with latency, jitter, loss, duplication and reordering from a seed.

Each direction of each client's link has a random generator of its own.  It draws the same number of values for every
datagram.  So neither another client's traffic nor the size of a datagram changes the fate of a datagram.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Final, Never

import trio
from attrs import define, field, frozen

from sfu.dataplane.interface import DropReason, Path

Deliver = Callable[[bytes], object]

#: Datagrams that may be in flight in one direction of a link.  More are dropped, as by a full queue.
MAX_IN_FLIGHT: Final = 4096


@frozen
class Conditions:
    """How a link treats datagrams.

    A datagram takes ``latency`` seconds and up to ``jitter`` seconds more, and does not overtake an earlier one.
    ``loss``, ``duplication`` and ``reordering`` are probabilities from 0 to 1.  A reordered datagram takes another
    ``latency`` seconds, and later ones may overtake it.
    """

    latency: float = 0.005
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    @property
    def is_lossy(self) -> bool:
        """Whether datagrams may arrive twice, out of order, or not at all."""
        return bool(self.loss or self.duplication or self.reordering)


CLEAN: Final = Conditions()
ROUGH: Final = Conditions(latency=0.02, jitter=0.01, loss=0.1, duplication=0.02, reordering=0.05)


@define(eq=False)
class LinkDirection:
    """One direction of a link.  ``deliver`` is called with each datagram that arrives."""

    link: "Link"
    rng: random.Random
    deliver: Deliver
    latest_arrival: float = 0.0
    in_flight: int = 0


@define(eq=False)
class Link:
    """The link of one client address.  While ``cut`` it loses every datagram, including those in flight."""

    conditions: Conditions
    cut: bool = False
    to_gateway: LinkDirection = field(init=False)
    to_client: LinkDirection = field(init=False)


@define(eq=False)
class Network:
    """Carries datagrams between the media port and the clients' addresses.

    One task has to run :meth:`run`, which delivers them.  ``sent`` and ``lost`` count datagrams.
    """

    seed: int
    links: dict[Path, Link] = field(factory=dict)
    sent: int = 0
    lost: int = 0
    _in_flight: list[tuple[float, int, LinkDirection, bytes]] = field(factory=list)
    _serials: "itertools.count[int]" = field(factory=itertools.count)
    _changed: trio.Event = field(factory=trio.Event)

    def connect(self, path: Path, conditions: Conditions, to_gateway: Deliver, to_client: Deliver) -> Link:
        """Make a link for the client at ``path``."""
        link = self.links[path] = Link(conditions)
        link.to_gateway = LinkDirection(link, self._generator(path, "up"), to_gateway)
        link.to_client = LinkDirection(link, self._generator(path, "down"), to_client)
        return link

    def _generator(self, path: Path, direction: str) -> random.Random:
        return random.Random(f"{self.seed} {path.host} {path.port} {direction}")

    def disconnect(self, path: Path) -> None:
        """Remove the link of this address.  Datagrams in flight are lost."""
        if (link := self.links.pop(path, None)) is not None:
            link.cut = True

    def transmit(self, path: Path, datagram: bytes) -> DropReason | None:
        """Send a datagram from the media port to a client."""
        if (link := self.links.get(path)) is not None:
            self.send(link.to_client, datagram)
        return None

    def send(self, direction: LinkDirection, datagram: bytes) -> None:
        """Send a datagram in one direction of a link."""
        conditions = direction.link.conditions
        lost, doubled, late, jitter = (direction.rng.random() for _ in range(4))
        self.sent += 1
        if direction.link.cut or lost < conditions.loss or direction.in_flight >= MAX_IN_FLIGHT:
            self.lost += 1
            return
        at = trio.current_time() + conditions.latency + jitter * conditions.jitter
        if late < conditions.reordering:
            at += conditions.latency
        else:
            at = direction.latest_arrival = max(at, direction.latest_arrival)
        for _ in range(2 if doubled < conditions.duplication else 1):
            direction.in_flight += 1
            heapq.heappush(self._in_flight, (at, next(self._serials), direction, datagram))
        self._changed.set()

    async def run(self) -> Never:
        """Deliver datagrams in the order of their arrival."""
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(self._in_flight[0][0]) if self._in_flight else trio.CancelScope():
                await self._changed.wait()
            self._deliver(trio.current_time())

    def _deliver(self, now: float) -> None:
        while self._in_flight and self._in_flight[0][0] <= now:
            _, _, direction, datagram = heapq.heappop(self._in_flight)
            direction.in_flight -= 1
            if not direction.link.cut:
                direction.deliver(datagram)

    def repair(self) -> None:
        """Restore every link that was cut."""
        for link in self.links.values():
            link.cut = False
