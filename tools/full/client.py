"""A full client for Trio programs."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
from aiortc import MediaStreamTrack

from protocol.client import Client, ConnectionClosed, connect
from protocol.events import ConsumerClosed, VoiceState
from protocol.media import DtlsParameters, DtlsRole, IceCredentials, RtpCapabilities, RtpParameters
from protocol.requests import Joined
from protocol.vocabulary import Direction, MediaKind, Participant, ParticipantProducer, Source
from tools.full.bridge import Bridge, open_bridge
from tools.full.media import Media
from tools.full.meters import DecodedAudio, DecodedVideo
from tools.full.tracks import MovingPattern, MovingPatternTrack, Tone, ToneTrack
from tools.full.wire import to_json

#: Longest wait for one step of a setup, in seconds.  Each step goes over loopback and needs far less.
PATIENCE = 15.0
_GOODBYE = 5.0


class DecodedStream:
    """A stream that the client receives. ``latest`` has the measurements of the media decoded so far."""

    def __init__(self, consumer_id: str, kind: MediaKind) -> None:
        self.consumer_id = consumer_id
        self.latest: DecodedAudio | DecodedVideo = DecodedAudio() if kind == "audio" else DecodedVideo()
        #: Whether the gateway has closed the consumer.
        self.closed = False
        self._changed = trio.lowlevel.ParkingLot()

    @property
    def audio(self) -> DecodedAudio:
        """``latest`` of an audio stream."""
        assert isinstance(self.latest, DecodedAudio)
        return self.latest

    @property
    def video(self) -> DecodedVideo:
        """``latest`` of a video stream."""
        assert isinstance(self.latest, DecodedVideo)
        return self.latest

    async def until(self, condition: Callable[["DecodedStream"], bool], within: float = PATIENCE) -> None:
        """Wait until ``condition`` holds for this stream.  Raises ``trio.TooSlowError`` after ``within`` seconds."""
        with trio.fail_after(within):
            while not condition(self):
                await self._changed.park()

    def _update(self, latest: DecodedAudio | DecodedVideo) -> None:
        self.latest = latest
        self._changed.unpark_all()

    def _close(self) -> None:
        self.closed = True
        self._changed.unpark_all()


class FullClient:
    """A participant that sends and receives.  :func:`open_full_client` makes it.

    Its methods raise the exceptions of requests of :class:`protocol.client.Client`, and ``trio.TooSlowError``.
    """

    def __init__(self, client: Client, bridge: Bridge, joined: Joined) -> None:
        #: For requests that have no method here.
        self.signalling = client
        self.user_id = joined.user_id
        #: The client's DTLS role on each connected transport.
        self.dtls_roles: dict[Direction, DtlsRole] = {}
        self._participants = joined.participants
        self._capabilities: RtpCapabilities | None = None
        self._changed = trio.lowlevel.ParkingLot()
        self._bridge = bridge
        self._media = Media(_BridgedSignalling(self))
        self._directions: dict[str, Direction] = {}
        self._streams: dict[str, DecodedStream] = {}
        self._opening = trio.Lock()

    @property
    def participants(self) -> tuple[Participant, ...]:
        """The newest list of the channel."""
        return self._participants

    async def until(self, condition: Callable[[tuple[Participant, ...]], bool], within: float = PATIENCE) -> None:
        """Wait until ``condition`` holds for the participants.  Raises ``trio.TooSlowError``."""
        with trio.fail_after(within):
            while not condition(self._participants):
                await self._changed.park()

    async def send_audio(self, tone: Tone | None = None, source: Source = "microphone") -> str:
        """Send a tone from now on.  Return the producer id."""
        return await self._send(partial(ToneTrack, tone or Tone()), source)

    async def send_video(self, pattern: MovingPattern | None = None, source: Source = "camera") -> str:
        """Send a moving picture from now on.  Return the producer id."""
        return await self._send(partial(MovingPatternTrack, pattern or MovingPattern()), source)

    async def stop_sending(self, producer_id: str) -> None:
        """Close a producer of this client."""
        await self._bridge.run(self._media.stop_sending, producer_id)
        await self.signalling.close(producer_id=producer_id)

    async def stop_receiving(self, stream: DecodedStream) -> None:
        """Close a consumer of this client."""
        await self._no_longer_receive(stream.consumer_id)
        await self.signalling.close(consumer_id=stream.consumer_id)

    async def receive(self, user_id: str, source: Source, within: float = PATIENCE) -> DecodedStream:
        """Receive a stream that a user sends, or begins to send within ``within`` seconds."""
        with trio.fail_after(within):
            await self.until(lambda participants: _find(participants, user_id, source) is not None, within)
            producer = _find(self._participants, user_id, source)
            assert producer is not None
            transport_id = await self._transport("receive")
            consumed = await self.signalling.consume(transport_id, producer.producer_id)
            stream = self._streams[consumed.consumer_id] = DecodedStream(consumed.consumer_id, producer.kind)
            await self._bridge.run(
                self._media.receive,
                to_json(consumed),
                lambda latest: self._bridge.post(stream._update, latest),
            )
            await self.signalling.resume(consumer_id=consumed.consumer_id)
        return stream

    async def _send(self, make_track: Callable[[], MediaStreamTrack], source: Source) -> str:
        with trio.fail_after(PATIENCE):
            await self._transport("send")
            return await self._bridge.run(self._media.send, make_track, source)

    async def _transport(self, direction: Direction) -> str:
        async with self._opening:
            for transport_id, its_direction in self._directions.items():
                if its_direction == direction:
                    return transport_id
            # With the capabilities given here, no `consume` has to repeat them.
            capabilities = self._capabilities if direction == "receive" else None
            created = await self.signalling.create_transport(direction, rtp_capabilities=capabilities)
            await self._bridge.run(self._media.open_transport, direction, to_json(created))
            self._directions[created.transport_id] = direction
            return created.transport_id

    async def _load(self, joined: Joined) -> None:
        with trio.fail_after(PATIENCE):
            router_capabilities = to_json(joined)["routerRtpCapabilities"]
            self._capabilities = await self._bridge.run(self._media.load, router_capabilities)

    async def _follow(self) -> None:
        """Follow the gateway's events until the connection ends."""
        try:
            async for event in self.signalling.events():
                match event:
                    case VoiceState(participants=participants) if participants is not None:
                        self._participants = participants
                        self._changed.unpark_all()
                    case ConsumerClosed(consumer_id=consumer_id):
                        await self._no_longer_receive(consumer_id)
        except ConnectionClosed:
            pass  # the next request raises the same exception

    async def _no_longer_receive(self, consumer_id: str) -> None:
        if stream := self._streams.pop(consumer_id, None):
            stream._close()
            with trio.fail_after(PATIENCE):
                await self._bridge.run(self._media.stop_receiving, consumer_id)

    async def _close(self) -> None:
        await self._bridge.run(self._media.close)


