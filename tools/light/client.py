"""A light client of a whole gateway: signalling on a WebSocket, media on light transports."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import trio
from attrs import define, field

import protocol.media as media
from protocol import Joined
from protocol.client import Client, connect
from tools.light.endpoint import LightEndpoint, run_endpoint
from tools.light.transport import Identity, LightTransport

Direction = Literal["send", "receive"]

_CODECS = {
    "audio": media.RtpCodecParameters("audio/opus", 111, 48000, channels=2),
    "video": media.RtpCodecParameters(
        "video/VP8", 96, 90000, rtcp_feedback=(media.RtcpFeedback("nack", "pli"), media.RtcpFeedback("ccm", "fir"))
    ),
}


@define
class LightClient:
    """Made by :func:`open_light_client`.  ``signalling`` is the whole protocol; here is what media needs of it."""

    signalling: Client
    joined: Joined
    identity: Identity
    rng: random.Random
    _endpoint_tasks: trio.Nursery
    endpoints: dict[Direction, LightEndpoint] = field(factory=dict)
    _transports: dict[Direction, str] = field(factory=dict)

    async def transport(self, direction: Direction) -> LightEndpoint:
        """The connected transport of this direction, made when it is first asked for."""
        if direction in self.endpoints:
            return self.endpoints[direction]
        created = await self.signalling.create_transport(
            direction, rtp_capabilities=self.joined.router_rtp_capabilities if direction == "receive" else None
        )
        [candidate, *_] = created.ice_candidates
        transport = LightTransport(self.identity, created.ice_parameters, created.dtls_parameters, rng=self.rng)
        # A task, not a block: transports of several clients are made in any order.
        endpoint: LightEndpoint = await self._endpoint_tasks.start(
            run_endpoint, transport, (candidate.address, candidate.port)
        )
        ours = transport.dtls_parameters
        fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
        await self.signalling.connect_transport(created.transport_id, media.DtlsParameters(fingerprints, ours.role))
        endpoint.start()
        await endpoint.connected()
        self.endpoints[direction], self._transports[direction] = endpoint, created.transport_id
        return endpoint

    async def publish(self, kind: Literal["audio", "video"], ssrc: int) -> str:
        """Announce a stream (Opus as payload type 111, VP8 as 96) and return its producer's id."""
        await self.transport("send")
        parameters = media.RtpParameters(codecs=(_CODECS[kind],), encodings=(media.RtpEncodingParameters(ssrc=ssrc),))
        source: Literal["microphone", "camera"] = "microphone" if kind == "audio" else "camera"
        produced = await self.signalling.produce(self._transports["send"], kind, parameters, source)
        return produced.producer_id

    async def subscribe(self, producer_id: str) -> str:
        """Take a stream, at once; returns the consumer's id."""
        await self.transport("receive")
        consumed = await self.signalling.consume(self._transports["receive"], producer_id, paused=False)
        return consumed.consumer_id


@asynccontextmanager
async def open_light_client(
    url: str, channel_id: str, username: str, identity: Identity, *, rng: random.Random | None = None
) -> AsyncIterator[LightClient]:
    """Connect to the gateway's WebSocket ``url`` and be in a channel for as long as the block runs."""
    async with connect(url) as signalling, trio.open_nursery() as nursery:
        joined = await signalling.join(channel_id, username)
        yield LightClient(signalling, joined, identity, rng or random.SystemRandom(), nursery)
        nursery.cancel_scope.cancel()
