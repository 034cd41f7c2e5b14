"""Flowing streams: pausing, requests for key frames, layers, speakers and statistics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
import trio
from attrs import define
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conformance.whole_gateway import Gate, find, open_gate
from tests.media.memory_network import Client as MediaClient
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, read
from tests.session.example_media import CAPABILITIES, opus, vp8
from tests.session.memory_gateway import RawClient, camera, microphone
from tools.light.transport import Identity
from tools.light.wire import rtcp

AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"


@define
class Call:
    """Connect the transports of Ada, who sends, and of Ben, who receives. Nothing is produced yet."""

    gate: Gate
    ada: RawClient
    ben: RawClient
    sending: str
    receiving: str
    sender: MediaClient
    receiver: MediaClient
    sequence: int = 0

    async def consume(self, producer: str, **options: Any) -> Any:
        return await self.ben.ok("consume", transportId=self.receiving, producerId=producer, **options)

    async def send(self, ssrc: int, payload: bytes, payload_type: int = 96, extension: bytes | None = None) -> None:
        """Send one packet of Ada's, which is a whole new frame."""
        self.sequence += 1
        packet = Rtp(payload_type, self.sequence, 3000 * self.sequence, ssrc, payload, True, extension)
        self.sender.transport.send_rtp(bytes(packet))
        self.sender.flush()
        await wait_all_tasks_blocked()

    def received(self) -> list[Rtp]:
        """Return the packets that Ben got since the last call."""
        packets = [read(packet) for packet in self.receiver.transport.rtp]
        self.receiver.transport.rtp.clear()
        return packets

    def asked(self) -> list[int]:
        """Return the SSRCs for which Ada got requests for a key frame since the last call."""
        asked = []
        for compound in self.sender.transport.rtcp:
            for packet in rtcp.parse_untrusted(compound):
                if isinstance(packet, rtcp.PictureLossIndication):
                    asked.append(packet.media_ssrc)
                elif isinstance(packet, rtcp.FullIntraRequest):
                    asked += [entry.ssrc for entry in packet.entries]
        self.sender.transport.rtcp.clear()
        return asked


@asynccontextmanager
async def open_call(identity: Identity, **settings: Any) -> AsyncIterator[Call]:
    async with open_gate(**settings) as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending, sender = await gate.connected(ada, "send", identity)
        receiving, receiver = await gate.connected(ben, "receive", identity)
        yield Call(gate, ada, ben, sending, receiving, sender, receiver)


# Pausing and closing.


