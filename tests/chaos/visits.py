"""Short visits to a gateway, each on a connection of its own, that end in every way in which a client can end one."""

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
from tests.chaos.ledger import Ledger
from tests.chaos.media import OPUS, Media
from tools.light import Identity

Way = Literal["leave", "close", "reset", "fin"]
WAYS: Final[tuple[Way, ...]] = get_args(Way)
TOLD: Final[dict[Way, LeaveReason]] = {
    "leave": "left",
    "close": "left",
    "reset": "disconnected",
    "fin": "disconnected",
}
"""What the others are told of who goes in such a way (docs/closures.md)."""

AT_A_TIME: Final = 20
WITH_MEDIA: Final = 0.03
"""Of the visits: two handshakes cost thirty times what joining does."""
UNCONNECTED: Final = 0.05
"""Of the other visits: those that end before any handshake."""
STAGE: Final = "stage"
CHANNELS: Final = 5
"""The other visits are spread over so many: few enough that there is mostly somebody to tell."""
_VISIT_TIMEOUT: Final = 20


@define
class Visitors:
    """They go in one of ``ways``; ``made`` counts the visits by the way in which they ended."""

    host: str
    port: int
    identity: Identity
    rng: random.Random
    ways: tuple[Way, ...] = WAYS
    made: Counter[Way] = field(factory=Counter)

    @property
    def told(self) -> Counter[str]:
        """How often others, if there were any, should have been told which reason."""
        told = Counter[str]()
        for way, count in self.made.items():
            told[TOLD[way]] += count
        return told

    async def come(self, count: int) -> None:
        """So many visits, :data:`AT_A_TIME` at a time."""
        left = iter(range(count))

        async def one_after_the_other() -> None:
            for _ in left:
                await self.visit()

        async with trio.open_nursery() as nursery:
            for _ in range(AT_A_TIME):
                nursery.start_soon(one_after_the_other)

    async def visit(self) -> None:
        way = self.rng.choice(self.ways)
        stream = await trio.open_tcp_stream(self.host, self.port)
        with trio.fail_after(_VISIT_TIMEOUT):
            async with connect_over(stream) as signalling:
                if self.rng.random() < WITH_MEDIA:
                    async with self.on_stage(signalling):
                        await _go(way, signalling, stream)
                else:
                    joined = await signalling.join(f"room{self.rng.randrange(CHANNELS)}", "Visitor")
                    if self.rng.random() < UNCONNECTED:
                        await _announce(signalling, joined)
                    await _go(way, signalling, stream)
        self.made[way] += 1

    @asynccontextmanager
    async def on_stage(self, signalling: Client) -> AsyncIterator[Media]:
        """Sending a stream, and taking those of the others, in the channel where this is done."""
        joined = await signalling.join(STAGE, "Singer")
        async with trio.open_nursery() as nursery:
            singer = Media(signalling, joined, self.identity, self.rng, nursery)
            await singer.open(ssrc=self.rng.randrange(1, 2**32))
            await singer.listen({participant.user_id: participant for participant in joined.participants})
            yield singer
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Ledger]:
        """Be on stage as long as the block runs, see everybody come and go, and check each change against the last."""
        stream = await trio.open_tcp_stream(self.host, self.port)
        async with connect_over(stream) as signalling, self.on_stage(signalling) as singer:
            ledger = Ledger.of(singer.joined, newer_than=-1)
            singer.tasks.start_soon(_follow, signalling, ledger)
            yield ledger


async def _follow(signalling: Client, ledger: Ledger) -> None:
    async for event in signalling.events():
        if isinstance(event, VoiceState):
            ledger.apply(event)


async def _announce(signalling: Client, joined: Joined) -> None:
    """A producer over a transport that nobody connects."""
    await signalling.create_transport("receive", rtp_capabilities=joined.router_rtp_capabilities)
    created = await signalling.create_transport("send")
    parameters = media.RtpParameters(codecs=(OPUS,), encodings=(media.RtpEncodingParameters(ssrc=1),))
    await signalling.produce(created.transport_id, "audio", parameters, "microphone")


async def _go(way: Way, signalling: Client, stream: trio.SocketStream) -> None:
    match way:
        case "leave":
            await signalling.leave()
        case "close":
            pass  # with 1000, when the block is left
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
