"""The other participant of a run: a light client that sends numbered packets, or counts those it receives."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

import protocol.media as media
from protocol.client import Client
from protocol.events import VoiceState
from protocol.vocabulary import Direction, MediaKind, Source
from tools.interop.media import OPUS, VIDEO, PacketTally, opus_frame, video_frame
from tools.light import Identity, LightEndpoint, LightTransport, open_endpoint
from tools.light.wire import rtcp, rtp
from tools.light.wire.errors import BadPacket
from tools.light.wire.ntp import from_ntp

INTERVAL: Final = 0.02
_AUDIO_STEP: Final = 960
_VIDEO_STEP: Final = 3600
_CONNECTS_WITHIN: Final = 10.0
# Seconds: longer than a packet takes on any path, shorter than a mute.
_FAR: Final = 2.0
_JUST_NOW: Final = 0.1


@asynccontextmanager
async def open_transport(
    signalling: Client,
    direction: Direction,
    identity: Identity,
    capabilities: media.RtpCapabilities | None = None,
) -> AsyncIterator[tuple[str, LightEndpoint]]:
    """A connected transport: its id and its endpoint."""
    created = await signalling.create_transport(direction, rtp_capabilities=capabilities)
    [candidate, *_] = created.ice_candidates
    light = LightTransport(
        identity,
        created.ice_parameters,
        created.dtls_parameters,
        rng=random.SystemRandom(),
        peer=(candidate.address, candidate.port),
    )
    async with open_endpoint(light, (candidate.address, candidate.port)) as endpoint:
        ours = light.dtls_parameters
        fingerprints = tuple(media.DtlsFingerprint("sha-256", one.value) for one in ours.fingerprints)
        parameters = media.DtlsParameters(fingerprints, ours.role)
        await signalling.connect_transport(created.transport_id, parameters, ice_parameters=light.ice_credentials)
        endpoint.start()
        await endpoint.connected(_CONNECTS_WITHIN)
        yield created.transport_id, endpoint


def _random(bits: int) -> dict[MediaKind, int]:
    """Random first values, as RFC 3550, section 5.1 wants them."""
    audio, video = random.sample(range(1, 1 << bits), 2)
    return {"audio": audio, "video": video}


@define(eq=False)
class Talker:
    """Sends audio and video until it is stopped.

    ``sent`` counts the packets of each.  ``asked`` counts the requests for key frames.
    """

    signalling: Client
    transport_id: str
    endpoint: LightEndpoint
    video: str
    sent: dict[MediaKind, int] = field(factory=lambda: {"audio": 0, "video": 0})
    asked: int = 0
    producers: list[str] = field(factory=list)
    muted: bool = False
    _ssrcs: dict[MediaKind, int] = field(factory=lambda: _random(31))
    _sequences: dict[MediaKind, int] = field(factory=lambda: _random(15))
    _timestamps: dict[MediaKind, int] = field(factory=lambda: _random(32))
    _key_wanted: bool = True
    _pictures: int = 0

    async def publish(self) -> None:
        codecs: dict[MediaKind, media.RtpCodecParameters] = {"audio": OPUS, "video": VIDEO[self.video]}
        for kind, codec in codecs.items():
            parameters = media.RtpParameters(
                codecs=(codec,), encodings=(media.RtpEncodingParameters(ssrc=self._ssrcs[kind]),)
            )
            source: Source = "microphone" if kind == "audio" else "camera"
            produced = await self.signalling.produce(self.transport_id, kind, parameters, source)
            self.producers.append(produced.producer_id)

    async def run(self, stopped: trio.Event) -> None:
        """Send frames in real time.  A late frame is still sent."""
        due, tick = trio.current_time(), 0
        while not stopped.is_set():
            if not self.muted:
                self._send_frames(picture=tick % 2 == 0)
            tick, due = tick + 1, due + INTERVAL
            await trio.sleep_until(due)

    def _send_frames(self, *, picture: bool) -> None:
        self._read_feedback()
        self._send("audio", OPUS.payload_type, opus_frame(self.sent["audio"]), _AUDIO_STEP)
        if picture:
            key, self._key_wanted = self._key_wanted, False
            frame = video_frame(self.video, self.sent["video"], self._pictures, key=key)
            self._pictures += 1
            self._send("video", VIDEO[self.video].payload_type, frame, _VIDEO_STEP)

    def _send(self, kind: MediaKind, payload_type: int, payloads: list[bytes], step: int) -> None:
        for index, payload in enumerate(payloads):
            marker = kind == "video" and index == len(payloads) - 1
            header = rtp.FIXED_HEADER.pack(
                0x80,
                marker << 7 | payload_type,
                self._sequences[kind] & 0xFFFF,
                self._timestamps[kind] & 0xFFFFFFFF,
                self._ssrcs[kind],
            )
            self.endpoint.send_rtp(header + payload)
            self._sequences[kind] += 1
            self.sent[kind] += 1
        self._timestamps[kind] += step

    def _read_feedback(self) -> None:
        for packet in self.endpoint.transport.rtcp:
            for part in _parts_untrusted(packet):
                if isinstance(part, rtcp.PictureLossIndication | rtcp.FullIntraRequest):
                    self.asked += 1
                    self._key_wanted = True
        self.endpoint.transport.rtcp.clear()


def _parts_untrusted(packet: bytes) -> list[rtcp.RtcpPacket]:
    try:
        return list(rtcp.parse_untrusted(packet))
    except BadPacket:
        return []


@define(eq=False)
class Listener:
    """Consumes everything that the participant ``user`` produces, and counts the packets."""

    signalling: Client
    transport_id: str
    endpoint: LightEndpoint
    user: str
    tallies: dict[MediaKind, PacketTally] = field(factory=dict)
    left: trio.Event = field(factory=trio.Event)
    left_because: str | None = None
    #: Greatest distance between a sender report's clock and the packets, in seconds.
    clock_error: float = 0.0
    _streams: dict[int, tuple[MediaKind, int]] = field(factory=dict)
    _latest: dict[int, tuple[float, int]] = field(factory=dict)
    _offsets: dict[int, float] = field(factory=dict)

    async def follow(self) -> None:
        """Consume new producers, until the participant has left."""
        consumed: set[str] = set()
        async for event in self.signalling.events():
            if not isinstance(event, VoiceState) or event.username != self.user:
                continue
            if event.type == "user_left":
                self.left_because = event.reason
                self.left.set()
                return
            for producer in event.participant.producers:
                if producer.producer_id not in consumed:
                    consumed.add(producer.producer_id)
                    await self._consume(producer.producer_id)

    async def _consume(self, producer_id: str) -> None:
        consumed = await self.signalling.consume(self.transport_id, producer_id)
        ssrc, codec = consumed.rtp_parameters.encodings[0].ssrc, consumed.rtp_parameters.codecs[0]
        assert ssrc is not None, "the gateway promises an SSRC"
        self._streams[ssrc] = consumed.kind, codec.clock_rate
        self.tallies[consumed.kind] = PacketTally(codec.mime_type)
        await self.signalling.resume(consumer_id=consumed.consumer_id)

    async def listen(self) -> None:
        """Count packets and compare reports, until cancelled."""
        transport = self.endpoint.transport
        while True:
            await self.endpoint.until(lambda: transport.rtp or transport.rtcp, seconds=3600)
            packets, transport.rtp = transport.rtp, []
            for packet in packets:
                self._take_untrusted(packet)
            reports, transport.rtcp = transport.rtcp, []
            for report in reports:
                self._compare_clocks_untrusted(report)

    def _take_untrusted(self, packet: bytes) -> None:
        stream = self._streams.get(int.from_bytes(packet[8:12]))
        if stream is not None and (header := self.tallies[stream[0]].take_untrusted(packet)) is not None:
            self._latest[header.ssrc] = trio.current_time(), header.timestamp

    def _compare_clocks_untrusted(self, report: bytes) -> None:
        """Measure how far, in seconds, a sender report has moved from the packets since the stream's first report."""
        now = trio.current_time()
        for part in _parts_untrusted(report):
            if not isinstance(part, rtcp.SenderReport) or part.ssrc not in self._latest:
                continue
            arrived, timestamp = self._latest[part.ssrc]
            if now - arrived > _JUST_NOW:
                continue  # the stream is muted
            ticks = ((timestamp - part.rtp_timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            # The sender's clock may have any epoch, so only changes of the offset count.
            offset = from_ntp(part.ntp) + ticks / self._streams[part.ssrc][1] - arrived
            error = abs(offset - self._offsets.setdefault(part.ssrc, offset))
            self.clock_error = max(self.clock_error, error)

    def problems(self, *, clock: bool) -> list[str]:
        """The problems that show without knowing the sent packets.  With ``clock``, sender reports are checked too."""
        found = []
        if clock and self.clock_error > _FAR:
            found.append(f"sender reports are {self.clock_error:.1f} s away from the packets")
        for kind, tally in self.tallies.items():
            if tally.holes:
                found.append(f"{tally.holes} sequence numbers of {kind} are missing")
            if kind == "video" and tally.numbers and not tally.first_is_key:
                found.append("the video does not begin with a key frame")
        if self.left_because != "left":
            found.append(f"the client left with the reason {self.left_because!r}")
        return found
