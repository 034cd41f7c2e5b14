"""Who is compared, and a whole run: every scenario, several rounds, one contestant after the other."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal

import trio
from attrs import define, field, frozen

from sfu.wire.certificate import generate_certificate
from tools.bench.beside import floor
from tools.bench.beside.conference import Conference
from tools.bench.beside.crowd import WITNESSES, BadRun
from tools.bench.beside.draining import Drainer
from tools.bench.beside.legs import NotConnected
from tools.bench.beside.measure import Result, measure, until_quiet
from tools.bench.beside.ours import open_gateway
from tools.bench.beside.scenarios import Scenario
from tools.bench.beside.theirs import open_janus
from tools.bench.janus.api import JanusError
from tools.bench.janus.sdp import BadDescription
from tools.bench.leaving import BenchError
from tools.bench.network import Link
from tools.bench.process import ServerEnded
from tools.bench.progress import Progress
from tools.bench.websocket import Refused
from tools.light import Identity

Contestant = Literal["gateway", "janus", "floor", "floor-segmented"]
Opened = Callable[[str, Sequence[str], Identity], AbstractAsyncContextManager[Conference]]

#: What a run may fail with and the others go on.
_FAILURES: Final = (
    BadRun,
    BadDescription,
    BenchError,
    JanusError,
    NotConnected,
    Refused,
    ServerEnded,
    floor.NoFloor,
    trio.TooSlowError,
    OSError,
)


@frozen
class FloorResult:
    """Of one run of the floor; ``received`` packets arrived."""

    floor: floor.Floor
    received: int

    @property
    def cpu_per_packet(self) -> float:
        return self.floor.cpu / self.floor.packets

    @property
    def loss(self) -> float:
        return 1 - self.received / self.floor.packets


@define
class Outcome:
    """Everything that was measured, by scenario's name and contestant; ``failures`` in words."""

    runs: dict[tuple[str, Contestant], list[Result]] = field(factory=lambda: defaultdict(list))
    floors: dict[tuple[str, Contestant], list[FloorResult]] = field(factory=lambda: defaultdict(list))
    failures: list[str] = field(factory=list)


@define
class Contest:
    """``program`` is the built floor, where there is one; ``options`` are further ones for our gateway."""

    link: Link
    drainer: Drainer
    seconds: float
    program: Path | None
    progress: Progress
    options: Sequence[str] = ()
    outcome: Outcome = field(factory=Outcome)
    _identity: Identity = field(factory=lambda: Identity.of(generate_certificate(datetime.now(UTC))))

    async def run(self, scenarios: Sequence[Scenario], contestants: Sequence[Contestant], rounds: int) -> Outcome:
        for scenario in scenarios:
            for number in range(rounds):
                self.progress.round = f"{scenario.title}, round {number + 1} of {rounds}"
                # Back and forth, so that a machine that gets slower or faster is everybody's.
                for contestant in contestants if number % 2 == 0 else reversed(contestants):
                    await self._try(scenario, contestant)
        return self.outcome

    async def _try(self, scenario: Scenario, contestant: Contestant) -> None:
        try:
            if contestant == "gateway":
                await self._serve(scenario, contestant, partial(open_gateway, options=self.options))
            elif contestant == "janus":
                await self._serve(scenario, contestant, open_janus)
            elif contestant == "floor" or scenario.bursts:
                await self._floor(scenario, contestant)
        except* _FAILURES as errors:
            self.drainer.clear()
            self.outcome.failures.append(f"{scenario.title}, {contestant}: {_reason(errors)}")
            self.progress(self.outcome.failures[-1].partition("\n")[0])

    async def _serve(self, scenario: Scenario, contestant: Contestant, opened: Opened) -> None:
        self.progress(f"{contestant} starts")
        async with opened(self.link.server, self.link.prefix, self._identity) as conference:
            result = await measure(scenario, conference, self.drainer, self.seconds, self.progress)
        self.outcome.runs[scenario.name, contestant].append(result)

    async def _floor(self, scenario: Scenario, contestant: Contestant) -> None:
        if self.program is None:
            return
        self.progress(f"{contestant} sends {scenario.rate} packets a second")
        segmented = contestant == "floor-segmented"
        with ExitStack() as stack:
            receivers = []
            for number in range(scenario.members):
                sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sock.setblocking(False)
                sock.bind((self.link.clients, 0))
                key = os.urandom(floor.MASTER_KEY + floor.MASTER_SALT)
                # As many are opened as of a server's receivers, so that the drain has as much to do.
                is_witness = number % max(1, scenario.members // WITNESSES) == 0
                self.drainer.add(sock, key if is_witness else None)
                receivers.append((sock.getsockname(), key))
            self.drainer.begin()
            text = floor.plan(self.seconds, receivers, streams(scenario), segmented=segmented)
            measured = await floor.run(self.program, self.link.prefix, text, self.seconds)
            await until_quiet(self.drainer)
            received = self.drainer.report().packets
            self.drainer.clear()
        self.outcome.floors[scenario.name, contestant].append(FloorResult(measured, received))


def streams(scenario: Scenario) -> list[floor.Stream]:
    """What leaves a server, staggered as the sources are."""
    flows = [(publisher, source) for publisher in range(scenario.publishers) for source in scenario.sources]
    return [
        floor.Stream(
            period=1 / source.rate,
            phase=number / len(flows) / source.rate,
            burst=source.burst,
            size=source.size,
            receivers=scenario.receivers_of(publisher),
        )
        for number, (publisher, source) in enumerate(flows)
    ]


def first(error: BaseException) -> BaseException:
    """The first of a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    error = first(error)
    return str(error) or ("it took too long" if isinstance(error, trio.TooSlowError) else type(error).__name__)
