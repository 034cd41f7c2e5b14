"""The asyncio half of a full client: pymediasoup's device and transports.  Everything here runs in the bridge's loop.

pymediasoup reports some failures as an event ``error`` and goes on.  This module raises them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiortc import MediaStreamTrack
from pymediasoup import AiortcHandler, Device
from pymediasoup.models.transport import DtlsParameters as DtlsModel
from pymediasoup.models.transport import IceCandidate, IceParameters
from pymediasoup.producer import Producer
from pymediasoup.rtp_parameters import RtpCapabilities as RtpCapabilitiesModel
from pymediasoup.rtp_parameters import RtpParameters as RtpParametersModel
from pymediasoup.transport import Transport

from protocol.media import DtlsParameters, IceCredentials, RtpCapabilities, RtpParameters
from protocol.vocabulary import Direction, MediaKind, Source
from tools.full.loopback import use_loopback
from tools.full.meters import DecodedAudio, DecodedVideo, watch
from tools.full.wire import from_model

Json = dict[str, Any]


def own_ice_credentials(transport: Transport) -> IceCredentials:
    """Return aiortc's own ICE credentials, which pymediasoup does not hand out."""
    [first, *_] = transport._handler.pc.getTransceivers()  # the others are bundled with it
    ours = first.sender.transport.transport.iceGatherer.getLocalParameters()
    return IceCredentials(ours.usernameFragment, ours.password)


class MediaSignalling(Protocol):
    """The requests of transports to the gateway.  pymediasoup calls them in the asyncio loop."""

    async def connect(
        self, transport_id: str, dtls_parameters: DtlsParameters, ice_parameters: IceCredentials
    ) -> None: ...

    async def produce(
        self, transport_id: str, kind: MediaKind, rtp_parameters: RtpParameters, source: Source
    ) -> str: ...


class Media:
    """A pymediasoup device with at most one transport in each direction."""

    def __init__(self, signalling: MediaSignalling) -> None:
        self._signalling = signalling
        self._device = Device(AiortcHandler.createFactory(tracks=[]))
        self._transports: dict[Direction, Transport] = {}
        self._producers: dict[str, Producer] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._failure: BaseException | None = None
        # pymediasoup has no queue: two negotiations at once would mix up their descriptions.
        self._negotiating = asyncio.Lock()

    async def load(self, router_capabilities: Json) -> RtpCapabilities:
        """Load the router's capabilities.  Return this client's capabilities for receiving."""
        use_loopback()
        await self._device.load(RtpCapabilitiesModel(**router_capabilities))
        return from_model(self._device.recvRtpCapabilities, RtpCapabilities)

    async def open_transport(self, direction: Direction, created: Json) -> None:
        """Make the client's side of a transport, which connects with its first stream."""
        create = self._device.createSendTransport if direction == "send" else self._device.createRecvTransport
        transport = create(
            id=created["transportId"],
            iceParameters=IceParameters(**created["iceParameters"]),
            iceCandidates=[IceCandidate(**candidate) for candidate in created["iceCandidates"]],
            dtlsParameters=DtlsModel(**created["dtlsParameters"]),
            sctpParameters=None,
            iceServers=[],  # None would mean public STUN servers
        )
        self._transports[direction] = transport

        async def connect(dtls_parameters: DtlsModel) -> None:
            parameters = from_model(dtls_parameters, DtlsParameters)
            await self._signalling.connect(transport.id, parameters, own_ice_credentials(transport))

        async def produce(kind: MediaKind, rtp_parameters: RtpParametersModel, app_data: Json) -> str:
            parameters = from_model(rtp_parameters, RtpParameters)
            return await self._signalling.produce(transport.id, kind, parameters, app_data["source"])

        def failed(error: BaseException) -> None:
            self._failure = error

        transport.on("connect", connect)
        transport.on("produce", produce)
        transport.on("error", failed)

    async def send(self, make_track: Callable[[], MediaStreamTrack], source: Source) -> str:
        """Send a track.  Return the producer id."""
        produce = self._transports["send"].produce
        producer = await self._negotiate(produce, track=make_track(), appData={"source": source})
        self._producers[producer.id] = producer
        return str(producer.id)

    async def stop_sending(self, producer_id: str) -> None:
        """End a producer's track, not its transport."""
        await self._producers.pop(producer_id).close()

    async def receive(self, consumed: Json, tell: Callable[[DecodedAudio | DecodedVideo], object]) -> None:
        """Receive the stream from the answer ``consumed``.  Call ``tell`` with its measurements after each frame."""
        consumer = await self._negotiate(
            self._transports["receive"].consume,
            id=consumed["consumerId"],
            producerId=consumed["producerId"],
            kind=consumed["kind"],
            rtpParameters=RtpParametersModel(**consumed["rtpParameters"]),
        )
        self._watching[consumer.id] = asyncio.create_task(watch(consumer.track, tell))

    async def stop_receiving(self, consumer_id: str) -> None:
        """Stop measuring a stream.

        pymediasoup's consumer stays open until the transport closes.  If we closed it, pymediasoup would reuse its
        media section for the next stream.  aiortc then makes an SDP answer that aiortc itself rejects.
        """
        if task := self._watching.pop(consumer_id, None):
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Close the transports, each with a close_notify, and wait for the end of their tasks."""
        for transport in self._transports.values():
            await transport.close()
        if self._watching:
            await asyncio.wait(self._watching.values())

    async def _negotiate(self, step: Callable[..., Awaitable[Any]], **arguments: Any) -> Any:
        async with self._negotiating:
            try:
                result = await step(**arguments)
            except Exception:
                self._raise_failure()
                raise
            self._raise_failure()
            return result

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


logging.getLogger("pymediasoup").setLevel(logging.ERROR)  # it warns of features that aiortc lacks
