"""The media of a client process: it sends one stream and receives a few, with real ICE and DTLS."""

import itertools
import random
import struct
from typing import Literal

import trio
from attrs import define, field

import protocol.media as media
from protocol import Joined
from protocol.client import Client, RequestError
from protocol.errors import ErrorCode
from protocol.vocabulary import Participant
from tools.light import Identity, LightEndpoint, LightTransport, run_endpoint

OPUS = media.RtpCodecParameters("audio/opus", 111, 48000, channels=2)
STREAMS = 3
"""How many streams each client receives.  With several, each leave closes consumers of several others."""


@define
class Media:
    """The media of one session.  Its endpoints run in ``tasks``.

    ``heard`` has the producer id of each consumer, by consumer id.
    """

    signalling: Client
    joined: Joined
    identity: Identity
    rng: random.Random
    tasks: trio.Nursery
    transports: dict[str, str] = field(factory=dict)
    producers: list[str] = field(factory=list)
    heard: dict[str, str] = field(factory=dict)
    _lost: set[str] = field(factory=set)

    async def open(self, ssrc: int) -> None:
        """Connect both transports, and start to send a stream."""
        sending = await self._connect("send")
        receiving = await self._connect("receive")
        parameters = media.RtpParameters(codecs=(OPUS,), encodings=(media.RtpEncodingParameters(ssrc=ssrc),))
        produced = await self.signalling.produce(self.transports["send"], "audio", parameters, "microphone")
        self.producers.append(produced.producer_id)
        self.tasks.start_soon(_speak, ssrc, sending, receiving)

    async def _connect(self, direction: Literal["send", "receive"]) -> LightEndpoint:
        capabilities = self.joined.router_rtp_capabilities if direction == "receive" else None
        created = await self.signalling.create_transport(direction, rtp_capabilities=capabilities)
        self.transports[direction] = created.transport_id
        [candidate, *_] = created.ice_candidates
        transport = LightTransport(self.identity, created.ice_parameters, created.dtls_parameters, rng=self.rng)
        ours = transport.dtls_parameters
        fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
        parameters, ice = media.DtlsParameters(fingerprints, ours.role), transport.ice_credentials
        await self.signalling.connect_transport(created.transport_id, parameters, ice_parameters=ice)
        endpoint: LightEndpoint = await self.tasks.start(run_endpoint, transport, (candidate.address, candidate.port))
        endpoint.start()
        await endpoint.connected()
        return endpoint

    async def listen(self, listed: dict[str, Participant]) -> bool:
        """Consume the streams of the next users on the list, up to :data:`STREAMS`.  Returns whether one was added."""
        listed = dict(listed)  # the list may change meanwhile
        users = sorted(listed)
        own = users.index(self.joined.user_id)
        added = False
        for user in users[own + 1 :] + users[:own]:
            for producer in listed[user].producers:
                if len(self.heard) < STREAMS and producer.producer_id not in self.heard.values():
                    added |= await self._take(producer.producer_id)
        return added

    async def _take(self, producer_id: str) -> bool:
        try:
            consumed = await self.signalling.consume(self.transports["receive"], producer_id, paused=False)
        except RequestError as error:
            if error.code != ErrorCode.NOT_FOUND:  # the producer may have been closed meanwhile
                raise
            return False
        if consumed.consumer_id not in self._lost:
            self.heard[consumed.consumer_id] = producer_id
        return True

    def lose(self, consumer_id: str) -> None:
        """Forget a closed consumer.

        Different tasks handle its end and the answer to ``consume``, so the end may come first.
        """
        self._lost.add(consumer_id)
        self.heard.pop(consumer_id, None)


async def _speak(ssrc: int, sending: LightEndpoint, receiving: LightEndpoint) -> None:
    """Send a packet every half second, and discard what arrives."""
    for number in itertools.count():
        header = struct.pack("!BBHII", 0x80, OPUS.payload_type, number % 2**16, number * 24_000 % 2**32, ssrc)
        sending.transport.send_rtp(header + bytes(20))
        sending.send()
        for endpoint in (sending, receiving):
            endpoint.transport.rtp.clear()
            endpoint.transport.rtcp.clear()
        await trio.sleep(0.5)
