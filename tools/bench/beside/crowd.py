"""The members of one run, and what the bench does with them all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from tools.bench.beside import legs
from tools.bench.beside.conference import Conference, Member, Publication, Stream
from tools.bench.beside.draining import Drainer
from tools.bench.beside.legs import Leg
from tools.bench.beside.scenarios import Scenario
from tools.bench.beside.sending import Flow, send

#: Packets of so many receivers, spread over all, are opened for latency.
WITNESSES = 10
FIRST_MEDIA_SECONDS = 10.0


class BadRun(Exception):
    """The server did not do what the scenario needs; there is no figure to give."""


@define
class Crowd:
    """The members of one run.  They are tasks, so that all can go at once."""

    scenario: Scenario
    conference: Conference
    drainer: Drainer
    _nursery: trio.Nursery
    members: list[Member] = field(factory=list)
    publications: list[Publication] = field(factory=list)
    flows: list[Flow] = field(factory=list)
    legs: list[Leg] = field(factory=list)
    _receiving: list[Leg] = field(factory=list)
    _begun: list[float] = field(factory=list)
    _entering: list[float] = field(factory=list)

    async def fill(self) -> None:
        """Publishers enter and publish, one after the other; then everybody subscribes, one after the other."""
        scenario = self.scenario
        for number in range(scenario.publishers):
            await self._enter(number)
            await self._publish(number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_sending)
            for number in range(scenario.members):
                if number >= scenario.publishers:
                    await self._enter(number)
                if scenario.publishers > 1 or number > 0:
                    await self._subscribe(number)
            await self._wait_first_media()
            nursery.cancel_scope.cancel()

    async def _enter(self, number: int) -> None:
        began = time.time()
        tell, entered = trio.open_memory_channel[Member](1)
        self._nursery.start_soon(self._be_there, f"member-{number}", tell)
        self.members.append(await entered.receive())
        self._entering.append(time.time() - began)

    async def _be_there(self, name: str, entered: trio.MemorySendChannel[Member]) -> None:
        async with self.conference.member(name) as member:
            entered.send_nowait(member)
            await trio.sleep_forever()

    async def _publish(self, number: int) -> None:
        sources = self.scenario.sources
        streams = [Stream(source.kind, legs.ssrc()) for source in sources]
        began = time.time()
        leg, publication = await self.members[number].publish(streams)
        self._entering[number] += time.time() - began
        self.publications.append(publication)
        self.legs.append(leg)
        receivers, cname = self.scenario.members - 1, f"member-{number}"
        self.flows += [
            Flow(source, leg, stream.ssrc, cname, receivers) for source, stream in zip(sources, streams, strict=True)
        ]

    async def _subscribe(self, number: int) -> None:
        others = [publication for index, publication in enumerate(self.publications) if index != number]
        self._begun.append(time.time() - self._entering[number])
        leg = await self.members[number].subscribe(others)
        keys = leg.transport.keys
        assert keys is not None
        count = self.scenario.members if self.scenario.publishers > 1 else self.scenario.members - 1
        is_witness = len(self._receiving) % max(1, count // WITNESSES) == 0
        self.drainer.add(leg.sock, keys.receive if is_witness else None)
        self.legs.append(leg)
        self._receiving.append(leg)

    async def _keep_sending(self) -> None:
        while True:
            await send(self.flows, 1.0)

    async def _wait_first_media(self) -> None:
        with trio.move_on_after(FIRST_MEDIA_SECONDS):
            # Another process knows, and has to be asked.
            while True:
                if None not in self.first_media():
                    return
                await trio.sleep(0.05)

    def first_media(self) -> list[float | None]:
        drained = self.drainer.first_media()
        return [leg.first_media or later for leg, later in zip(self._receiving, drained, strict=True)]

    def joins(self) -> list[float]:
        """Raises :exc:`BadRun` where somebody never got anything."""
        times = [
            None if first is None else first - begun
            for begun, first in zip(self._begun, self.first_media(), strict=True)
        ]
        if None in times:
            raise BadRun(f"{times.count(None)} of {len(times)} receivers never got a packet")
        return [one for one in times if one is not None]

    def profiles(self) -> frozenset[str]:
        return frozenset(leg.transport.keys.profile.name for leg in self.legs if leg.transport.keys is not None)

    async def check(self) -> None:
        """Let every leg prove that it lives, for ever."""
        while True:
            await trio.sleep(legs.CHECK_EVERY)
            now = trio.current_time()
            for leg in self.legs:
                leg.check(now)

    async def somebody_goes(self) -> float | None:
        """Break the last member's connection off; how long until the first one is told."""
        name = f"member-{len(self.members) - 1}"
        began = time.perf_counter()
        self.members[-1].hang_up()
        try:
            await self.members[0].gone.wait_for(name)
        except trio.TooSlowError:
            return None
        return time.perf_counter() - began

    def close(self) -> None:
        self.drainer.clear()
        for leg in self.legs:
            leg.close()


@asynccontextmanager
async def open_crowd(scenario: Scenario, conference: Conference, drainer: Drainer) -> AsyncIterator[Crowd]:
    async with trio.open_nursery() as nursery:
        crowd = Crowd(scenario, conference, drainer, nursery)
        nursery.start_soon(crowd.check)
        try:
            yield crowd
        finally:
            nursery.cancel_scope.cancel()
            crowd.close()
