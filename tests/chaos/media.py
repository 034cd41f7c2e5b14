"""The media of a client process: one stream out, a few streams in, over transports with real ICE and DTLS."""

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
"""How many others everybody listens to: enough that each leaving takes consumers of several others with it."""


@define
class Media:
    """What one session sends and takes; its endpoints run in ``tasks``.

    ``heard`` are the consumers, each with the producer it takes.
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
        """Both transports up to the end of the handshake, and a producer."""
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
        await self.signalling.connect_transport(created.transport_id, media.DtlsParameters(fingerprints, ours.role))
        endpoint: LightEndpoint = await self.tasks.start(run_endpoint, transport, (candidate.address, candidate.port))
        endpoint.start()
        await endpoint.connected()
        return endpoint

    async def listen(self, listed: dict[str, Participant]) -> bool:
        """Take the streams of those who come next on the list, up to :data:`STREAMS`; whether one was added."""
        listed = dict(listed)  # as it is now
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
            if error.code != ErrorCode.NOT_FOUND:  # which is normal: it has closed since
                raise
            return False
        if consumed.consumer_id not in self._lost:
            self.heard[consumed.consumer_id] = producer_id
        return True

    def lose(self, consumer_id: str) -> None:
        """It is closed, which may be known before its opening has been taken in: different tasks hear of the two."""
        self._lost.add(consumer_id)
        self.heard.pop(consumer_id, None)


async def _speak(ssrc: int, sending: LightEndpoint, receiving: LightEndpoint) -> None:
    """A packet now and then, so that something flows; nobody looks at what comes."""
    for number in itertools.count():
        header = struct.pack("!BBHII", 0x80, OPUS.payload_type, number % 2**16, number * 24_000 % 2**32, ssrc)
        sending.transport.send_rtp(header + bytes(20))
        sending.send()
        for endpoint in (sending, receiving):
            endpoint.transport.rtp.clear()
            endpoint.transport.rtcp.clear()
        await trio.sleep(0.5)
