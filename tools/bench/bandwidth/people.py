"""Light clients that fill a meeting: they send recorded simulcast, speak by turns, and watch the others."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Never

import trio
from attrs import define, field

from protocol.client import RequestError
from protocol.events import VoiceState
from protocol.requests import SetLayers
from protocol.vocabulary import Participant
from tools.bench.calls.server import FRAMES_A_SECOND
from tools.light import Identity, Layer, LightClient, PacketMeter, Poller, open_light_client
from tools.light.encoders import encode_audio, encode_simulcast
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop

#: The bitrate of a camera's best encoding, in bit/s.
BITRATE: Final = 1_200_000
#: Seconds for which a person speaks, once in each round of the meeting.
TURN_SECONDS: Final = 2.0
#: Frames of sound from one packet to the next while a person is silent, as Opus does with DTX.
_SILENT_FRAMES: Final = 20
_BEST: Final = 255


@define(eq=False)
class LightPerson:
    """One light client in the meeting.

    ``layer`` is the best encoding that it asks for.  None means that it only sends.  ``turn`` is this person's place
    among ``people`` who speak by turns.  None means that it sends no sound.
    """

    client: LightClient
    meter: PacketMeter
    layer: int | None
    turn: int | None
    people: int
    tasks: trio.Nursery
    rng: random.Random
    _senders: list[LoopSender] = field(factory=list)
    _wanted: set[str] = field(factory=set)

    def receive_rtcp_untrusted(self, packet: bytes) -> None:
        for sender in self._senders:
            sender.receive_rtcp_untrusted(packet)

    async def publish(self, camera: Sequence[MediaLoop], sound: MediaLoop) -> None:
        """Send the camera in all its encodings, and sound."""
        endpoint = await self.client.transport("send")
        encodings = [self._sender(loop) for loop in camera]
        endpoint.on_rtcp = self.receive_rtcp_untrusted
        layers = [Layer(each.ssrc, round(each.loop.bitrate)) for each in encodings]
        await self.client.publish_layers("video", layers)
        for sender in encodings:
            self.tasks.start_soon(sender.run)
        if self.turn is not None:
            voice = self._sender(sound)
            await self.client.publish("audio", voice.ssrc)
            self.tasks.start_soon(self._speak, voice)

    def _sender(self, loop: MediaLoop) -> LoopSender:
        ssrc, name = self.rng.randrange(1, 1 << 31), self.client.joined.user_id
        endpoint = self.client.endpoints["send"]
        sender = LoopSender(loop, endpoint, ssrc, self.rng, name, wide_id=self.client.wide_id)
        self._senders.append(sender)
        return sender

    async def _speak(self, voice: LoopSender) -> Never:
        """Speak once in each round, and send a packet now and then in between."""
        interval, number, begun = 1 / voice.loop.rate, 0, trio.current_time()
        while True:
            speaker = int(number * interval / TURN_SECONDS) % self.people
            skipped = 0 if speaker == self.turn else _SILENT_FRAMES - 1
            voice.send_frame()
            voice.leave_out(skipped)
            number += 1 + skipped
            await trio.sleep_until(begun + number * interval)

    async def watch(self) -> None:
        """Receive everybody's streams, also of those who come later."""
        for participant in self.client.joined.participants:
            self._subscribe_to_all(participant)
        async for event in self.client.signalling.events():
            if isinstance(event, VoiceState) and event.type != "user_left":
                self._subscribe_to_all(event.participant)

    def _subscribe_to_all(self, participant: Participant) -> None:
        if self.layer is None or participant.user_id == self.client.joined.user_id:
            return
        for producer in participant.producers:
            if producer.producer_id not in self._wanted:
                self._wanted.add(producer.producer_id)
                self.tasks.start_soon(self._subscribe, producer.producer_id)

    async def _subscribe(self, producer_id: str) -> None:
        try:
            consumer_id = await self.client.subscribe(producer_id)
        except RequestError:
            return  # the producer has closed meanwhile
        await self._ask(consumer_id)

    async def _ask(self, consumer_id: str) -> None:
        if self.layer is not None and self.client.streams[consumer_id].simulcast:
            await self.client.signalling.request(SetLayers(consumer_id, self.layer, _BEST))

    async def ask_for(self, layer: int) -> None:
        """Ask for another encoding of every stream."""
        self.layer = layer
        for consumer_id in list(self.client.streams):
            await self._ask(consumer_id)

    def received_bytes(self) -> int:
        return self.meter.counts("video").bytes

    def lost(self) -> int:
        """Packets of all streams that have not come."""
        return self.meter.counts("video").lost + self.meter.counts("audio").lost


@define(eq=False)
class Meeting:
    """A channel of a gateway.  :func:`open_meeting` makes it."""

    url: str
    channel_id: str
    _tasks: trio.Nursery
    _poller: Poller
    _camera: Sequence[MediaLoop]
    _sound: MediaLoop
    _identity: Identity = field(factory=Identity.new)
    people: list[LightPerson] = field(factory=list)

    async def enter(self, layer: int | None, turn: int | None = None, people: int = 1, *, sends: bool = True) -> None:
        """Let another light client join, which stays until the meeting ends."""
        await self._tasks.start(self.stay, layer, turn, people, sends)

    async def stay(
        self, layer: int | None, turn: int | None, people: int, sends: bool, *, task_status: trio.TaskStatus[None]
    ) -> None:
        number, meter = len(self.people), PacketMeter()
        name = f"light-{number}"
        async with (
            open_light_client(
                self.url,
                self.channel_id,
                name,
                self._identity,
                user_id=name,
                poller=self._poller,
                packet_meter=meter,
                feedback=True,
            ) as client,
            trio.open_nursery() as tasks,
        ):
            person = LightPerson(client, meter, layer, turn, people, tasks, random.Random(number))
            self.people.append(person)
            if sends:
                await person.publish(self._camera, self._sound)
            tasks.start_soon(person.watch)
            task_status.started()


@asynccontextmanager
async def open_meeting(url: str, channel_id: str) -> AsyncIterator[Meeting]:
    """Encode the media, and keep a meeting at a gateway's WebSocket for as long as the block runs."""
    camera = await trio.to_thread.run_sync(encode_simulcast, BITRATE, FRAMES_A_SECOND)
    sound = await trio.to_thread.run_sync(encode_audio)
    async with trio.open_nursery() as tasks:
        poller = Poller()
        tasks.start_soon(poller.run)
        yield Meeting(url, channel_id, tasks, poller, camera, sound)
        tasks.cancel_scope.cancel()
