"""The media of one participant over light transports, whatever carries the signalling."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, TypeVar

import attrs
import trio
from attrs import define, field

import protocol.media as media
from protocol.declarations import OkData, RequestData
from protocol.requests import ConnectTransport, Consume, CreateTransport, Produce, RestartIce
from protocol.vocabulary import Direction, MediaKind, Source
from tools.light.endpoint import LightEndpoint, open_socket, run_endpoint
from tools.light.loop_sender import PAYLOAD_TYPES, RTX_PAYLOAD_TYPE
from tools.light.loss import NetworkLoss
from tools.light.media_loop import AUDIO_RATE, VIDEO_RATE
from tools.light.packet_meter import PacketMeter
from tools.light.poller import Poller
from tools.light.retransmission import rtx_ssrc
from tools.light.stream_meter import StreamMeter
from tools.light.transport import Identity, LightTransport

Answer = TypeVar("Answer", bound=OkData)


class Requests(Protocol):
    """Sends requests and returns the data of their answers, in the same order."""

    async def __call__(self, requests: Iterable[RequestData[Answer]], /) -> list[Answer]: ...


_RED: Final = "audio/red"
_NACK: Final = media.RtcpFeedback("nack")
_CODECS: Final[dict[MediaKind, media.RtpCodecParameters]] = {
    "audio": media.RtpCodecParameters("audio/opus", PAYLOAD_TYPES["audio"], AUDIO_RATE, channels=2),
    "video": media.RtpCodecParameters(
        "video/VP8",
        PAYLOAD_TYPES["video"],
        VIDEO_RATE,
        rtcp_feedback=(media.RtcpFeedback("nack", "pli"), media.RtcpFeedback("ccm", "fir")),
    ),
}
_RTX: Final = media.RtpCodecParameters(
    "video/rtx", RTX_PAYLOAD_TYPE, VIDEO_RATE, parameters={"apt": PAYLOAD_TYPES["video"]}
)
_SOURCES: Final[dict[MediaKind, Source]] = {"audio": "microphone", "video": "camera"}
HANDSHAKE_SECONDS: Final = 10.0


class BadAnswerError(Exception):
    """An answer of the gateway has the right form but cannot be used.  The text says why."""


@define(kw_only=True)
class LightMedia:
    """Transports of one participant, and the streams on them.

    ``streams`` has the received streams by consumer id.  It stays empty without a ``packet_meter``.  ``on_rtcp`` gets
    the RTCP packets of the sending transport.  Set it before that transport is made.  ``loss`` makes the network of all
    transports a bad one.  ``tasks`` runs one task for each transport.
    """

    identity: Identity
    rng: random.Random
    tasks: trio.Nursery
    router_capabilities: media.RtpCapabilities
    requests: Requests
    poller: Poller | None = None
    packet_meter: PacketMeter | None = None
    on_rtcp: Callable[[bytes], object] | None = None
    loss: NetworkLoss | None = None
    endpoints: dict[Direction, LightEndpoint] = field(factory=dict)
    streams: dict[str, StreamMeter] = field(factory=dict)
    _transports: dict[Direction, str] = field(factory=dict)
    _opening: dict[Direction, trio.Lock] = field(factory=lambda: {"send": trio.Lock(), "receive": trio.Lock()})

    async def transport(self, direction: Direction) -> LightEndpoint:
        """Return the connected transport of this direction.  The first call makes it.

        Raises the exceptions of requests and :exc:`BadAnswerError`.  Raises ``OSError`` if no route leads to the
        gateway's address, and ``trio.TooSlowError`` if ICE and DTLS take more than :data:`HANDSHAKE_SECONDS`.
        """
        with self._hurried_poller():
            endpoint = await self.start_transport(direction)
            await endpoint.connected(HANDSHAKE_SECONDS)
        return endpoint

    async def start_transport(self, direction: Direction) -> LightEndpoint:
        """Like :meth:`transport`, but return as soon as ICE and DTLS have begun."""
        async with self._opening[direction]:
            if direction not in self._transports:
                await self._start(direction)
        return self.endpoints[direction]

    async def _start(self, direction: Direction) -> None:
        wanted = self._receiving_capabilities() if direction == "receive" else None
        [created] = await self.requests([CreateTransport(direction, wanted)])
        try:
            [candidate, *_] = created.ice_candidates
            transport = LightTransport(self.identity, created.ice_parameters, created.dtls_parameters, rng=self.rng)
        except ValueError as error:
            raise BadAnswerError(f"the gateway's answer does not describe a usable transport: {error}") from error
        run = partial(
            run_endpoint,
            transport,
            (candidate.address, candidate.port),
            poller=self.poller,
            packet_meter=self.packet_meter if direction == "receive" else None,
            on_rtcp=self.on_rtcp if direction == "send" else None,
            loss=self.loss,
        )
        # The endpoint runs in a task of its own.  A nested block would tie the order of closing to that of opening.
        endpoint: LightEndpoint = await self.tasks.start(run)
        ours = transport.dtls_parameters
        fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
        parameters = media.DtlsParameters(fingerprints, ours.role)
        await self.requests([ConnectTransport(created.transport_id, parameters)])
        endpoint.start()
        self.endpoints[direction], self._transports[direction] = endpoint, created.transport_id

    async def move(self, *, host: str | None = None) -> None:
        """Continue the media from other UDP ports, of the local address ``host`` if it is given, and restart ICE.

        The gateway sends to the old port until it has heard of the restart.  Raises the exceptions of requests, and
        ``OSError`` if the address cannot be used.
        """
        moved = list(self.endpoints)
        for direction in moved:
            endpoint = self.endpoints[direction]
            endpoint.move_to(open_socket(endpoint.socket.getpeername()[:2], host=host))
        answers = await self.requests([RestartIce(self._transports[direction]) for direction in moved])
        for direction, restarted in zip(moved, answers, strict=True):
            self.endpoints[direction].restart_ice(restarted.ice_parameters)

    def _receiving_capabilities(self) -> media.RtpCapabilities:
        """Take everything that the router sends, but redundant audio only if there is loss.

        Else benches would measure the redundant audio of the first seconds.
        """
        if self.loss is None:
            return self.router_capabilities
        codecs = tuple(
            attrs.evolve(codec, parameters={"": "100/100"}) if codec.mime_type.lower() == _RED else codec
            for codec in self.router_capabilities.codecs
        )
        return attrs.evolve(self.router_capabilities, codecs=codecs)

    async def publish(self, kind: MediaKind, ssrc: int) -> str:
        """Announce a stream (Opus as payload type 111, VP8 as 96) and return its producer id.

        A :class:`tools.light.loop_sender.LoopSender` with this SSRC sends it.
        """
        [producer_id] = await self.publish_all([(kind, ssrc)])
        return producer_id

    async def publish_all(self, streams: Iterable[tuple[MediaKind, int]]) -> list[str]:
        """Announce several streams, each with its kind and SSRC.  Return their producer ids."""
        await self.transport("send")
        requests = []
        for kind, ssrc in streams:
            parameters = sending_parameters(kind, ssrc, self.router_capabilities)
            requests.append(Produce(self._transports["send"], kind, parameters, _SOURCES[kind]))
        return [produced.producer_id for produced in await self.requests(requests)]

    async def subscribe(self, producer_id: str) -> str:
        """Consume a stream, unpaused from the start.  Return the consumer id."""
        await self.transport("receive")
        [consumer_id] = await self.consume_all([producer_id])
        return consumer_id

    async def consume_all(self, producer_ids: Iterable[str]) -> list[str]:
        """Consume several streams.  Call :meth:`start_transport` for the receiving transport before this."""
        wanted = list(producer_ids)
        answers = await self.requests(self.consume_requests(wanted))
        if self.packet_meter is not None:
            for producer_id, consumed in zip(wanted, answers, strict=True):
                parameters = consumed.rtp_parameters
                [codec, *others], [encoding] = parameters.codecs, parameters.encodings
                assert encoding.ssrc is not None, "the gateway gives each consumer an SSRC"
                self.streams[consumed.consumer_id] = self.packet_meter.expect(
                    encoding.ssrc,
                    consumed.kind,
                    producer_id,
                    vp8=codec.mime_type.lower() == "video/vp8",
                    nack=_NACK in codec.rtcp_feedback,
                    rtx_ssrc=None if encoding.rtx is None else encoding.rtx.ssrc,
                    red=next((each.payload_type for each in others if each.mime_type.lower() == _RED), None),
                )
        return [consumed.consumer_id for consumed in answers]

    def consume_requests(self, producer_ids: Iterable[str]) -> list[Consume]:
        """Return the requests of :meth:`consume_all`, for a caller that sends them itself."""
        return [Consume(self._transports["receive"], producer_id, paused=False) for producer_id in producer_ids]

    def forget(self, consumer_id: str) -> None:
        """Stop expecting packets for a closed consumer.  The packet meter keeps its counts."""
        meter = self.streams.pop(consumer_id, None)
        if meter is not None and self.packet_meter is not None:
            self.packet_meter.close(meter.ssrc)

    @contextmanager
    def _hurried_poller(self) -> Iterator[None]:
        """Let the poller poll more often during a handshake, because each round trip delays it."""
        if self.poller is None:
            yield
            return
        self.poller.hurried += 1
        try:
            yield
        finally:
            self.poller.hurried -= 1


def sending_parameters(kind: MediaKind, ssrc: int, router: media.RtpCapabilities) -> media.RtpParameters:
    """Return the parameters of a stream for a router with these capabilities.

    As mediasoup-client, it announces NACK and RTX only if the router offers them for the codec.
    """
    codec, encoding = _CODECS[kind], media.RtpEncodingParameters(ssrc=ssrc)
    offered = next((each for each in router.codecs if each.mime_type.lower() == codec.mime_type.lower()), None)
    if offered is None or _NACK not in offered.rtcp_feedback:
        return media.RtpParameters(codecs=(codec,), encodings=(encoding,))
    codec = attrs.evolve(codec, rtcp_feedback=(_NACK, *codec.rtcp_feedback))
    payload_type = offered.preferred_payload_type
    if not any(
        each.mime_type.lower() == f"{kind}/rtx" and each.parameters.get("apt") == payload_type for each in router.codecs
    ):
        return media.RtpParameters(codecs=(codec,), encodings=(encoding,))
    encoding = attrs.evolve(encoding, rtx=media.RtpRtxParameters(rtx_ssrc(ssrc)))
    return media.RtpParameters(codecs=(codec, _RTX), encodings=(encoding,))
