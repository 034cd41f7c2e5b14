"""One channel full of members with media, and the check that each of them got the right notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import cycle
from typing import Final, TypeVar

import trio
from attrs import define, field

from protocol.events import LeaveReason, VoiceState
from protocol.requests import Ping
from sfu.wire.certificate import generate_certificate
from tools.bench import BenchError
from tools.bench.conference import new_ssrc, running_pool
from tools.bench.gateway_members import join
from tools.bench.leave.listeners import Ending, LeaveListener, LeaveWatch, Listeners, now
from tools.light import Identity, LightMedia, PacketMeter, Poller, SharedDecoder
from tools.loadtest.roster import Roster
from tools.servers import GatewayProcess

T = TypeVar("T")
# Number of members that join at the same time. It keeps the gateway busy, but no member waits long.
JOINING: Final = 20
SUBSCRIBING: Final = 10
#: Decrypt nearly none of the packets. Counting them needs no decryption.
_OPEN_EVERY: Final = 60_000


@define(eq=False)
class BenchMember:
    """A client that has joined. ``producer_id`` is None without media."""

    user_id: str
    signalling: LeaveListener
    roster: Roster
    media: LightMedia
    producer_id: str | None = None
    ssrc: int = 0

    def close(self) -> None:
        """Close all sockets without a close frame or a goodbye."""
        self.signalling.close()
        for endpoint in self.media.endpoints.values():
            endpoint.close()

    def take_events(self, decode: SharedDecoder) -> list[tuple[str, LeaveReason]]:
        """Apply the events that have come.

        Return the leavers and their reasons. Raises :exc:`BenchError` for a wrong one.
        """
        left = []
        for raw in self.signalling.events:
            event = decode(raw.decode(), {})
            assert isinstance(event, VoiceState)
            if event.revision != self.roster.revision + 1:
                raise BenchError(f"revision {event.revision} came after {self.roster.revision}")
            if not self.roster.apply(event):
                raise BenchError(f"{event.type} of {event.user_id} does not fit the list of {self.user_id}")
            if event.reason is not None:
                left.append((event.user_id, event.reason))
        self.signalling.events.clear()
        return left


@define(eq=False)
class BenchChannel:
    """A channel and its members.

    :func:`open_channel` makes it. ``members`` are the members that every list should have.
    """

    id: str
    listeners: Listeners
    _tasks: trio.Nursery
    _poller: Poller
    members: dict[str, BenchMember] = field(factory=dict)
    _identity: Identity = field(factory=lambda: Identity.of(generate_certificate(datetime.now(UTC))))

    # Joining.

    async def join(self, user_id: str) -> BenchMember:
        signalling = await self.listeners.connect()
        meter = PacketMeter(open_every=_OPEN_EVERY)
        joined, media = await join(
            signalling, self.id, user_id, self._identity, self._tasks, packet_meter=meter, poller=self._poller
        )
        roster = Roster(joined.participants, joined.revision)
        member = self.members[user_id] = BenchMember(user_id, signalling, roster, media)
        return member

    async def publish(self, member: BenchMember) -> None:
        """Connect both transports at the same time, then announce a microphone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(member.media.transport, "send")
            nursery.start_soon(member.media.transport, "receive")
        member.ssrc = new_ssrc()
        member.producer_id = await member.media.publish("audio", member.ssrc)

    async def subscribe(self, member: BenchMember, speakers: Iterable[BenchMember]) -> None:
        """Consume the streams of these members, except the member's own, with requests sent together."""
        wanted = [speaker.producer_id for speaker in speakers if speaker is not member]
        requests = member.media.consume_requests(producer_id for producer_id in wanted if producer_id is not None)
        await member.signalling.perform(requests)

    async def meet(self, member: BenchMember) -> None:
        """Publish a member's microphone, and let it and all others consume each other's streams."""
        others = [other for other in self.members.values() if other is not member]
        await self.publish(member)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.subscribe, member, others)
            nursery.start_soon(self.each_subscribes, others, [member])

    async def fill(self, user_ids: Iterable[str], *, with_media: bool) -> None:
        """Let these users join, some at a time. With media, each of them also publishes."""

        async def enter(user_id: str) -> None:
            member = await self.join(user_id)
            if with_media:
                await self.publish(member)

        await _for_each(user_ids, enter, at_once=JOINING)

    async def each_subscribes(self, members: Iterable[BenchMember], speakers: Collection[BenchMember]) -> None:
        """Let the members subscribe, some at a time.

        If all did so at once, a pong would wait too long behind the requests before it.
        """
        await _for_each(members, lambda member: self.subscribe(member, speakers), at_once=SUBSCRIBING)

    # Leaving, and checking it.

    def expect_leave(self, leavers: Collection[BenchMember], *, ignore: bool = True) -> LeaveWatch:
        """Begin to note when the others learn that these left. With ``ignore`` the leavers stop reading."""
        names = [member.user_id for member in leavers]
        for name in names:
            member = self.members.pop(name)
            if ignore:
                member.signalling.ignore()
        return self.listeners.expect(names, len(self.members))

    async def leave(self, leavers: Collection[BenchMember], endings: Sequence[Ending], seconds: float) -> LeaveWatch:
        """End the leavers' connections in one loop without a pause, by each ending in turn.

        Return once all others have the notices. Raises :exc:`BenchError` after ``seconds``.
        """
        watch = self.expect_leave(leavers)
        watch.begun = now()
        for member, ending in zip(leavers, cycle(endings), strict=False):
            ending.end(member.signalling.socket)
        watch.ended = now()
        await self.listeners.wait_all_notices(watch, seconds)
        return watch

    async def conclude_leave(self, leavers: Collection[BenchMember], reasons: Collection[str]) -> None:
        """Check the notices that the others got, and close the leavers' sockets. Raises :exc:`BenchError`."""
        await self.settle()
        self.check((member.user_id for member in leavers), reasons)
        for member in leavers:
            member.close()

    async def settle_and_check(self) -> None:
        """Wait until each member has all messages, and check that nobody left."""
        await self.settle()
        self.check()

    async def settle(self) -> None:
        """Wait until each member has all messages that the gateway has sent so far.

        Each member sends a ping. Its answer comes after all earlier messages.
        """
        async with trio.open_nursery() as nursery:
            for member in self.members.values():
                nursery.start_soon(member.signalling.request, Ping())

    def check(self, leavers: Iterable[str] = (), reasons: Collection[str] = ()) -> None:
        """Check that each member got one notice of each leaver, with one of these reasons, and has the right list.

        It takes all events that have come. Raises :exc:`BenchError`.
        """
        gone, decode = Counter(leavers), SharedDecoder(kept=1024)
        for member in self.members.values():
            if member.signalling.close_code is not None:
                raise BenchError(f"{member.user_id} kept up, but was closed with {member.signalling.close_code}")
            left = member.take_events(decode)
            if Counter(user_id for user_id, _ in left) != gone:
                raise BenchError(f"{member.user_id} got {len(left)} notices of leaves, not {gone.total()}")
            if wrong := {reason for _, reason in left} - set(reasons):
                raise BenchError(f"{member.user_id} got notices of leaves with the reasons {wrong}, not {reasons}")
            if differing := set(member.roster.users) ^ self.members.keys():
                raise BenchError(f"the list of {member.user_id} is wrong: {sorted(differing)[:5]}")


async def _for_each(items: Iterable[T], do: Callable[[T], Awaitable[object]], *, at_once: int) -> None:
    places = trio.CapacityLimiter(at_once)

    async def limited(item: T) -> None:
        async with places:
            await do(item)

    async with trio.open_nursery() as nursery:
        for item in items:
            nursery.start_soon(limited, item)


@asynccontextmanager
async def open_channel(gateway: GatewayProcess, channel_id: str) -> AsyncIterator[BenchChannel]:
    """Yield an empty channel. Everything that its members need ends with the block."""
    poller = Poller()
    async with running_pool(Listeners(gateway.socket)) as listeners, trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        yield BenchChannel(channel_id, listeners, nursery, poller)
        nursery.cancel_scope.cancel()
