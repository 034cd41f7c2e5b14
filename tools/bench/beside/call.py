"""The call of one run: its members and their streams, and the actions of the bench on them."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from tools.bench import BenchError
from tools.bench.beside.conference import Conference, ConferenceMember, Offered, new_ssrc, stay
from tools.bench.beside.drain import DrainProcess
from tools.bench.beside.scenarios import CallScenario
from tools.light import LightEndpoint
from tools.light.loop_sender import LoopSender

#: Number of receivers whose packets are decrypted to measure latency. They are spread over all receivers.
WITNESSES: Final = 10
FIRST_MEDIA_SECONDS: Final = 10.0
#: Seconds within which a member must get the notice of a leave.
TOLD_SECONDS: Final = 10.0


async def send(senders: Sequence[LoopSender], seconds: float) -> tuple[int, float]:
    """Send all streams for ``seconds``. Each has its own phase within the frame period, as independent cameras do.

    Return the number of packets, and the 99th percentile of the frames' delays in seconds.
    """
    late, begun = [], trio.current_time()
    before = sum(sender.packets for sender in senders)
    periods = [1 / sender.loop.rate for sender in senders]
    due = [(begun + number / len(senders) * period, number) for number, period in enumerate(periods)]
    heapq.heapify(due)
    while due[0][0] < begun + seconds:
        moment, number = due[0]
        await trio.sleep_until(moment)
        late.append(trio.current_time() - moment)
        senders[number].send_frame()
        heapq.heapreplace(due, (moment + periods[number], number))
    packets = sum(sender.packets for sender in senders) - before
    return packets, sorted(late)[int(0.99 * len(late))] if late else 0.0


@define
class Call:
    """The members of one call.

    Each member is a task, so that all can end at once. Times are seconds since the epoch, as the drain reports them.
    """

    scenario: CallScenario
    conference: Conference
    drain: DrainProcess
    _nursery: trio.Nursery
    members: list[ConferenceMember] = field(factory=list)
    senders: list[LoopSender] = field(factory=list)
    _offers: list[Offered] = field(factory=list)
    _endpoints: list[LightEndpoint] = field(factory=list)
    _receiving: list[LightEndpoint] = field(factory=list)
    _begun: list[float] = field(factory=list)
    _entering: list[float] = field(factory=list)

    async def fill(self) -> None:
        """Let the publishers enter and publish one after the other.

        Then let all members subscribe one after the other.
        """
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
        self.members.append(await self._nursery.start(stay, self.conference.member(f"member-{number}")))
        self._entering.append(time.time() - began)

    async def _publish(self, number: int) -> None:
        loops = self.scenario.streams
        streams = [(loop.kind, new_ssrc()) for loop in loops]
        began = time.time()
        endpoint, offered = await self.members[number].publish(streams)
        self._entering[number] += time.time() - began
        self._offers.append(offered)
        self._endpoints.append(endpoint)
        for loop, (_, ssrc) in zip(loops, streams, strict=True):
            self.senders.append(LoopSender(loop, endpoint, ssrc, random.Random(), cname=f"member-{number}"))

    async def _subscribe(self, number: int) -> None:
        others = [offered for index, offered in enumerate(self._offers) if index != number]
        self._begun.append(time.time() - self._entering[number])
        endpoint = await self.members[number].subscribe(others)
        endpoint.stop_reading()
        keys = endpoint.transport.keys
        assert keys is not None
        count = self.scenario.members if self.scenario.publishers > 1 else self.scenario.members - 1
        is_witness = len(self._receiving) % max(1, count // WITNESSES) == 0
        self.drain.add(endpoint.socket, keys.receive if is_witness else None)
        self._endpoints.append(endpoint)
        self._receiving.append(endpoint)

    async def _keep_sending(self) -> None:
        while True:
            await send(self.senders, 1.0)

    async def _wait_first_media(self) -> None:
        with trio.move_on_after(FIRST_MEDIA_SECONDS):
            # Only the drain knows when the first packet came.
            while True:
                if None not in self.first_media():
                    return
                await trio.sleep(0.05)

    def first_media(self) -> list[float | None]:
        """When the first packet came to each receiver: before the drain read the socket, or after it."""
        return [
            _first_packet(endpoint) or later
            for endpoint, later in zip(self._receiving, self.drain.first_media(), strict=True)
        ]

    def joins(self) -> list[float]:
        """Return each receiver's seconds until its first packet.

        Raises :exc:`BenchError` if a receiver got no packet.
        """
        times = [first - begun for begun, first in zip(self._begun, self.first_media(), strict=True) if first]
        if missing := len(self._begun) - len(times):
            raise BenchError(f"{missing} of {len(self._begun)} receivers never got a packet")
        return times

    def profiles(self) -> frozenset[str]:
        keys = [endpoint.transport.keys for endpoint in self._endpoints]
        return frozenset(one.profile.name for one in keys if one is not None)

    async def let_one_leave(self) -> float | None:
        """Break the last member's connection.

        Return the seconds until the first member gets the notice, or None if it gets none.
        """
        name = f"member-{len(self.members) - 1}"
        began = time.perf_counter()
        self.members[-1].hang_up()
        with trio.move_on_after(TOLD_SECONDS):
            await self.members[0].gone[name].wait()
            return time.perf_counter() - began
        return None


def _first_packet(endpoint: LightEndpoint) -> float | None:
    assert endpoint.packet_meter is not None
    times = [stream.first_at for stream in endpoint.packet_meter.streams.values() if stream.first_at is not None]
    # Convert the time from the monotonic clock to the drain's clock.
    return min(times) + time.time() - time.monotonic() if times else None


@asynccontextmanager
async def open_call(scenario: CallScenario, conference: Conference, drain: DrainProcess) -> AsyncIterator[Call]:
    """Yield a call without members. The call ends with the block."""
    async with trio.open_nursery() as nursery:
        try:
            yield Call(scenario, conference, drain, nursery)
        finally:
            nursery.cancel_scope.cancel()
            drain.clear()
