"""The media of one participant over light transports, whatever carries the signalling."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, TypeVar

import attrs
import trio
from attrs import define, field, frozen

import protocol.media as media
from protocol import limits
from protocol.declarations import OkData, RequestData
from protocol.requests import ConnectTransport, Consume, ConsumeMany, CreateTransport, Produce, RestartIce
from protocol.vocabulary import Direction, MediaKind, Source
from tools.light.endpoint import LightEndpoint, run_endpoint
from tools.light.loop_sender import PAYLOAD_TYPES, RTX_PAYLOAD_TYPE
from tools.light.loss import NetworkLoss
from tools.light.media_loop import AUDIO_RATE, VIDEO_RATE
from tools.light.packet_meter import PacketMeter
from tools.light.poller import Poller
from tools.light.retransmission import rtx_ssrc
from tools.light.sockets import open_socket
from tools.light.stream_meter import StreamMeter
from tools.light.transport import Identity, LightTransport
from tools.light.wide_arrivals import WIDE_URI

Answer = TypeVar("Answer", bound=OkData)


class Requests(Protocol):
    """Sends requests and returns the data of their answers, in the same order."""

    async def __call__(self, requests: Iterable[RequestData[Answer]], /) -> list[Answer]: ...


_RED: Final = "audio/red"
#: How the scalability mode of a stream begins that has one encoding.
_ONE_LAYER: Final = "L1"
_NACK: Final = media.RtcpFeedback("nack")
_TRANSPORT_WIDE: Final = media.RtcpFeedback("transport-cc")
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


@frozen
class Layer:
    """An encoding of a sent stream: its SSRC, and its greatest bitrate in bit/s if the sender announces one."""

    ssrc: int
    bitrate: int | None = None


class BadAnswerError(Exception):
    """An answer of the gateway has the right form but cannot be used.  The text says why."""


@define(kw_only=True)
class LightMedia:
    """Transports of one participant, and the streams on them.

    ``streams`` has the received streams by consumer id.  It stays empty without a ``packet_meter``.  ``on_rtcp`` gets
    the RTCP packets of the sending transport.  Set it before that transport is made.  ``loss`` makes the network of all
    transports a bad one.  ``tasks`` runs one task for each transport.  With ``feedback`` it numbers the packets of each
    transport and reports arrivals, as browsers do, if the gateway offers transport-wide feedback.
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
    feedback: bool = False
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
            transport = LightTransport(
                self.identity,
                created.ice_parameters,
                created.dtls_parameters,
                rng=self.rng,
                peer=(candidate.address, candidate.port),
            )
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
        await self.requests([ConnectTransport(created.transport_id, parameters, transport.ice_credentials)])
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
        renewed = [self.endpoints[direction].transport.renew_ice_credentials() for direction in moved]
        answers = await self.requests(
            [RestartIce(self._transports[direction], ours) for direction, ours in zip(moved, renewed, strict=True)]
        )
        for direction, restarted in zip(moved, answers, strict=True):
            self.endpoints[direction].restart_ice(restarted.ice_parameters)

    def _receiving_capabilities(self) -> media.RtpCapabilities:
        """Take everything that the router sends, but redundant audio only if there is loss.

        Else benches would measure the redundant audio of the first seconds.  Without ``feedback``, take no
        transport-wide numbers either.
        """
        taken = self.router_capabilities
        if self.loss is not None:
            codecs = tuple(
                attrs.evolve(codec, parameters={"": "100/100"}) if codec.mime_type.lower() == _RED else codec
                for codec in taken.codecs
            )
            taken = attrs.evolve(taken, codecs=codecs)
        return taken if self.feedback else _without_wide_numbers(taken)

    @property
    def wide_id(self) -> int | None:
        """The id of the header extension with transport-wide numbers in sent packets.  None if they have none."""
        return _wide_id(self.router_capabilities) if self.feedback else None

    async def publish(self, kind: MediaKind, ssrc: int) -> str:
        """Announce a stream (Opus as payload type 111, VP8 as 96) and return its producer id.

        A :class:`tools.light.loop_sender.LoopSender` with this SSRC sends it.
        """
        return await self.publish_layers(kind, [Layer(ssrc)])

    async def publish_all(self, streams: Iterable[tuple[MediaKind, int]]) -> list[str]:
        """Announce several streams, each with its kind and SSRC.  Return their producer ids."""
        return await self._publish((kind, [Layer(ssrc)]) for kind, ssrc in streams)

    async def publish_layers(self, kind: MediaKind, layers: Sequence[Layer]) -> str:
        """Announce a stream in one or several encodings, in rising quality.  Return its producer id."""
        [producer_id] = await self._publish([(kind, layers)])
        return producer_id

    async def _publish(self, streams: Iterable[tuple[MediaKind, Sequence[Layer]]]) -> list[str]:
        await self.transport("send")
        requests = []
        for kind, layers in streams:
            parameters = sending_parameters(kind, layers, self.router_capabilities, self.wide_id)
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
        transport_id = self._transports["receive"]
        answers = await self.requests([Consume(transport_id, producer_id, paused=False) for producer_id in wanted])
        for consumed in answers:
            for extension in consumed.rtp_parameters.header_extensions:
                if extension.uri == WIDE_URI:
                    self.endpoints["receive"].report_arrivals(extension.id)
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
                    simulcast=(encoding.scalability_mode or _ONE_LAYER)[:2] != _ONE_LAYER,
                    nack=_NACK in codec.rtcp_feedback,
                    rtx_ssrc=None if encoding.rtx is None else encoding.rtx.ssrc,
                    red=next((each.payload_type for each in others if each.mime_type.lower() == _RED), None),
                )
        return [consumed.consumer_id for consumed in answers]

    def consume_requests(self, producer_ids: Iterable[str]) -> list[ConsumeMany]:
        """Return the requests that consume several streams, for a caller that sends them itself.

        Call :meth:`start_transport` for the receiving transport before this.
        """
        wanted = tuple(producer_ids)
        transport_id, most = self._transports["receive"], limits.MAX_CONSUMED_AT_ONCE
        parts = [wanted[begin : begin + most] for begin in range(0, len(wanted), most)]
        return [ConsumeMany(transport_id, part, paused=False) for part in parts]

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


