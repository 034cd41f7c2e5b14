"""One channel full of members with media, their ways to leave, and the check that the others got the right notices."""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from typing import Final, TypeVar

import trio
from attrs import define, field, frozen

from protocol.errors import CloseCode
from protocol.events import LeaveReason, VoiceState
from protocol.requests import Ping
from protocol.vocabulary import Position
from tools.bench import BenchError
from tools.bench.conference import new_ssrc, open_pool
from tools.bench.gateway_members import GatewayMember
from tools.light import Identity, PacketMeter, Poller, SharedDecoder
from tools.light.frames import CLOSE, frame
from tools.light.websocket import WebSocketPool
from tools.loadtest.roster import Roster
from tools.servers import GatewayProcess

T = TypeVar("T")
# Number of members that join at the same time. It keeps the gateway busy, but no member waits long.
JOINING: Final = 20
LISTENING: Final = 10
QUIET_AT_MOST: Final = 180.0
#: Decrypt nearly none of the packets. Counting them needs no decryption.
_OPEN_EVERY: Final = 60_000
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no seconds
#: The clock of all measurements, in seconds.
now: Final = time.perf_counter


@frozen
class Ending:
    """A way to end a TCP connection. ``reason`` is the reason in the gateway's ``user_left`` after ``end``."""

    name: str
    end: Callable[[socket.socket], object]
    reason: LeaveReason


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    sock.close()


# Half-closing sends a FIN; close() with unread data would send a reset.
ENDINGS: Final = (
    Ending("FIN", lambda sock: sock.shutdown(socket.SHUT_WR), "disconnected"),
    Ending("close frame", lambda sock: sock.send(frame(CLOSE, int(CloseCode.NORMAL).to_bytes(2))), "left"),
    Ending("reset", _reset, "disconnected"),
)


@define(eq=False)
class LeaveWatch:
    """Notes when the others learn of leaves.

    ``times`` has the times of the notices, by the leaver's user id. ``outstanding`` counts those that have not come.
    The bench ends the connections from ``begun`` to ``ended``. All are times of :data:`now`.
    """

    times: dict[str, list[float]]
    outstanding: int = 0
    begun: float = 0.0
    ended: float = 0.0
    done: trio.Event = field(factory=trio.Event)

    @property
    def first_notice(self) -> float:
        """Seconds until the first notice of any leaver."""
        return min(map(min, self.times.values())) - self.begun

    @property
    def last_notice(self) -> float:
        """Seconds until the last notice of any leaver."""
        return max(map(max, self.times.values())) - self.begun

    def note(self, user_id: str, at: float) -> None:
        if user_id in self.times:
            self.times[user_id].append(at)
            self.outstanding -= 1
            if not self.outstanding:
                self.done.set()


