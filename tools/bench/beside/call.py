"""One run of a scenario on a server: fill the call, forward, count, and let one member leave."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Sequence
from typing import Final

import trio
from attrs import define, field, frozen

from tools.bench import BenchError
from tools.bench.beside.drain import Drain, DrainProcess, DrainTotals
from tools.bench.beside.scenarios import CallScenario
from tools.bench.command import Progress
from tools.bench.conference import Offered, new_ssrc
from tools.bench.figures import percentile
from tools.bench.gateway_members import GatewayConference, GatewayMember
from tools.bench.janus.contestant import JanusConference, JanusMember
from tools.light import LightEndpoint
from tools.light.loop_sender import LoopSender

Conference = GatewayConference | JanusConference

SETTLE_SECONDS: Final = 0.5
#: Time for the gateway's estimates of bandwidth to grow, before anything is measured. They begin low.
ESTIMATE_SECONDS: Final = 6.0
FILL_SECONDS: Final = 180.0
FIRST_MEDIA_SECONDS: Final = 10.0
#: Seconds without a packet after which no packet is on the way any more.
QUIET_SECONDS: Final = 0.25
#: Longest wait for the last packets, in seconds. An overrun server may need longer. Later packets count as lost.
QUIET_AT_MOST: Final = 3.0
#: Seconds within which a member must get the notice of a leave.
NOTICE_SECONDS: Final = 10.0


@frozen
class RunResult:
    """Figures of one run. Times are in seconds, memory in bytes.

    ``joins`` are the times from opening a WebSocket to the first packet, without the waits for other members.
    ``notice`` is the time from a broken connection to the first notice of it at another member, or None without one.

    ``busy`` and ``drain_busy`` are processor time of the load generator and of the drain, as shares of a core.
    ``profiles`` are the SRTP profiles that were negotiated.
    """

    cpu: float
    seconds: float
    expected: int
    received: DrainTotals
    joins: Sequence[float]
    notice: float | None
    memory_per_member: float
    threads: int
    late_p99: float
    busy: float
    profiles: frozenset[str]

    @property
    def cpu_per_packet(self) -> float:
        return self.cpu / self.received.packets

    @property
    def loss(self) -> float:
        return max(0.0, 1 - self.received.packets / self.expected)

    @property
    def drain_busy(self) -> float:
        return self.received.cpu / self.seconds


async def measure(
    scenario: CallScenario, conference: Conference, drain: DrainProcess, seconds: float, progress: Progress
) -> RunResult:
    """Run one scenario on a server. Raises :exc:`BenchError` and ``trio.TooSlowError``."""
    process = conference.process
    await trio.sleep(SETTLE_SECONDS)
    memory = process.memory()
    async with trio.open_nursery() as nursery:
        call = Call(scenario, conference, drain, nursery)
        progress(f"{process.name}: {scenario.members} join")
        with trio.fail_after(FILL_SECONDS):
            await call.fill()
        joins = call.joins()
        if scenario.feedback:
            progress(f"{process.name} estimates bandwidth")
            await send(call.senders, ESTIMATE_SECONDS)
        await until_quiet(drain)
        drain.ask(Drain.begin)
        progress(f"{process.name} forwards {scenario.rate} packets a second")
        cpu, own, began = process.cpu_seconds(), time.process_time(), time.monotonic()
        packets, late_p99 = await send(call.senders, seconds)
        await until_quiet(drain)
        spent, lasted = process.cpu_seconds() - cpu, time.monotonic() - began
        busy = (time.process_time() - own) / lasted
        received, memory, threads = drain.ask(Drain.report), process.memory() - memory, process.threads()
        if not received.packets:
            raise BenchError("nothing was forwarded")
        result = RunResult(
            cpu=spent,
            seconds=lasted,
            expected=packets * (scenario.members - 1),
            received=received,
            joins=joins,
            notice=await call.let_one_leave(),
            memory_per_member=memory / scenario.members,
            threads=threads,
            late_p99=late_p99,
            busy=busy,
            profiles=frozenset(call.profiles),
        )
        nursery.cancel_scope.cancel()
    return result


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
    return packets, percentile(late, 0.99) if late else 0.0


async def until_quiet(drain: DrainProcess) -> None:
    """Wait until no more packets come, but no longer than :data:`QUIET_AT_MOST`."""
    with trio.move_on_after(QUIET_AT_MOST):
        before = -1
        while (now := drain.ask(Drain.report).packets) != before:
            before = now
            await trio.sleep(QUIET_SECONDS)


@define
class Call:
    """The members of one call, and the actions of the bench on them. ``profiles`` are their SRTP profiles."""

    scenario: CallScenario
    conference: Conference
    drain: DrainProcess
    _tasks: trio.Nursery
    senders: list[LoopSender] = field(factory=list)
    profiles: set[str] = field(factory=set)
    _members: list[GatewayMember | JanusMember] = field(factory=list)
    _offers: list[Offered] = field(factory=list)
    #: Seconds in which each member entered and published.
    _entering: list[float] = field(factory=list)
    #: When each receiver began to enter, without waits for others.
    _begun: list[float] = field(factory=list)

    async def fill(self) -> None:
        """Let the publishers enter and publish, and then all members subscribe, one after the other."""
        scenario = self.scenario
        for number in range(scenario.publishers):
            await self._enter(number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_sending)
            for number in range(scenario.members):
                if number >= scenario.publishers:
                    await self._enter(number)
                if scenario.receives(number):
                    await self._subscribe(number)
            with trio.move_on_after(FIRST_MEDIA_SECONDS):
                # Only the drain knows when the first packet came.
                while True:
                    if None not in self.drain.ask(Drain.report).first_media:
                        break
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()

    async def _enter(self, number: int) -> None:
        """Let a member enter, and publish if it is one of the publishers."""
        began, name = time.monotonic(), f"member-{number}"
        member = await self.conference.enter(name, self._tasks, feedback=self.scenario.feedback)
        if number < self.scenario.publishers:
            streams = [(loop.kind, new_ssrc()) for loop in self.scenario.streams]
            endpoint, offered = await member.publish(streams)
            self._offers.append(offered)
            for loop, (_, ssrc) in zip(self.scenario.streams, streams, strict=True):
                wide_id = member.wide_id if loop.kind == "video" else None
                self.senders.append(LoopSender(loop, endpoint, ssrc, random.Random(), cname=name, wide_id=wide_id))
            self._note_profile(endpoint)
        self._members.append(member)
        self._entering.append(time.monotonic() - began)

    async def _subscribe(self, number: int) -> None:
        others = [offered for index, offered in enumerate(self._offers) if index != number]
        begun = time.monotonic() - self._entering[number]
        endpoint = await self._members[number].subscribe(others)
        endpoint.stop_reading()
        self._note_profile(endpoint)
        assert endpoint.packet_meter is not None
        assert endpoint.transport.keys is not None
        # Some packets may have come before the drain reads the socket.
        streams = endpoint.packet_meter.streams.values()
        first = min((stream.first_at for stream in streams if stream.first_at is not None), default=None)
        key = endpoint.transport.keys.receive if self.scenario.is_witness(len(self._begun)) else None
        wide = None if endpoint.wide is None else (endpoint.wide.extension_id, endpoint.transport.keys.send)
        self.drain.ask(Drain.add, endpoint.socket, key, first, wide)
        self._begun.append(begun)

    def _note_profile(self, endpoint: LightEndpoint) -> None:
        if endpoint.transport.keys is not None:
            self.profiles.add(endpoint.transport.keys.profile.name)

    async def _keep_sending(self) -> None:
        while True:
            await send(self.senders, 1.0)

    def joins(self) -> list[float]:
        """Return each receiver's seconds until its first packet. Raises :exc:`BenchError` if one got no packet."""
        firsts = zip(self.drain.ask(Drain.report).first_media, self._begun, strict=True)
        times = [first - begun for first, begun in firsts if first]
        if missing := len(self._begun) - len(times):
            raise BenchError(f"{missing} of {len(self._begun)} receivers never got a packet")
        return times

    async def let_one_leave(self) -> float | None:
        """Break the last member's connection.

        Return the seconds until the first member gets the notice, or None if it gets none.
        """
        name = f"member-{len(self._members) - 1}"
        began = time.perf_counter()
        self._members[-1].hang_up()
        with trio.move_on_after(NOTICE_SECONDS):
            await self._members[0].gone[name].wait()
            return time.perf_counter() - began
        return None