class _BridgedSignalling:
    """Takes requests from pymediasoup in the asyncio loop, and sends them in Trio."""

    def __init__(self, client: FullClient) -> None:
        self._client = client

    async def connect(self, transport_id: str, dtls_parameters: DtlsParameters, ice_parameters: IceCredentials) -> None:
        client = self._client
        client.dtls_roles[client._directions[transport_id]] = dtls_parameters.role
        connect = partial(client.signalling.connect_transport, ice_parameters=ice_parameters)
        await client._bridge.ask(connect, transport_id, dtls_parameters)

    async def produce(self, transport_id: str, kind: MediaKind, rtp_parameters: RtpParameters, source: Source) -> str:
        ask = self._client._bridge.ask
        produced = await ask(self._client.signalling.produce, transport_id, kind, rtp_parameters, source)
        return produced.producer_id


@asynccontextmanager
async def open_full_client(
    url: str,
    channel_id: str,
    username: str,
    *,
    user_id: str | None = None,
    token: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[FullClient]:
    """Join a channel of the gateway at a ``ws:`` or ``wss:`` URL.

    Leaving the block closes media and connection, without `leave`.

    Raises what :func:`protocol.client.connect` and ``join`` raise.  Exceptions from the block come out unchanged.
    """
    error: BaseException | None = None
    try:
        async with (
            connect(url, ssl_context=ssl_context) as signalling,
            open_bridge() as bridge,
            trio.open_nursery() as nursery,
        ):
            joined = await signalling.join(channel_id, username, user_id=user_id, token=token)
            client = FullClient(signalling, bridge, joined)
            nursery.start_soon(client._follow)
            try:
                await client._load(joined)
                yield client
            except BaseException as raised:
                error = raised
                raise
            finally:
                with trio.move_on_after(_GOODBYE, shield=True):
                    await client._close()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup:
        # The nurseries wrap the block's exception in a group.  Their own tasks raise none.
        if error is not None and isinstance(error, Exception):
            raise error from None
        raise


def _find(participants: tuple[Participant, ...], user_id: str, source: Source) -> ParticipantProducer | None:
    for participant in participants:
        if participant.user_id == user_id:
            return next((producer for producer in participant.producers if producer.source == source), None)
    return None
