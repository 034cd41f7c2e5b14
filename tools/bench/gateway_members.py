"""Our gateway as a contestant, and its members: lean signalling, and media on light transports."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio
from attrs import define, field

from protocol.requests import Join, Joined
from tools.bench.conference import Departures, Offered, StreamToPublish, new_departures, open_pool
from tools.light import Identity, LightEndpoint, LightMedia, PacketMeter, Poller
from tools.light.lean_signalling import LeanSignalling
from tools.light.websocket import WebSocketPool
from tools.servers import ARGUMENTS, GatewayProcess, running_gateway


@define(eq=False)
class GatewayMember(LeanSignalling):
    """A member of a channel, after :meth:`join`. The keys of ``gone`` are user ids."""

    user_id: str = field(kw_only=True)
    gone: Departures = field(factory=new_departures, init=False)
    media: LightMedia = field(init=False)

    async def join(
        self,
        channel_id: str,
        identity: Identity,
        tasks: trio.Nursery,
        *,
        packet_meter: PacketMeter,
        poller: Poller | None = None,
        feedback: bool = False,
    ) -> Joined:
        """Join a channel. ``tasks`` runs the transports. With ``feedback`` they have transport-wide numbers."""
        joined = await self.request(Join(channel_id, self.user_id, self.user_id))
        self.media = LightMedia(
            identity=identity,
            rng=random.Random(),
            tasks=tasks,
            router_capabilities=joined.router_rtp_capabilities,
            requests=self.requests,
            poller=poller,
            packet_meter=packet_meter,
            on_rtcp=lambda packet: None,
            feedback=feedback,
        )
        return joined

    @property
    def wide_id(self) -> int | None:
        """The id of the transport-wide numbers of published packets. None if they have none."""
        return self.media.wide_id

    async def publish(self, streams: Sequence[StreamToPublish]) -> tuple[LightEndpoint, Offered]:
        """Publish these streams on one transport."""
        producer_ids = await self.media.publish_all(streams)
        return self.media.endpoints["send"], producer_ids

    async def subscribe(self, offers: Sequence[Offered]) -> LightEndpoint:
        """Receive all these streams on one transport. Return once it is connected."""
        endpoint = await self.media.start_transport("receive")
        producer_ids = [producer_id for offer in offers for producer_id in offer]
        # Send the requests without waiting for the handshake, as mediasoup clients do.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.connected)
            nursery.start_soon(self.perform, self.media.consume_requests(producer_ids))
        # Every client does this within 10 s. The bench measures the gateway's memory before that.
        self.acknowledge(time.perf_counter())
        return endpoint


@define
class GatewayConference:
    """Our gateway. A member joins the channel ``bench`` unless it names another one."""

    process: GatewayProcess
    _pool: WebSocketPool
    _identity: Identity = field(factory=Identity.new)

    async def enter(
        self, name: str, tasks: trio.Nursery, channel: str = "bench", *, feedback: bool = False
    ) -> GatewayMember:
        member = await self._pool.open(partial(GatewayMember, user_id=name, keep_events=False))
        member.on_left = lambda user_id, at: member.gone[user_id].set()
        await member.join(channel, self._identity, tasks, packet_meter=PacketMeter(), feedback=feedback)
        return member


@asynccontextmanager
async def open_gateway(
    host: str, prefix: Sequence[str], options: Sequence[str] = ()
) -> AsyncIterator[GatewayConference]:
    """Run a gateway that listens at ``host`` for as long as the block runs; ``prefix`` runs it there.

    ``options`` are further ones of ``sfu-gateway serve``.
    """
    module = ("gateway", *ARGUMENTS, "--host", host, "--open", "--media-host", host, *options)
    async with running_gateway(module, prefix=prefix) as process, open_pool(process.socket) as pool:
        yield GatewayConference(process, pool)