@define(eq=False)
class BenchMember(GatewayMember):
    """A member with its list of all members. ``producer_id`` is None without media.

    With ``dies_after_pong`` it falls silent as soon as it has answered the next ping, at ``silent_since``.
    """

    roster: Roster = field(init=False)
    producer_id: str | None = field(default=None, init=False)
    ssrc: int = field(factory=new_ssrc, init=False)
    dies_after_pong: bool = field(default=False, init=False)
    silent_since: float = field(default=float("nan"), init=False)

    async def speak(self) -> None:
        """Connect both transports at the same time, then announce a microphone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.media.transport, "send")
            nursery.start_soon(self.media.transport, "receive")
        self.producer_id = await self.media.publish("audio", self.ssrc)

    async def listen(self, speakers: Iterable[BenchMember]) -> None:
        """Consume the streams of these members, except the own stream, with requests sent together."""
        wanted = [speaker.producer_id for speaker in speakers if speaker is not self]
        await self.perform(self.media.consume_requests(producer_id for producer_id in wanted if producer_id))

    def answer_ping(self, payload: bytes) -> None:
        GatewayMember.answer_ping(self, payload)
        if self.dies_after_pong:
            self.fall_silent()

    def fall_silent(self) -> None:
        """Stop reading and answering. The socket stays open, and the kernel keeps what arrives."""
        self.silent_since = now()
        self.ignore()

    def take_events(self, decode: SharedDecoder) -> list[tuple[str, LeaveReason]]:
        """Apply the events that have come.

        Return the leavers and their reasons. Raises :exc:`BenchError` for a wrong one.
        """
        left = []
        for raw in self.events:
            event = decode(raw.decode(), {})
            assert isinstance(event, VoiceState)
            position, known = Position(event.epoch, event.revision), self.roster.position
            if position != Position(known.epoch, known.revision + 1):
                raise BenchError(f"{position} came after {known}")
            if not self.roster.apply(event):
                raise BenchError(f"{event.type} of {event.user_id} does not fit the list of {self.user_id}")
            if event.reason is not None:
                left.append((event.user_id, event.reason))
        self.events.clear()
        return left


@define(eq=False)
class BenchChannel:
    """A channel and its members.

    :func:`open_channel` makes it. ``members`` are the members that every list should have. ``heard_at`` is the time of
    the newest message. Pings do not count.
    """

    id: str
    pool: WebSocketPool
    _tasks: trio.Nursery
    _poller: Poller
    members: dict[str, BenchMember] = field(factory=dict)
    watch: LeaveWatch | None = None
    heard_at: float = field(factory=now)
    _identity: Identity = field(factory=Identity.new)

    # Joining.

    async def join(self, user_id: str) -> BenchMember:
        heard = partial(setattr, self, "heard_at")
        member = await self.pool.open(partial(BenchMember, user_id=user_id, on_message=heard, on_left=self._note))
        meter = PacketMeter(open_every=_OPEN_EVERY)
        joined = await member.join(self.id, self._identity, self._tasks, packet_meter=meter, poller=self._poller)
        member.roster = Roster(joined.participants, Position(joined.epoch, joined.revision))
        self.members[user_id] = member
        return member

    def _note(self, user_id: str, at: float) -> None:
        if self.watch is not None:
            self.watch.note(user_id, at)

    async def meet(self, member: BenchMember) -> None:
        """Publish a member's microphone, and let it and all others consume each other's streams."""
        others = [other for other in self.members.values() if other is not member]
        await member.speak()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(member.listen, others)
            nursery.start_soon(self.all_listen, [member])

    async def fill(self, count: int, *, with_media: bool) -> None:
        """Let so many more members join, some at a time. With media, each of them also speaks."""

        async def enter(user_id: str) -> None:
            member = await self.join(user_id)
            if with_media:
                await member.speak()

        first = len(self.members)
        await for_each([f"m{number}" for number in range(first, first + count)], enter, at_once=JOINING)

    async def all_listen(self, speakers: Collection[BenchMember]) -> None:
        """Let all members consume the streams of these speakers, some at a time.

        If all did so at once, a pong would wait too long behind the requests before it.
        """
        await for_each([*self.members.values()], lambda member: member.listen(speakers), at_once=LISTENING)

    # Leaving, and checking it.

    def expect_leave(self, leavers: Collection[BenchMember]) -> LeaveWatch:
        """Begin to note when the others learn that these left."""
        for member in leavers:
            del self.members[member.user_id]
        self.watch = LeaveWatch({member.user_id: [] for member in leavers}, len(leavers) * len(self.members))
        return self.watch

    async def leave(self, leavers: Collection[BenchMember], endings: Sequence[Ending], seconds: float) -> LeaveWatch:
        """End the leavers' connections in one loop without a pause, by each ending in turn.

        Return once all others have the notices. Raises :exc:`BenchError` after ``seconds``.
        """
        watch = self.expect_leave(leavers)
        for member in leavers:
            member.ignore()
        watch.begun = now()
        for member, ending in zip(leavers, cycle(endings), strict=False):
            ending.end(member.socket)
        watch.ended = now()
        await self.wait_all_notices(watch, seconds)
        return watch

    async def wait_all_notices(self, watch: LeaveWatch, seconds: float) -> None:
        """Wait until all notices have come.

        After ``seconds``, raises :exc:`BenchError`, whose text names the missing ones.
        """
        if not watch.outstanding:  # nobody else is in the channel
            return
        with trio.move_on_after(seconds):
            await watch.done.wait()
            return
        codes = Counter(member.close_code for member in self.members.values() if member.close_code is not None)
        missing = {user_id: len(times) for user_id, times in watch.times.items() if len(times) < len(self.members)}
        raise BenchError(
            f"after {seconds:g} s {watch.outstanding} notices about {len(missing)} leavers are missing. Of "
            f"{len(self.members)} listeners, so many have the notice: {list(missing.items())[:5]}. "
            f"Close codes so far: {dict(codes)}"
        )

    async def conclude_leave(self, leavers: Collection[BenchMember], reasons: Collection[str]) -> None:
        """Check the notices that the others got, and close the leavers' sockets. Raises :exc:`BenchError`."""
        await self.settle_and_check([member.user_id for member in leavers], reasons)
        for member in leavers:
            member.close()  # without a goodbye, as its transports
            for endpoint in member.media.endpoints.values():
                endpoint.close()

    async def settle_and_check(self, leavers: Iterable[str] = (), reasons: Collection[str] = ()) -> None:
        """Wait until each member has all messages that the gateway has sent so far, and check them."""
        await self.settle()
        self.check(leavers, reasons)

    async def settle(self) -> None:
        """Let each member send a ping. Its answer comes after all earlier messages."""
        async with trio.open_nursery() as nursery:
            for member in self.members.values():
                nursery.start_soon(member.request, Ping())

    def check(self, leavers: Iterable[str] = (), reasons: Collection[str] = ()) -> None:
        """Check that each member got one notice of each leaver, with one of these reasons, and has the right list.

        It takes all events that have come. Raises :exc:`BenchError`.
        """
        gone, decode = Counter(leavers), SharedDecoder(kept=1024)
        for member in self.members.values():
            if member.close_code is not None:
                raise BenchError(f"{member.user_id} kept up, but was closed with {member.close_code}")
            left = member.take_events(decode)
            if Counter(user_id for user_id, _ in left) != gone:
                raise BenchError(f"{member.user_id} got {len(left)} notices of leaves, not {gone.total()}")
            if wrong := {reason for _, reason in left} - set(reasons):
                raise BenchError(f"{member.user_id} got notices of leaves with the reasons {wrong}, not {reasons}")
            if differing := set(member.roster.users) ^ self.members.keys():
                raise BenchError(f"the list of {member.user_id} is wrong: {sorted(differing)[:5]}")

    async def quiet(self, seconds: float) -> None:
        """Return after ``seconds`` without a message."""
        with trio.move_on_after(QUIET_AT_MOST):
            while True:
                left = self.heard_at + seconds - now()
                if left <= 0:
                    return
                await trio.sleep(left)
        raise BenchError(f"the gateway still sends after {QUIET_AT_MOST:g} s")


async def for_each(items: Iterable[T], do: Callable[[T], Awaitable[object]], *, at_once: int) -> None:
    places = trio.CapacityLimiter(at_once)

    async def limited(item: T) -> None:
        async with places:
            await do(item)

    async with trio.open_nursery() as nursery:
        for item in items:
            nursery.start_soon(limited, item)


@asynccontextmanager
async def open_channel(gateway: GatewayProcess, channel_id: str = "bench") -> AsyncIterator[BenchChannel]:
    """Yield an empty channel. Everything that its members need ends with the block."""
    poller = Poller()
    async with open_pool(gateway.socket) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        yield BenchChannel(channel_id, pool, nursery, poller)
        nursery.cancel_scope.cancel()