async def test_packets_are_dropped_before_produce_and_flow_after_it(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        await call.send(1001, b"too early", 111)
        voice = await microphone(call.ada, call.sending, 1001)
        consumed = await call.consume(voice, paused=False)
        await call.send(1001, b"in time", 111)
        (packet,) = call.received()
        assert packet.payload == b"in time"
        assert packet.ssrc == consumed["rtpParameters"]["encodings"][0]["ssrc"]
        assert packet.payload_type == consumed["rtpParameters"]["codecs"][0]["payloadType"]


@pytest.mark.parametrize("paused", [None, True, False])
async def test_a_consumer_starts_paused_unless_it_says_otherwise(
    autojump_clock: MockClock, identity: Identity, paused: bool | None
) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        consumed = await call.consume(voice, **({} if paused is None else {"paused": paused}))
        await call.send(1001, b"one", 111)
        assert len(call.received()) == (paused is False)
        await call.ben.ok("resume", consumerId=consumed["consumerId"])
        await call.send(1001, b"two", 111)
        assert len(call.received()) == 1
        await call.ben.ok("pause", consumerId=consumed["consumerId"])
        await call.send(1001, b"three", 111)
        assert call.received() == []
        # no further event of this type
        assert [frame["type"] for frame in await call.ada.take_all()] == ["voice_state"]


async def test_a_paused_producer_does_not_flow_and_the_owners_of_its_consumers_are_notified(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        consumed = await call.consume(voice, paused=False)
        await call.ben.take_all()
        for kind, flows in [("pause", 0), ("resume", 1)]:
            await call.ada.ok(kind, producerId=voice)
            seen = await find(call.ben, "consumer_updated")
            expected = {"consumerId": consumed["consumerId"], "producerPaused": not flows, "layers": None}
            assert seen == expected | {"starved": False}
            await call.send(1001, b"packet", 111)
            assert len(call.received()) == flows


async def test_a_producer_may_begin_paused(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001, paused=True)
        consumed = await call.consume(voice, paused=False)
        assert consumed["producerPaused"] is True
        await call.send(1001, b"packet", 111)
        assert call.received() == []


async def test_a_closed_stream_stops_and_its_owner_is_notified_unless_it_closed_it(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        first = await call.consume(voice, paused=False)
        other = await microphone(call.ada, call.sending, 1002)
        second = await call.consume(other, paused=False)
        await call.ben.take_all()
        await call.ben.ok("close", consumerId=first["consumerId"])
        await call.send(1001, b"packet", 111)
        await call.send(1002, b"packet", 111)
        assert [packet.ssrc for packet in call.received()] == [second["rtpParameters"]["encodings"][0]["ssrc"]]
        assert await call.ben.take_all() == []
        await call.ada.ok("close", producerId=other)
        closed = await call.ben.event("consumer_closed")
        assert closed == {"consumerId": second["consumerId"], "reason": "producer_closed"}
        await call.send(1002, b"packet", 111)
        assert call.received() == []


async def test_a_transport_has_one_consumer_of_a_producer_and_may_have_another_after_its_close(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        first = await call.consume(voice, paused=False)
        for paused in (True, False):
            asked = {"transportId": call.receiving, "producerId": voice, "paused": paused}
            assert await call.ben.error("consume", **asked) == "conflict"
        await call.send(1001, b"one copy", 111)
        assert len(call.received()) == 1
        await call.ben.ok("close", consumerId=first["consumerId"])
        await call.consume(voice, paused=False)
        await call.send(1001, b"one copy", 111)
        assert len(call.received()) == 1


@pytest.mark.parametrize("whose", ["its own", "another member's"])
async def test_a_client_that_asks_for_1024_copies_of_a_stream_gets_one(
    autojump_clock: MockClock, identity: Identity, whose: str
) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        client, receiving, receiver = call.ben, call.receiving, call.receiver
        if whose == "its own":
            client = call.ada
            receiving, receiver = await call.gate.connected(client, "receive", identity)
        asked = {"transportId": receiving, "producerId": voice, "paused": False}
        await client.ok("consume", **asked)
        refused = [await client.error("consume", **asked) for _ in range(1023)]
        assert set(refused) == {"conflict"}
        # A client cannot evade this with more transports, because it has one for each direction.
        assert await client.error("create_transport", direction="receive", rtpCapabilities=CAPABILITIES) == "conflict"
        assert call.gate.router.counts().consumers == 1
        receiver.transport.rtp.clear()
        await call.send(1001, b"one packet", 111)
        assert len(receiver.transport.rtp) == 1


async def test_the_consumers_of_a_leaving_participant_close_before_user_left(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        consumed = await call.consume(voice, paused=False)
        await call.ben.take_all()
        await call.ada.ok("leave")
        closed, left = await call.ben.take_all()
        assert closed["data"] == {"consumerId": consumed["consumerId"], "reason": "user_left"}
        assert left["data"]["type"] == "user_left"


# Key frames.

Last = Literal["resume", "producer", "transport"]


@pytest.mark.parametrize("last", ["resume", "producer", "transport"])
async def test_a_key_frame_is_requested_as_soon_as_video_can_flow(
    autojump_clock: MockClock, identity: Identity, last: Last
) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        sending, sender = await gate.connected(ada, "send", identity)
        picture = await camera(ada, sending, 2001, paused=last == "producer")
        created = await ben.ok("create_transport", direction="receive", rtpCapabilities=CAPABILITIES)
        receiving = created["transportId"]
        receiver = gate.media_client(created, identity)
        call = Call(gate, ada, ben, sending, receiving, sender, receiver)
        await call.send(2001, VP8_KEY_FRAME)
        consumed = await call.consume(picture)

        async def resume_consumer() -> None:
            await ben.ok("resume", consumerId=consumed["consumerId"])

        async def resume_producer() -> None:
            await ada.ok("resume", producerId=picture)

        async def connect() -> None:
            parameters = [{"algorithm": "sha-256", "value": receiver.transport.dtls_parameters.fingerprints[0].value}]
            given = {"role": "client", "fingerprints": parameters}
            await ben.ok("connect_transport", transportId=receiving, dtlsParameters=given)
            gate.nursery.start_soon(receiver.run)
            await find(ben, "transport_state")

        steps = {"resume": resume_consumer, "producer": resume_producer, "transport": connect}
        for step in [name for name in steps if name != last]:
            if step != "producer":
                await steps[step]()
        await wait_all_tasks_blocked()
        assert call.asked() == []
        await steps[last]()
        await wait_all_tasks_blocked()
        assert call.asked() == [2001]
        # No packet of the picture is forwarded before the key frame.
        await call.send(2001, VP8_INTER_FRAME)
        assert call.received() == []
        await call.send(2001, VP8_KEY_FRAME)
        assert len(call.received()) == 1


async def test_no_key_frame_is_requested_from_audio(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        await call.send(1001, b"packet", 111)
        await call.consume(voice, paused=False)
        await trio.sleep(3)
        assert call.asked() == []


# Layers.


async def simulcast(call: Call) -> str:
    parameters = {**vp8(), "encodings": [{"ssrc": 2001}, {"ssrc": 2002}]}
    asked = {"kind": "video", "rtpParameters": parameters, "source": "camera"}
    return str((await call.ada.ok("produce", transportId=call.sending, **asked))["producerId"])


async def test_layers_are_reported_and_limited_and_each_switch_requests_a_key_frame(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        picture = await simulcast(call)
        for ssrc in (2001, 2002):
            await call.send(ssrc, VP8_KEY_FRAME)
        consumer = (await call.consume(picture, paused=False))["consumerId"]
        assert call.asked() == [2002]
        await call.send(2002, VP8_KEY_FRAME)
        seen = await find(call.ben, "consumer_updated")
        expected = {"consumerId": consumer, "producerPaused": False, "layers": {"spatial": 1, "temporal": 0}}
        assert seen == expected | {"starved": False}

        await call.ben.ok("set_layers", consumerId=consumer, spatial=0, temporal=0)
        assert call.asked() == [2001]
        await call.send(2001, VP8_KEY_FRAME)
        assert (await find(call.ben, "consumer_updated"))["layers"] == {"spatial": 0, "temporal": 0}
        call.received()
        await call.send(2002, VP8_KEY_FRAME)
        assert call.received() == []

        # Numbers above the highest layer mean the highest layer.
        await trio.sleep(1)
        for ssrc in (2001, 2002):
            await call.send(ssrc, VP8_INTER_FRAME)
        await call.ben.ok("set_layers", consumerId=consumer, spatial=255, temporal=255)
        assert call.asked() == [2002]
        await call.send(2002, VP8_KEY_FRAME)
        assert (await find(call.ben, "consumer_updated"))["layers"]["spatial"] == 1


# Speakers.


async def test_active_speakers_lists_the_loudest_first(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        calls = []
        for ssrc, client in ((1001, ada), (1002, ben)):
            sending, media = await gate.connected(client, "send", identity)
            parameters = {**opus(ssrc), "headerExtensions": [{"uri": AUDIO_LEVEL, "id": 1}]}
            asked = {"kind": "audio", "rtpParameters": parameters, "source": "microphone"}
            await client.ok("produce", transportId=sending, **asked)
            calls.append(Call(gate, client, client, sending, "", media, media))
        levels = {1001: 30, 1002: 10}  # in -dBov, so that a higher value is softer

        async def speak() -> None:
            while True:
                for ssrc, call in zip((1001, 1002), calls, strict=True):
                    if levels[ssrc] < 127:
                        await call.send(ssrc, b"voice", 111, bytes([0x10, 0x80 | levels[ssrc]]))
                await trio.sleep(0.02)

        gate.nursery.start_soon(speak)
        begun = trio.current_time()
        for client in (ada, ben):
            while (await find(client, "active_speakers")) != {"userIds": ["ben", "ada"]}:
                pass
        assert trio.current_time() - begun < 3
        levels.update({1001: 5, 1002: 127})
        while (await find(ada, "active_speakers")) != {"userIds": ["ada"]}:
            pass
        levels[1001] = 127
        while (await find(ada, "active_speakers")) != {"userIds": []}:
            pass


# Statistics.


async def test_stats_has_every_field(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending, 1001)
        picture = await simulcast(call)
        consumer = (await call.consume(voice, paused=False))["consumerId"]
        for _ in range(3):
            await call.send(1001, b"x" * 50, 111)
        sent = await call.ada.ok("stats")
        assert set(sent) == {"transports", "producers", "consumers"}
        assert sent["transports"] == [{"transportId": call.sending, "direction": "send", "state": "connected"}]
        assert sent["consumers"] == []
        audio, video = sent["producers"]
        assert set(audio) == {"producerId", "kind", "source", "paused", "encodings"}
        assert (audio["producerId"], audio["kind"], audio["source"]) == (voice, "audio", "microphone")
        (encoding,) = audio["encodings"]
        assert encoding.pop("jitterMs") >= 0
        unrepaired = {"requested": 0, "repaired": 0, "givenUp": 0}
        assert encoding == {"packets": 3, "bytes": 3 * 62, "lost": 0, "keyFrames": 0, "ssrc": 1001, **unrepaired}
        assert (video["producerId"], [one["packets"] for one in video["encodings"]]) == (picture, [0, 0])
        got = await call.ben.ok("stats")
        (entry,) = got["consumers"]
        assert {key: entry[key] for key in ("consumerId", "producerId", "kind", "paused", "packets")} == {
            "consumerId": consumer,
            "producerId": voice,
            "kind": "audio",
            "paused": False,
            "packets": 3,
        }
        assert entry["bytes"] >= 3 * 62
        # Values without a measurement are left out.
        not_resent = {"requested": 0, "resent": 0, "notResent": 0, "redundant": 0}
        assert set(entry) == {"consumerId", "producerId", "kind", "paused", "packets", "bytes", *not_resent}
        assert {name: entry[name] for name in not_resent} == not_resent
        ssrc = read(call.receiver.transport.rtp[0]).ssrc
        report = rtcp.ReportBlock(ssrc, 64, 1, 3, 0, 0, 0)
        call.receiver.transport.send_rtcp(rtcp.encode([rtcp.ReceiverReport(7, (report,))]))
        call.receiver.flush()
        await wait_all_tasks_blocked()
        (entry,) = (await call.ben.ok("stats"))["consumers"]
        assert entry["fractionLost"] == 0.25