def sending_parameters(
    kind: MediaKind, layers: Sequence[Layer], router: media.RtpCapabilities, wide_id: int | None = None
) -> media.RtpParameters:
    """Return the parameters of a stream for a router with these capabilities.

    As mediasoup-client, it announces NACK and RTX only if the router offers them for the codec.  With ``wide_id`` it
    announces transport-wide numbers under this id.
    """
    codec = _CODECS[kind]
    encodings = tuple(media.RtpEncodingParameters(ssrc=one.ssrc, max_bitrate=one.bitrate) for one in layers)
    codecs: tuple[media.RtpCodecParameters, ...] = (codec,)
    extensions: tuple[media.RtpHeaderExtensionParameters, ...] = ()
    if wide_id is not None:
        codec = attrs.evolve(codec, rtcp_feedback=(_TRANSPORT_WIDE, *codec.rtcp_feedback))
        codecs, extensions = (codec,), (media.RtpHeaderExtensionParameters(WIDE_URI, wide_id),)
    offered = next((each for each in router.codecs if each.mime_type.lower() == codec.mime_type.lower()), None)
    if offered is not None and _NACK in offered.rtcp_feedback:
        codecs = (attrs.evolve(codec, rtcp_feedback=(_NACK, *codec.rtcp_feedback)),)
        if _repeats(router, kind, offered.preferred_payload_type):
            codecs = (*codecs, _RTX)
            encodings = tuple(
                attrs.evolve(encoding, rtx=media.RtpRtxParameters(rtx_ssrc(layer.ssrc)))
                for encoding, layer in zip(encodings, layers, strict=True)
            )
    return media.RtpParameters(codecs=codecs, header_extensions=extensions, encodings=encodings)


def _repeats(router: media.RtpCapabilities, kind: MediaKind, payload_type: int | None) -> bool:
    """Whether the router offers retransmissions of the codec with this payload type."""
    mime_type = f"{kind}/rtx"
    return any(
        each.mime_type.lower() == mime_type and each.parameters.get("apt") == payload_type for each in router.codecs
    )


def _wide_id(router: media.RtpCapabilities) -> int | None:
    return next((each.preferred_id for each in router.header_extensions if each.uri == WIDE_URI), None)


def _without_wide_numbers(offered: media.RtpCapabilities) -> media.RtpCapabilities:
    codecs = tuple(
        attrs.evolve(codec, rtcp_feedback=tuple(each for each in codec.rtcp_feedback if each != _TRANSPORT_WIDE))
        for codec in offered.codecs
    )
    extensions = tuple(each for each in offered.header_extensions if each.uri != WIDE_URI)
    return media.RtpCapabilities(codecs, extensions)
