"""The call of one run: its members and their streams, and the actions of the bench on them."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field, frozen

from tools.bench import BenchError
from tools.bench.beside.drain import DrainProcess
from tools.bench.beside.scenarios import CallScenario
from tools.bench.conference import Conference, ConferenceMember, Offered, new_ssrc
from tools.light import LightEndpoint
from tools.light.loop_sender import LoopSender

#: Number of receivers whose packets are decrypted to measure latency. They are spread over all receivers.
WITNESSES: Final = 10
FIRST_MEDIA_SECONDS: Final = 10.0
#: Seconds within which a member must get the notice of a leave.
NOTICE_SECONDS: Final = 10.0


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


@frozen
class _Receiver:
    """A member's receiving transport. ``begun`` is when the member began to enter, without waits for others."""

    endpoint: LightEndpoint
    begun: float

    def first_packet(self) -> float | None:
        """When the first packet came, if it came before the drain read the socket."""
        assert self.endpoint.packet_meter is not None
        streams = self.endpoint.packet_meter.streams.values()
        return min((stream.first_at for stream in streams if stream.first_at is not None), default=None)


@define
class Call:
    """The members of one call. Times are seconds of the monotonic clock."""

    scenario: CallScenario
    conference: Conference
    drain: DrainProcess
    _nursery: trio.Nursery
    members: list[ConferenceMember] = field(factory=list)
    senders: list[LoopSender] = field(factory=list)
    _offers: list[Offered] = field(factory=list)
    _receivers: list[_Receiver] = field(factory=list)
    #: Seconds in which each member entered and published.
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
            with trio.move_on_after(FIRST_MEDIA_SECONDS):
                # Only the drain knows when the first packet came.
                while True:
                    if None not in self.first_media():
                        break
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()

    async def _enter(self, number: int) -> None:
        began = time.monotonic()
        self.members.append(await self.conference.enter(f"member-{number}", self._nursery))
        self._entering.append(time.monotonic() - began)

    async def _publish(self, number: int) -> None:
        loops = self.scenario.streams
        streams = [(loop.kind, new_ssrc()) for loop in loops]
        began = time.monotonic()
        endpoint, offered = await self.members[number].publish(streams)
        self._entering[number] += time.monotonic() - began
        self._offers.append(offered)
        for loop, (_, ssrc) in zip(loops, streams, strict=True):
            self.senders.append(LoopSender(loop, endpoint, ssrc, random.Random(), cname=f"member-{number}"))

    async def _subscribe(self, number: int) -> None:
        others = [offered for index, offered in enumerate(self._offers) if index != number]
        begun = time.monotonic() - self._entering[number]
        endpoint = await self.members[number].subscribe(others)
        endpoint.stop_reading()
        keys = endpoint.transport.keys
        assert keys is not None
        count = self.scenario.members if self.scenario.publishers > 1 else self.scenario.members - 1
        is_witness = len(self._receivers) % max(1, count // WITNESSES) == 0
        self.drain.add(endpoint.socket, keys.receive if is_witness else None)
        self._receivers.append(_Receiver(endpoint, begun))

    async def _keep_sending(self) -> None:
        while True:
            await send(self.senders, 1.0)

    def first_media(self) -> list[float | None]:
        """When the first packet came to each receiver: before the drain read the socket, or after it."""
        drained = zip(self._receivers, self.drain.first_media(), strict=True)
        return [receiver.first_packet() or later for receiver, later in drained]

    def joins(self) -> list[float]:
        """Return each receiver's seconds until its first packet.

        Raises :exc:`BenchError` if a receiver got no packet.
        """
        firsts = zip(self._receivers, self.first_media(), strict=True)
        times = [first - receiver.begun for receiver, first in firsts if first]
        if missing := len(self._receivers) - len(times):
            raise BenchError(f"{missing} of {len(self._receivers)} receivers never got a packet")
        return times

    def profiles(self) -> frozenset[str]:
        endpoints = [*(sender.endpoint for sender in self.senders), *(one.endpoint for one in self._receivers)]
        return frozenset(one.transport.keys.profile.name for one in endpoints if one.transport.keys is not None)

    async def let_one_leave(self) -> float | None:
        """Break the last member's connection.

        Return the seconds until the first member gets the notice, or None if it gets none.
        """
        name = f"member-{len(self.members) - 1}"
        began = time.perf_counter()
        self.members[-1].hang_up()
        with trio.move_on_after(NOTICE_SECONDS):
            await self.members[0].gone[name].wait()
            return time.perf_counter() - began
        return None


@asynccontextmanager
async def open_call(scenario: CallScenario, conference: Conference, drain: DrainProcess) -> AsyncIterator[Call]:
    """Yield a call without members. The call ends with the block."""
    async with trio.open_nursery() as nursery:
        try:
            yield Call(scenario, conference, drain, nursery)
        finally:
            nursery.cancel_scope.cancel()
            drain.clear()
