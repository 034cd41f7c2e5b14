"""A light client of a whole gateway: signalling on a WebSocket, media on light transports."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Literal

import trio
from attrs import define, field

import protocol.media as media
from protocol import Joined
from protocol.client import Client, ConnectError, Decode, Timeouts, connect_over
from protocol.client_websocket import open_stream
from protocol.codec import decode_from_gateway
from tools.light.endpoint import LightEndpoint, run_endpoint
from tools.light.poller import Poller
from tools.light.reception import Kind, Reception, StreamMeter
from tools.light.transport import Identity, LightTransport

Direction = Literal["send", "receive"]

CODECS = {
    "audio": media.RtpCodecParameters("audio/opus", 111, 48000, channels=2),
    "video": media.RtpCodecParameters(
        "video/VP8", 96, 90000, rtcp_feedback=(media.RtcpFeedback("nack", "pli"), media.RtcpFeedback("ccm", "fir"))
    ),
}
_TIMEOUTS = Timeouts()
HANDSHAKE_SECONDS = 10.0


class BadAnswerError(Exception):
    """The gateway keeps to the protocol's form, and its answer makes no sense all the same; the text says why."""


@define
class LightClient:
    """Made by :func:`open_light_client`.  ``signalling`` is the whole protocol; here is what media needs of it.

    ``streams`` are what is received, by consumer id, where there is a ``reception`` to count it.  ``on_rtcp`` gets the
    RTCP of the sending transport, if it was set before that was made.
    """

    signalling: Client
    joined: Joined
    identity: Identity
    rng: random.Random
    _endpoint_tasks: trio.Nursery
    _stream: trio.abc.Stream
    poller: Poller | None = None
    reception: Reception | None = None
    on_rtcp: Callable[[bytes], object] | None = None
    endpoints: dict[Direction, LightEndpoint] = field(factory=dict)
    streams: dict[str, StreamMeter] = field(factory=dict)
    _transports: dict[Direction, str] = field(factory=dict)
    _opening: dict[Direction, trio.Lock] = field(factory=lambda: {"send": trio.Lock(), "receive": trio.Lock()})

    async def transport(self, direction: Direction) -> LightEndpoint:
        """The connected transport of this direction, made when it is first asked for.

        Raises what requests raise, :exc:`BadAnswerError`, ``OSError`` where there is no way to the gateway's address,
        and ``trio.TooSlowError`` where ICE and DTLS do not come up.
        """
        async with self._opening[direction]:
            if direction not in self._transports:
                await self._open(direction)
        return self.endpoints[direction]

    async def _open(self, direction: Direction) -> None:
        created = await self.signalling.create_transport(
            direction, rtp_capabilities=self.joined.router_rtp_capabilities if direction == "receive" else None
        )
        try:
            [candidate, *_] = created.ice_candidates
            transport = LightTransport(self.identity, created.ice_parameters, created.dtls_parameters, rng=self.rng)
        except ValueError as error:
            raise BadAnswerError(f"no transport can be made of the gateway's answer: {error}") from error
        with _hurry(self.poller):
            endpoint = await self._run(direction, transport, (candidate.address, candidate.port))
            self.endpoints[direction] = endpoint
            ours = transport.dtls_parameters
            fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
            await self.signalling.connect_transport(created.transport_id, media.DtlsParameters(fingerprints, ours.role))
            endpoint.start()
            await endpoint.connected(HANDSHAKE_SECONDS)
        self._transports[direction] = created.transport_id

    async def _run(self, direction: Direction, transport: LightTransport, address: tuple[str, int]) -> LightEndpoint:
        run = partial(
            run_endpoint,
            transport,
            address,
            poller=self.poller,
            reception=self.reception if direction == "receive" else None,
            on_rtcp=self.on_rtcp if direction == "send" else _drop_rtcp if self.reception is not None else None,
        )
        # A task, not a block: transports of several clients are made in any order.
        endpoint: LightEndpoint = await self._endpoint_tasks.start(run)
        return endpoint

    async def publish(self, kind: Kind, ssrc: int) -> str:
        """Announce a stream (Opus as payload type 111, VP8 as 96) and return its producer's id."""
        await self.transport("send")
        parameters = media.RtpParameters(codecs=(CODECS[kind],), encodings=(media.RtpEncodingParameters(ssrc=ssrc),))
        source: Literal["microphone", "camera"] = "microphone" if kind == "audio" else "camera"
        produced = await self.signalling.produce(self._transports["send"], kind, parameters, source)
        return produced.producer_id

    async def subscribe(self, producer_id: str) -> str:
        """Take a stream, at once; returns the consumer's id."""
        await self.transport("receive")
        consumed = await self.signalling.consume(self._transports["receive"], producer_id, paused=False)
        if self.reception is not None:
            ssrc = consumed.rtp_parameters.encodings[0].ssrc
            assert ssrc is not None, "the gateway promises one"
            self.streams[consumed.consumer_id] = self.reception.expect(ssrc, consumed.kind, producer_id)
        return consumed.consumer_id

    def forget(self, consumer_id: str) -> None:
        """A consumer is gone: what it received stays counted."""
        meter = self.streams.pop(consumer_id, None)
        if meter is not None and self.reception is not None:
            self.reception.close(meter.ssrc)

    async def kill(self) -> None:
        """Be gone as a process is that was killed: the TCP connection ends without a word.

        Leave the client's block after it, which ends the transports, without a word either.
        """
        await trio.aclose_forcefully(self._stream)


