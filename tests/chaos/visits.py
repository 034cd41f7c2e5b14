"""Short visits to a gateway.  Each has its own connection, and a client ends them in every possible way."""

import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, get_args

import trio
from attrs import define, field

import protocol.media as media
from protocol import Joined
from protocol.client import Client, ConnectionClosed, connect_over
from protocol.events import LeaveReason, VoiceState
from tests.chaos.media import OPUS, Media
from tests.chaos.tracked_list import TrackedList
from tools.light import Identity

VisitEnd = Literal["leave", "close", "reset", "fin"]
VISIT_ENDS: Final[tuple[VisitEnd, ...]] = get_args(VisitEnd)
REASONS: Final[dict[VisitEnd, LeaveReason]] = {
    "leave": "left",
    "close": "left",
    "reset": "disconnected",
    "fin": "disconnected",
}
"""The reason that the gateway gives for each end of a visit (docs/closures.md)."""

AT_A_TIME: Final = 20
WITH_MEDIA: Final = 0.03
"""Share of visits with media.  It is small because two handshakes cost thirty times as much as joining."""
UNCONNECTED: Final = 0.05
"""Share of the other visits that open transports but never connect them."""
STAGE: Final = "stage"
CHANNELS: Final = 5
"""Number of channels for the other visits.  They are so few that a channel is rarely empty."""
_VISIT_TIMEOUT: Final = 20


@define
class Visitors:
    """Makes visits, each with one of these ``ends``.  ``made`` counts them by end."""

    host: str
    port: int
    identity: Identity
    rng: random.Random
    ends: tuple[VisitEnd, ...] = VISIT_ENDS
    made: Counter[VisitEnd] = field(factory=Counter)

    @property
    def expected_leaves(self) -> Counter[str]:
        """Return the numbers of leaves that the gateway should have counted, by reason."""
        leaves = Counter[str]()
        for end, count in self.made.items():
            leaves[REASONS[end]] += count
        return leaves

    async def come(self, count: int) -> None:
        """Make ``count`` visits, :data:`AT_A_TIME` at a time."""
        left = iter(range(count))

        async def one_after_the_other() -> None:
            for _ in left:
                await self.visit()

        async with trio.open_nursery() as nursery:
            for _ in range(AT_A_TIME):
                nursery.start_soon(one_after_the_other)

    async def visit(self) -> None:
        end = self.rng.choice(self.ends)
        stream = await trio.open_tcp_stream(self.host, self.port)
        with trio.fail_after(_VISIT_TIMEOUT):
            async with connect_over(stream) as signalling:
                if self.rng.random() < WITH_MEDIA:
                    async with self.on_stage(signalling):
                        await _go(end, signalling, stream)
                else:
                    joined = await signalling.join(f"room{self.rng.randrange(CHANNELS)}", "Visitor")
                    if self.rng.random() < UNCONNECTED:
                        await _announce(signalling, joined)
                    await _go(end, signalling, stream)
        self.made[end] += 1

    @asynccontextmanager
    async def on_stage(self, signalling: Client) -> AsyncIterator[Media]:
        """Join the channel with media, send a stream, and receive those of the others."""
        joined = await signalling.join(STAGE, "Singer")
        async with trio.open_nursery() as nursery:
            singer = Media(signalling, joined, self.identity, self.rng, nursery)
            await singer.open(ssrc=self.rng.randrange(1, 2**32))
            await singer.listen({participant.user_id: participant for participant in joined.participants})
            yield singer
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[TrackedList]:
        """Stay in the channel with media during the block, and check every change of its list."""
        stream = await trio.open_tcp_stream(self.host, self.port)
        async with connect_over(stream) as signalling, self.on_stage(signalling) as singer:
            tracked = TrackedList.of(singer.joined, newer_than=-1)
            singer.tasks.start_soon(_follow, signalling, tracked)
            yield tracked


async def _follow(signalling: Client, tracked: TrackedList) -> None:
    async for event in signalling.events():
        if isinstance(event, VoiceState):
            tracked.apply(event)


async def _announce(signalling: Client, joined: Joined) -> None:
    """Announce a producer over a transport that is never connected."""
    await signalling.create_transport("receive", rtp_capabilities=joined.router_rtp_capabilities)
    created = await signalling.create_transport("send")
    parameters = media.RtpParameters(codecs=(OPUS,), encodings=(media.RtpEncodingParameters(ssrc=1),))
    await signalling.produce(created.transport_id, "audio", parameters, "microphone")


async def _go(end: VisitEnd, signalling: Client, stream: trio.SocketStream) -> None:
    match end:
        case "leave":
            await signalling.leave()
        case "close":
            pass  # the end of the block closes with 1000
        case "reset":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await trio.aclose_forcefully(stream)
        case "fin":
            await stream.send_eof()
            await _wait_closed(signalling)


async def _wait_closed(signalling: Client) -> None:
    try:
        async for _ in signalling.events():
            pass
    except ConnectionClosed:
        pass
