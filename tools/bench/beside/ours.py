"""Our gateway, as the bench sees it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from attrs import define, field

import protocol.media as media
from protocol import Joined, VoiceState
from protocol.client import Client, ConnectionClosed, connect_over
from tools.bench.beside.conference import Gone, Publication, Stream
from tools.bench.beside.legs import Leg, open_leg
from tools.bench.gateway_process import ARGUMENTS, GatewayProcess, running_gateway
from tools.light import Identity, LightTransport
from tools.light.client import _CODECS, Direction

CHANNEL = "bench"


@define
class GatewayMember:
    """Somebody in the channel; ``gone`` has user names."""

    _client: Client
    _joined: Joined
    _stream: trio.SocketStream
    _identity: Identity
    gone: Gone = field(factory=Gone)

    async def publish(self, streams: Sequence[Stream]) -> tuple[Leg, Publication]:
        transport_id, leg = await self._transport("send")
        await leg.connect()
        producers = [await self._produce(transport_id, stream) for stream in streams]
        return leg, Publication(producers)

    async def _produce(self, transport_id: str, stream: Stream) -> str:
        encoding = media.RtpEncodingParameters(ssrc=stream.ssrc)
        parameters = media.RtpParameters(codecs=(_CODECS[stream.kind],), encodings=(encoding,))
        source = "microphone" if stream.kind == "audio" else "camera"
        return (await self._client.produce(transport_id, stream.kind, parameters, source)).producer_id

    async def subscribe(self, publications: Sequence[Publication]) -> Leg:
        transport_id, leg = await self._transport("receive")
        # As mediasoup clients do it: nothing waits for the handshake.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leg.connect)
            for publication in publications:
                for producer_id in publication.reference:
                    nursery.start_soon(self._consume, transport_id, producer_id)
        return leg

    async def _consume(self, transport_id: str, producer_id: str) -> None:
        await self._client.consume(transport_id, producer_id, paused=False)

    async def _transport(self, direction: Direction) -> tuple[str, Leg]:
        capabilities = self._joined.router_rtp_capabilities if direction == "receive" else None
        created = await self._client.create_transport(direction, rtp_capabilities=capabilities)
        transport = LightTransport(
            self._identity, created.ice_parameters, created.dtls_parameters, rng=random.SystemRandom()
        )
        [candidate, *_] = created.ice_candidates
        ours = transport.dtls_parameters
        fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
        await self._client.connect_transport(created.transport_id, media.DtlsParameters(fingerprints, ours.role))
        return created.transport_id, open_leg(transport, (candidate.address, candidate.port))

    def hang_up(self) -> None:
        self._stream.socket.shutdown(trio.socket.SHUT_RDWR)

    async def listen(self) -> None:
        try:
            async for event in self._client.events():
                if isinstance(event, VoiceState) and event.type == "user_left":
                    self.gone.add(event.username)
        except ConnectionClosed:
            return


@define
class GatewayConference:
    """One channel on our gateway."""

    process: GatewayProcess
    _identity: Identity

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[GatewayMember]:
        stream = await trio.open_tcp_stream(*self.process.socket)
        async with connect_over(stream) as client, trio.open_nursery() as nursery:
            joined = await client.join(CHANNEL, name)
            member = GatewayMember(client, joined, stream, self._identity)
            nursery.start_soon(member.listen)
            yield member
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_gateway(host: str, prefix: Sequence[str], identity: Identity) -> AsyncIterator[GatewayConference]:
    """A gateway that listens at ``host``, for as long as the block runs; ``prefix`` runs it there."""
    module = ("gateway", *ARGUMENTS, "--host", host, "--media-host", host)
    async with running_gateway(module, prefix=prefix) as process:
        yield GatewayConference(process, identity)
