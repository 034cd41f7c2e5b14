"""One channel full of members with media, and the check that every one of them was told the truth."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import trio
from attrs import define, field

import protocol.media as media
from protocol.codec import from_json
from protocol.requests import ConnectTransport, Consume, CreateTransport, Join, Ping, Produce
from protocol.vocabulary import Direction
from sfu.wire.certificate import generate_certificate
from tools.bench.gateway_process import GatewayProcess
from tools.bench.leaving import BenchError
from tools.bench.leaving.crowd import Client, Crowd
from tools.bench.leaving.legs import Leg, Legs
from tools.bench.leaving.view import Decoder, View
from tools.light import Identity, LightTransport

# So many join at a time: enough to keep the gateway busy, and none waits for longer than a client would.
JOINING: Final = 20
SUBSCRIBING: Final = 10
_OPUS: Final = media.RtpCodecParameters("audio/opus", 111, 48000, channels=2)


@define(eq=False)
class Member:
    """A client that has joined; the rest is empty for one without media."""

    user_id: str
    client: Client
    view: View
    capabilities: media.RtpCapabilities
    legs: dict[Direction, Leg] = field(factory=dict)
    transports: dict[Direction, str] = field(factory=dict)
    producer_id: str | None = None
    ssrc: int = 0

    def go(self) -> None:
        """Leave nothing open, without a word."""
        self.client.close()
        for leg in self.legs.values():
            leg.close()


@define(eq=False)
class Channel:
    """Made by :func:`open_channel`.  ``members`` are those who should be on everybody's list."""

    id: str
    crowd: Crowd
    legs: Legs
    members: dict[str, Member] = field(factory=dict)
    _identity: Identity = field(factory=lambda: Identity.of(generate_certificate(datetime.now(UTC))))
    _rng: random.Random = field(factory=lambda: random.Random(1))

    # Coming.

    async def join(self, user_id: str) -> Member:
        client = await self.crowd.connect()
        joined = await client.ask(Join(self.id, user_id, user_id))
        capabilities = from_json(joined["routerRtpCapabilities"], media.RtpCapabilities)
        member = self.members[user_id] = Member(user_id, client, View.of(joined), capabilities)
        return member

    async def publish(self, member: Member) -> None:
        """Open both transports, at once, and a microphone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._connect, member, "send")
            nursery.start_soon(self._connect, member, "receive")
        member.ssrc = self._rng.randrange(1, 1 << 31)
        parameters = media.RtpParameters(codecs=(_OPUS,), encodings=(media.RtpEncodingParameters(ssrc=member.ssrc),))
        produced = await member.client.ask(Produce(member.transports["send"], "audio", parameters, "microphone"))
        member.producer_id = produced["producerId"]

    async def _connect(self, member: Member, direction: Direction) -> None:
        wanted = member.capabilities if direction == "receive" else None
        created = await member.client.ask(CreateTransport(direction, wanted))
        ice = from_json(created["iceParameters"], media.IceParameters)
        dtls = from_json(created["dtlsParameters"], media.DtlsParameters)
        candidate = created["iceCandidates"][0]
        transport = LightTransport(self._identity, ice, dtls, rng=self._rng)
        leg = member.legs[direction] = self.legs.open(transport, (candidate["address"], candidate["port"]))
        member.transports[direction] = created["transportId"]
        ours = transport.dtls_parameters
        fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
        await member.client.ask(ConnectTransport(created["transportId"], media.DtlsParameters(fingerprints, ours.role)))
        await leg.connect()

    async def subscribe(self, member: Member, speakers: Iterable[Member]) -> None:
        """Take the streams of these, oneself left out, at once."""
        requests = [
            Consume(member.transports["receive"], speaker.producer_id, paused=False)
            for speaker in speakers
            if speaker is not member and speaker.producer_id is not None
        ]
        await member.client.ask_all(requests)

    async def fill(self, user_ids: Iterable[str], *, with_media: bool) -> None:
        """Let these join, some at a time; with media each opens its transports and a microphone."""
        places = trio.CapacityLimiter(JOINING)

        async def come(user_id: str) -> None:
            async with places:
                member = await self.join(user_id)
                if with_media:
                    await self.publish(member)

        async with trio.open_nursery() as nursery:
            for user_id in user_ids:
                nursery.start_soon(come, user_id)

    async def subscribe_all(self, speakers: Iterable[Member]) -> None:
        """Every member takes the streams of these."""
        await self.each_subscribes(self.members.values(), speakers)

    async def each_subscribes(self, members: Iterable[Member], speakers: Iterable[Member]) -> None:
        """Some at a time: a pong waits behind the requests before it, and the gateway must see it in time."""
        taken, places = list(speakers), trio.CapacityLimiter(SUBSCRIBING)

        async def take(member: Member) -> None:
            async with places:
                await self.subscribe(member, taken)

        async with trio.open_nursery() as nursery:
            for member in members:
                nursery.start_soon(take, member)

    # Being there.

    async def settle(self) -> None:
        """Return when each member has all that the gateway had to tell it up to now: answers come in order."""
        async with trio.open_nursery() as nursery:
            for member in self.members.values():
                nursery.start_soon(member.client.ask, Ping())

    # Going.

    def others(self, leavers: Iterable[str]) -> list[Member]:
        gone = set(leavers)
        return [member for user_id, member in self.members.items() if user_id not in gone]

    def check(self, leavers: Iterable[str] = (), reasons: Iterable[str] = ()) -> None:
        """Everybody was told of each of these once, with one of these reasons, and has the right list.

        Takes what has come so far.  Raises :exc:`BenchError`.
        """
        allowed, decoder, gone = set(reasons), Decoder(), sorted(leavers)
        for member in self.members.values():
            if member.client.close_code is not None:
                raise BenchError(f"{member.user_id}, who kept up, was closed with {member.client.close_code}")
            for event in member.client.events:
                member.view.apply(decoder.decode(event))
            member.client.events.clear()
            _check_leaves(member, gone, allowed)
            if (wrong := member.view.users.keys() ^ self.members.keys()) != set():
                raise BenchError(f"the list of {member.user_id} is not right: {sorted(wrong)[:5]}")

    def close(self) -> None:
        for member in self.members.values():
            member.go()


def _check_leaves(member: Member, gone: list[str], reasons: set[str]) -> None:
    view = member.view
    if sorted(view.left.elements()) != gone:
        raise BenchError(f"{member.user_id} was told of {view.left.total()} leaves and there were {len(gone)}")
    if not set(view.reasons.values()) <= reasons:
        raise BenchError(f"reasons were {set(view.reasons.values())}, not {reasons}")
    view.left.clear()
    view.reasons.clear()


@asynccontextmanager
async def open_channel(gateway: GatewayProcess, channel_id: str) -> AsyncIterator[Channel]:
    """An empty channel and the tasks that its members need, for as long as the block runs."""
    crowd, legs = Crowd(gateway.socket), Legs()
    channel = Channel(channel_id, crowd, legs)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.run)
            nursery.start_soon(legs.run)
            yield channel
            nursery.cancel_scope.cancel()
    finally:
        channel.close()
        crowd.close()
        legs.close()
