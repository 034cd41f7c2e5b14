"""The contestants, and a whole contest: every scenario, several rounds, one contestant after the other."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from attrs import define, evolve, field

from sfu.wire.certificate import generate_certificate
from tools.bench.beside import floor
from tools.bench.beside.call import WITNESSES
from tools.bench.beside.drain import DrainProcess
from tools.bench.beside.measure import RunResult, measure, until_quiet
from tools.bench.beside.scenarios import CallScenario
from tools.bench.command import KNOWN, Progress, explain
from tools.bench.conference import Conference
from tools.bench.gateway_members import open_gateway
from tools.bench.janus.contestant import open_janus
from tools.bench.network import ServerLink
from tools.light import Identity

Contestant = Literal["gateway", "janus", "floor", "floor-segmented"]
Opened = Callable[[str, Sequence[str], Identity], AbstractAsyncContextManager[Conference]]


@define
class ContestOutcome:
    """All results, by the scenario's name and the contestant. ``failures`` describes failed runs in words."""

    runs: dict[tuple[str, Contestant], list[RunResult]] = field(factory=lambda: defaultdict(list))
    floors: dict[tuple[str, Contestant], list[floor.FloorResult]] = field(factory=lambda: defaultdict(list))
    failures: list[str] = field(factory=list)


@define
class Contest:
    """Runs the contest.

    ``program`` is the built floor, or None. ``options`` are more options of ``sfu-gateway serve``.
    """

    link: ServerLink
    drain: DrainProcess
    seconds: float
    program: Path | None
    progress: Progress
    options: Sequence[str] = ()
    outcome: ContestOutcome = field(factory=ContestOutcome)
    _identity: Identity = field(factory=lambda: Identity.of(generate_certificate(datetime.now(UTC))))

    async def run(
        self, scenarios: Sequence[CallScenario], contestants: Sequence[Contestant], rounds: int
    ) -> ContestOutcome:
        for scenario in scenarios:
            for contestant in self.progress.by_turns(contestants, rounds, f"{scenario.title}, "):
                await self._try(scenario, contestant)
        return self.outcome

    async def _try(self, scenario: CallScenario, contestant: Contestant) -> None:
        """Run one contestant once. After a known error the contest goes on with the next run."""
        try:
            if contestant == "gateway":
                await self._serve(scenario, contestant, partial(open_gateway, options=self.options))
            elif contestant == "janus":
                await self._serve(scenario, contestant, open_janus)
            elif contestant == "floor" or scenario.has_bursts:
                await self._floor(scenario, contestant)
        except* KNOWN as errors:
            self.drain.clear()
            self.outcome.failures.append(f"{scenario.title}, {contestant}: {explain(errors)}")
            self.progress(self.outcome.failures[-1].partition("\n")[0])

    async def _serve(self, scenario: CallScenario, contestant: Contestant, opened: Opened) -> None:
        self.progress(f"{contestant} starts")
        async with opened(self.link.server, self.link.prefix, self._identity) as conference:
            result = await measure(scenario, conference, self.drain, self.seconds, self.progress)
        self.outcome.runs[scenario.name, contestant].append(result)

    async def _floor(self, scenario: CallScenario, contestant: Contestant) -> None:
        if self.program is None:
            return
        self.progress(f"{contestant} sends {scenario.rate} packets a second")
        with ExitStack() as stack:
            receivers = []
            for number in range(scenario.members):
                sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sock.setblocking(False)
                sock.bind((self.link.clients, 0))
                key = os.urandom(floor.MASTER_KEY + floor.MASTER_SALT)
                # Decrypt as many receivers' packets as for a server, so that the drain has the same work.
                is_witness = number % max(1, scenario.members // WITNESSES) == 0
                self.drain.add(sock, key if is_witness else None)
                receivers.append((sock.getsockname(), key))
            self.drain.begin()
            plan = floor.plan(self.seconds, receivers, streams(scenario), segmented=contestant == "floor-segmented")
            measured = await floor.run(self.program, self.link.prefix, plan, self.seconds)
            await until_quiet(self.drain)
            measured = evolve(measured, received=self.drain.count())
            self.drain.clear()
        self.outcome.floors[scenario.name, contestant].append(measured)


def streams(scenario: CallScenario) -> list[floor.PlannedStream]:
    """Return the streams that leave a server in this scenario.

    Their phases are those of :func:`tools.bench.beside.call.send`.
    """
    flows = [(publisher, loop) for publisher in range(scenario.publishers) for loop in scenario.streams]
    return [
        floor.PlannedStream(loop, number / len(flows), scenario.receivers_of(publisher))
        for number, (publisher, loop) in enumerate(flows)
    ]
