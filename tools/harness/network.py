"""Datagrams on a network in memory: latency, jitter, loss, duplicates, reordering, all drawn from a seed.

Each direction of each client's link has a generator of its own and takes the same number of draws for each datagram,
whatever is in it: neither another client's traffic nor the length of a signature changes what happens to a datagram.
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

#: Datagrams that may be under way on one link in one direction; more are dropped, as by a full queue.
UNDER_WAY: Final = 4096


@frozen
class Conditions:
    """How a link treats datagrams.

    ``latency`` and ``jitter`` in seconds: a datagram takes ``latency`` and up to ``jitter`` more, and never overtakes
    another unless it is chosen for it.  ``loss``, ``duplication`` and ``reordering`` are probabilities, 0 to 1; a
    reordered datagram is late by ``latency`` once more.
    """

    latency: float = 0.005
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    @property
    def is_lossy(self) -> bool:
        """Whether what is sent may be missing, late or doubled at the other end."""
        return bool(self.loss or self.duplication or self.reordering)


CLEAN: Final = Conditions()
ROUGH: Final = Conditions(latency=0.02, jitter=0.01, loss=0.1, duplication=0.02, reordering=0.05)


@define(eq=False)
class Line:
    """One direction of a link: what is put on it arrives, or does not, at ``deliver``."""

    link: "Link"
    rng: random.Random
    deliver: Deliver
    newest: float = 0.0
    under_way: int = 0


@define(eq=False)
class Link:
    """One client address.  ``cut`` swallows everything in both directions, what is under way too."""

    conditions: Conditions
    cut: bool = False
    to_gateway: Line = field(init=False)
    to_client: Line = field(init=False)


@define(eq=False)
class Network:
    """Carries datagrams between the media port and clients' addresses; one task, :meth:`run`, lets time pass.

    ``sent`` and ``lost`` count datagrams.
    """

    seed: int
    links: dict[Path, Link] = field(factory=dict)
    sent: int = 0
    lost: int = 0
    _under_way: list[tuple[float, int, Line, bytes]] = field(factory=list)
    _serials: "itertools.count[int]" = field(factory=itertools.count)
    _changed: trio.Event = field(factory=trio.Event)

    def connect(self, path: Path, conditions: Conditions, to_gateway: Deliver, to_client: Deliver) -> Link:
        """A link for the client at ``path``."""
        link = self.links[path] = Link(conditions)
        link.to_gateway = Line(link, self._generator(path, "up"), to_gateway)
        link.to_client = Line(link, self._generator(path, "down"), to_client)
        return link

    def _generator(self, path: Path, way: str) -> random.Random:
        return random.Random(f"{self.seed} {path.host} {path.port} {way}")

    def disconnect(self, path: Path) -> None:
        """Nobody is at this address any more; what is under way is lost."""
        if (link := self.links.pop(path, None)) is not None:
            link.cut = True

    def transmit(self, path: Path, datagram: bytes) -> DropReason | None:
        """What the media port sends."""
        if (link := self.links.get(path)) is not None:
            self.send(link.to_client, datagram)
        return None

    def send(self, line: Line, datagram: bytes) -> None:
        """Put a datagram on its way."""
        conditions = line.link.conditions
        lost, doubled, late, jitter = (line.rng.random() for _ in range(4))
        self.sent += 1
        if line.link.cut or lost < conditions.loss or line.under_way >= UNDER_WAY:
            self.lost += 1
            return
        at = trio.current_time() + conditions.latency + jitter * conditions.jitter
        if late < conditions.reordering:
            at += conditions.latency
        else:
            at = line.newest = max(at, line.newest)
        for _ in range(2 if doubled < conditions.duplication else 1):
            line.under_way += 1
            heapq.heappush(self._under_way, (at, next(self._serials), line, datagram))
        self._changed.set()

    async def run(self) -> Never:
        """Deliver what arrives, in the order of arrival."""
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(self._under_way[0][0]) if self._under_way else trio.CancelScope():
                await self._changed.wait()
            self._deliver(trio.current_time())

    def _deliver(self, now: float) -> None:
        while self._under_way and self._under_way[0][0] <= now:
            _, _, line, datagram = heapq.heappop(self._under_way)
            line.under_way -= 1
            if not line.link.cut:
                line.deliver(datagram)

    def repair(self) -> None:
        """No link is cut any more."""
        for link in self.links.values():
            link.cut = False
