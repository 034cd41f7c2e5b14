"""Our gateway, as the bench sees it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio
from attrs import define, field

import protocol.media as media
from protocol.codec import from_json
from protocol.errors import CloseCode
from protocol.requests import ConnectTransport, Consume, CreateTransport, Join, Produce
from protocol.vocabulary import Direction, Source
from tools.bench.beside.conference import Gone, Publication, Stream
from tools.bench.beside.legs import Leg, open_leg
from tools.bench.gateway_process import ARGUMENTS, GatewayProcess, running_gateway
from tools.bench.leaving.crowd import Client, Crowd
from tools.light import Identity, LightTransport
from tools.light.client import CODECS

CHANNEL = "bench"


@define(eq=False)
class Watcher(Client):
    """Keeps no list: it notes who left."""

    gone: Gone = field(factory=Gone)

    def keep(self, event: bytes) -> None:
        pass

    def told(self, user_id: str, at: float) -> None:
        self.gone.add(user_id)


@define
class GatewayMember:
    """Somebody in the channel; ``gone`` has user ids."""

    _client: Watcher
    _capabilities: media.RtpCapabilities
    _identity: Identity

    @property
    def gone(self) -> Gone:
        return self._client.gone

    async def publish(self, streams: Sequence[Stream]) -> tuple[Leg, Publication]:
        transport_id, leg = await self._transport("send")
        await leg.connect()
        produced = await self._client.ask_all([_produce(transport_id, stream) for stream in streams])
        return leg, Publication([one["producerId"] for one in produced])

    async def subscribe(self, publications: Sequence[Publication]) -> Leg:
        transport_id, leg = await self._transport("receive")
        consumes = [
            Consume(transport_id, producer_id, paused=False)
            for publication in publications
            for producer_id in publication.reference
        ]
        # As mediasoup clients do it: nothing waits for the handshake.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leg.connect)
            nursery.start_soon(self._client.ask_all, consumes)
        return leg

    async def _transport(self, direction: Direction) -> tuple[str, Leg]:
        wanted = self._capabilities if direction == "receive" else None
        created = await self._client.ask(CreateTransport(direction, wanted))
        ice = from_json(created["iceParameters"], media.IceParameters)
        dtls = from_json(created["dtlsParameters"], media.DtlsParameters)
        transport = LightTransport(self._identity, ice, dtls, rng=random.SystemRandom())
        ours = transport.dtls_parameters
        fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
        parameters = media.DtlsParameters(fingerprints, ours.role)
        await self._client.ask(ConnectTransport(created["transportId"], parameters))
        candidate = created["iceCandidates"][0]
        return created["transportId"], open_leg(transport, (candidate["address"], candidate["port"]))

    def hang_up(self) -> None:
        self._client.end(CloseCode.ABNORMAL)
        self._client.close()


def _produce(transport_id: str, stream: Stream) -> Produce:
    encoding = media.RtpEncodingParameters(ssrc=stream.ssrc)
    parameters = media.RtpParameters(codecs=(CODECS[stream.kind],), encodings=(encoding,))
    source: Source = "microphone" if stream.kind == "audio" else "camera"
    return Produce(transport_id, stream.kind, parameters, source)


@define
class GatewayConference:
    """Our gateway, and one channel on it that everybody joins who names no other."""

    process: GatewayProcess
    _crowd: Crowd
    _identity: Identity

    @asynccontextmanager
    async def member(self, name: str, channel: str = CHANNEL) -> AsyncIterator[GatewayMember]:
        client = await self._crowd.open(partial(Watcher, crowd=self._crowd))
        try:
            joined = await client.ask(Join(channel, name, name))
            capabilities = from_json(joined["routerRtpCapabilities"], media.RtpCapabilities)
            yield GatewayMember(client, capabilities, self._identity)
        finally:
            client.close()


@asynccontextmanager
async def open_gateway(
    host: str, prefix: Sequence[str], identity: Identity, options: Sequence[str] = ()
) -> AsyncIterator[GatewayConference]:
    """A gateway that listens at ``host``, for as long as the block runs; ``prefix`` runs it there.

    ``options`` are further ones of ``sfu-gateway serve``.
    """
    module = ("gateway", *ARGUMENTS, "--host", host, "--media-host", host, *options)
    async with running_gateway(module, prefix=prefix) as process, trio.open_nursery() as nursery:
        crowd = Crowd(process.socket)
        nursery.start_soon(crowd.run)
        try:
            yield GatewayConference(process, crowd, identity)
        finally:
            nursery.cancel_scope.cancel()
            crowd.close()
