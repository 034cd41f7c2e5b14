"""Our gateway as a contestant."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio
from attrs import define

from protocol.requests import Join
from tools.bench.beside.conference import Departures, Offered, StreamToPublish, running_pool
from tools.bench.process import ARGUMENTS, GatewayProcess, running_gateway
from tools.light import Identity, LightEndpoint, LightMedia, PacketMeter
from tools.light.lean_signalling import LeanSignalling
from tools.light.websocket import WebSocketPool

CHANNEL = "bench"


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
    _identity: Identity

    @asynccontextmanager
    async def member(self, name: str, channel: str = CHANNEL) -> AsyncIterator[GatewayMember]:
        gone = Departures(trio.Event)
        listening = partial(LeanSignalling, keep_events=False, on_left=lambda user_id, at: gone[user_id].set())
        signalling = await self._pool.open(listening)
        try:
            joined = await signalling.request(Join(channel, name, name))
            async with trio.open_nursery() as tasks:
                media = LightMedia(
                    identity=self._identity,
                    rng=random.Random(),
                    tasks=tasks,
                    router_capabilities=joined.router_rtp_capabilities,
                    requests=signalling.requests,
                    packet_meter=PacketMeter(),
                    on_rtcp=lambda packet: None,
                )
                yield GatewayMember(gone, signalling, media)
                tasks.cancel_scope.cancel()
        finally:
            signalling.close()


@asynccontextmanager
async def open_gateway(
    host: str, prefix: Sequence[str], identity: Identity, options: Sequence[str] = ()
) -> AsyncIterator[GatewayConference]:
    """Run a gateway that listens at ``host`` for as long as the block runs; ``prefix`` runs it there.

    ``options`` are further ones of ``sfu-gateway serve``.
    """
    module = ("gateway", *ARGUMENTS, "--host", host, "--media-host", host, *options)
    async with running_gateway(module, prefix=prefix) as process, running_pool(WebSocketPool(process.socket)) as pool:
        yield GatewayConference(process, pool, identity)
