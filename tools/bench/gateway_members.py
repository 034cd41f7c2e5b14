"""Our gateway as a contestant, and its members: lean signalling, and media on light transports."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio
from attrs import define, field

from protocol.requests import Join, Joined
from tools.bench.conference import Departures, Offered, StreamToPublish, running_pool
from tools.light import Identity, LightEndpoint, LightMedia, PacketMeter, Poller
from tools.light.lean_signalling import LeanSignalling
from tools.light.websocket import WebSocketPool
from tools.servers import ARGUMENTS, GatewayProcess, running_gateway

CHANNEL = "bench"


async def join(
    signalling: LeanSignalling,
    channel_id: str,
    user_id: str,
    identity: Identity,
    tasks: trio.Nursery,
    *,
    packet_meter: PacketMeter,
    poller: Poller | None = None,
) -> tuple[Joined, LightMedia]:
    """Join a channel under the user's id. ``tasks`` runs the transports."""
    joined = await signalling.request(Join(channel_id, user_id, user_id))
    media = LightMedia(
        identity=identity,
        rng=random.Random(),
        tasks=tasks,
        router_capabilities=joined.router_rtp_capabilities,
        requests=signalling.requests,
        poller=poller,
        packet_meter=packet_meter,
        on_rtcp=lambda packet: None,
    )
    return joined, media


@define
class GatewayMember:
    """A member of a channel. The keys of ``gone`` are user ids."""

    gone: Departures
    _signalling: LeanSignalling
    _media: LightMedia

    async def publish(self, streams: Sequence[StreamToPublish]) -> tuple[LightEndpoint, Offered]:
        producer_ids = await self._media.publish_all(streams)
        return self._media.endpoints["send"], producer_ids

    async def subscribe(self, offers: Sequence[Offered]) -> LightEndpoint:
        endpoint = await self._media.start_transport("receive")
        producer_ids = [producer_id for offer in offers for producer_id in offer]
        # Send the requests without waiting for the handshake, as mediasoup clients do.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.connected)
            nursery.start_soon(self._signalling.perform, self._media.consume_requests(producer_ids))
        return endpoint

    def hang_up(self) -> None:
        self._signalling.hang_up()


@define
class GatewayConference:
    """Our gateway. A member joins :data:`CHANNEL` unless it names another channel."""

    process: GatewayProcess
    _pool: WebSocketPool
    _identity: Identity = field(factory=Identity.new)

    async def enter(self, name: str, tasks: trio.Nursery, channel: str = CHANNEL) -> GatewayMember:
        gone = Departures(trio.Event)
        listening = partial(LeanSignalling, keep_events=False, on_left=lambda user_id, at: gone[user_id].set())
        signalling = await self._pool.open(listening)
        _, media = await join(signalling, channel, name, self._identity, tasks, packet_meter=PacketMeter())
        return GatewayMember(gone, signalling, media)


@asynccontextmanager
async def open_gateway(
    host: str, prefix: Sequence[str], options: Sequence[str] = ()
) -> AsyncIterator[GatewayConference]:
    """Run a gateway that listens at ``host`` for as long as the block runs; ``prefix`` runs it there.

    ``options`` are further ones of ``sfu-gateway serve``.
    """
    module = ("gateway", *ARGUMENTS, "--host", host, "--media-host", host, *options)
    async with running_gateway(module, prefix=prefix) as process, running_pool(WebSocketPool(process.socket)) as pool:
        yield GatewayConference(process, pool)