def _drop_rtcp(packet: bytes) -> None:
    """Reports about what is received: nobody reads them."""


@contextmanager
def _hurry(poller: Poller | None) -> Iterator[None]:
    """While somebody connects, the poller looks more often."""
    if poller is not None:
        poller.hurried += 1
    try:
        yield
    finally:
        if poller is not None:
            poller.hurried -= 1


@asynccontextmanager
async def open_light_client(
    url: str,
    channel_id: str,
    username: str,
    identity: Identity,
    *,
    rng: random.Random | None = None,
    user_id: str | None = None,
    token: str | None = None,
    poller: Poller | None = None,
    reception: Reception | None = None,
    on_rtcp: Callable[[bytes], object] | None = None,
    timeouts: Timeouts = _TIMEOUTS,
    decode: Decode = decode_from_gateway,
) -> AsyncIterator[LightClient]:
    """Connect to the gateway's WebSocket ``url`` and be in a channel for as long as the block runs.

    Clients of one process may share what reads their frames (``decode``) and their sockets (``poller``).

    Leaving the block closes the WebSocket with 1000.  Raises what :func:`protocol.client.connect` and ``join`` raise;
    exceptions from the block come out as they are.
    """
    try:
        with trio.fail_after(timeouts.connect):
            stream, host, path = await open_stream(url, None)
    except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
        raise ConnectError(f"cannot connect to {url}: {_reason(error)}") from error
    failure: BaseException | None = None
    async with connect_over(stream, host=host, path=path, timeouts=timeouts, decode=decode) as signalling:
        joined = await signalling.join(channel_id, username, user_id=user_id, token=token)
        try:
            async with trio.open_nursery() as nursery:
                client = LightClient(
                    signalling,
                    joined,
                    identity,
                    rng or random.SystemRandom(),
                    nursery,
                    stream,
                    poller=poller,
                    reception=reception,
                    on_rtcp=on_rtcp,
                )
                try:
                    yield client
                except BaseException as error:
                    failure = error
                    raise
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup:
            # The nursery wraps it; the endpoints' tasks raise nothing of their own.
            if isinstance(failure, Exception):
                raise failure from None
            raise


def _reason(error: BaseException) -> str:
    reason = error.__cause__ or error  # trio keeps one for each address there
    while isinstance(reason, BaseExceptionGroup):
        reason = reason.exceptions[0]
    return str(reason) or "it took too long"
