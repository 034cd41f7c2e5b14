"""A whole contest: every scenario, several rounds, one contestant after the other."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Literal

from attrs import define, evolve

from tools.bench.beside import floor
from tools.bench.beside.call import Conference, RunResult, measure, until_quiet
from tools.bench.beside.drain import Drain, DrainProcess
from tools.bench.beside.scenarios import CallScenario
from tools.bench.command import Outcome, Progress
from tools.bench.gateway_members import open_gateway
from tools.bench.janus.contestant import open_janus
from tools.bench.network import ServerLink

Contestant = Literal["gateway", "janus", "floor", "floor-segmented"]
#: All results, by the scenario's name and the contestant.
ContestOutcome = Outcome[tuple[str, Contestant], RunResult | floor.FloorResult]


@define
class Contest:
    """Runs the contest.

    ``program`` is the built floor. ``options`` are more options of ``sfu-gateway serve``.
    """

    link: ServerLink
    drain: DrainProcess
    seconds: float
    program: str
    progress: Progress
    options: Sequence[str] = ()

    async def run(
        self, scenarios: Sequence[CallScenario], contestants: Sequence[Contestant], rounds: int
    ) -> ContestOutcome:
        outcome = ContestOutcome()
        for scenario in scenarios:
            for one in self.progress.by_turns(contestants, rounds, f"{scenario.title}, "):
                if one != "floor-segmented" or scenario.has_bursts:
                    run = partial(self._run, scenario, one)
                    await outcome.attempt((scenario.name, one), f"{scenario.title}, {one}", run, self.progress)
                    self.drain.ask(Drain.clear)
        return outcome

    async def _run(self, scenario: CallScenario, contestant: Contestant) -> RunResult | floor.FloorResult:
        host, prefix = self.link.server, self.link.prefix
        if contestant == "gateway":
            return await self._serve(scenario, "gateway", open_gateway(host, prefix, self.options))
        if contestant == "janus":
            return await self._serve(scenario, "janus", open_janus(host, prefix))
        return await self._floor(scenario, segmented=contestant == "floor-segmented")

    async def _serve(
        self, scenario: CallScenario, name: str, opening: AbstractAsyncContextManager[Conference]
    ) -> RunResult:
        self.progress(f"{name} starts")
        async with opening as conference:
            return await measure(scenario, conference, self.drain, self.seconds, self.progress)

    async def _floor(self, scenario: CallScenario, *, segmented: bool) -> floor.FloorResult:
        self.progress(f"the floor sends {scenario.rate} packets a second")
        receivers = []
        for number in range(scenario.members):
            key = os.urandom(floor.MASTER_KEY + floor.MASTER_SALT)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.bind((self.link.clients, 0))
                # Decrypt as many receivers' packets as for a server, so that the drain has the same work.
                self.drain.ask(Drain.add, sock, key if scenario.is_witness(number) else None)
                receivers.append((sock.getsockname(), key))
        self.drain.ask(Drain.begin)
        plan = floor.plan(scenario, self.seconds, receivers, segmented=segmented)
        measured = await floor.run(self.program, self.link.prefix, plan, self.seconds)
        await until_quiet(self.drain)
        return evolve(measured, received=self.drain.ask(Drain.report).packets)
