"""Receive all media of a channel, and print every second how many packets came and how many were lost.

    python count_packets.py ws://127.0.0.1:8080/ws kitchen

The light client of tools.light has real ICE, DTLS and SRTP, but no codecs. It counts packets and decodes nothing.
"""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import trio
from attrs import define, field

from protocol import ConsumerClosed, ErrorCode, Participant, RequestError, VoiceState
from sfu.wire.certificate import generate_certificate
from tools.light import Identity, LightClient, PacketMeter, Poller, open_light_client


@define
class Meter:
    """A member that receives. ``labels`` maps consumer ids to names, and ``taken`` holds producer ids."""

    listener: LightClient
    labels: dict[str, str] = field(factory=dict)
    taken: set[str] = field(factory=set)

    async def follow(self) -> None:
        """Receive the present streams and all later ones."""
        await self.subscribe(self.listener.joined.participants)
        async for event in self.listener.signalling.events():
            match event:
                case VoiceState(participant=person):
                    await self.subscribe([person])
                case ConsumerClosed(consumer_id=consumer_id):
                    self.listener.forget(consumer_id)

    async def subscribe(self, people: Iterable[Participant]) -> None:
        """Consume each stream of these people once."""
        for person in people:
            for producer in person.producers:
                if person.user_id != self.listener.joined.user_id and producer.producer_id not in self.taken:
                    self.taken.add(producer.producer_id)
                    await self.consume(producer.producer_id, f"{person.username}'s {producer.source}")

    async def consume(self, producer_id: str, label: str) -> None:
        try:
            consumer_id = await self.listener.subscribe(producer_id)
        except RequestError as error:
            if error.code is not ErrorCode.NOT_FOUND:  # the producer closed while we asked
                raise
        else:
            self.labels[consumer_id] = label

    async def report(self) -> None:
        """Print a line for each stream, once a second."""
        while True:
            await trio.sleep(1)
            for consumer_id, stream in self.listener.streams.items():
                label = self.labels.get(consumer_id, "a new stream")
                print(f"{label}: {stream.counts.packets} packets, {stream.counts.lost} lost", flush=True)


async def main(url: str, channel: str) -> None:
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    async with trio.open_nursery() as nursery:
        poller = Poller()
        nursery.start_soon(poller.run)
        opening = open_light_client(url, channel, "Meter", identity, poller=poller, packet_meter=PacketMeter())
        async with opening as listener:
            meter = Meter(listener)
            nursery.start_soon(meter.report)
            await meter.follow()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
