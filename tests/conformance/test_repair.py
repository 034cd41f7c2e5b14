"""Lost packets come again, as negotiated: from senders through the gateway, and from the gateway to receivers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.conformance.whole_gateway import open_gate
from tests.media.memory_network import Client as MediaClient
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, read
from tests.session.example_media import vp8
from tests.session.memory_gateway import RawClient
from tools.light.retransmission import RtxSender, read_retransmission_untrusted
from tools.light.transport import Identity
from tools.light.wire import rtcp

SSRC, RTX_SSRC = 2001, 3001
MID, RID, REPAIRED_RID = 1, 2, 3
URIS = {
    "urn:ietf:params:rtp-hdrext:sdes:mid": MID,
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": RID,
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id": REPAIRED_RID,
}
RTX = {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": {"apt": 96}}
FEEDBACK = [{"type": "nack"}, {"type": "nack", "parameter": "pli"}]


def camera(encoding: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a camera that answers NACKs with RTX."""
    [codec] = vp8()["codecs"]
    return {
        **vp8(),
        "mid": "0",
        "codecs": [{**codec, "rtcpFeedback": FEEDBACK}, RTX],
        "encodings": [encoding],
        "headerExtensions": [{"uri": uri, "id": number} for uri, number in URIS.items()],
    }


@define
class Call:
    """Ada's camera and Ben's screen, whose consumer flows.  ``parameters`` are the consumer's parameters."""

    ada: RawClient
    ben: RawClient
    sender: MediaClient
    receiver: MediaClient
    parameters: Any
    extension: bytes | None = None
    sent: dict[int, bytes] = field(factory=dict)

    @property
    def ssrc(self) -> int:
        return int(self.parameters["encodings"][0]["ssrc"])

    async def send(self, sequence: int, *, lost: bool = False) -> None:
        """Send one frame in one packet.  The network may lose it."""
        payload = (VP8_KEY_FRAME if sequence == 1 else VP8_INTER_FRAME) + bytes([sequence])
        packet = bytes(Rtp(96, sequence, 3000 * sequence, SSRC, payload, True, self.extension))
        self.sent[sequence] = packet
        if not lost:
            await self.transmit(packet)

    async def transmit(self, packet: bytes) -> None:
        self.sender.transport.send_rtp(packet)
        self.sender.flush()
        await wait_all_tasks_blocked()

    def received(self) -> list[Rtp]:
        """The packets that Ben got since the last call."""
        packets = [read(packet) for packet in self.receiver.transport.rtp]
        self.receiver.transport.rtp.clear()
        return packets

    def requested(self) -> list[tuple[int, int]]:
        """The SSRCs and numbers of the packets that the gateway asked Ada for since the last call."""
        compounds, self.sender.transport.rtcp[:] = list(self.sender.transport.rtcp), []
        packets = [packet for compound in compounds for packet in rtcp.parse_untrusted(compound)]
        nacks = [packet for packet in packets if isinstance(packet, rtcp.Nack)]
        return [(nack.media_ssrc, number) for nack in nacks for number in nack.numbers]

    async def request(self, *numbers: int) -> None:
        """Ben asks for these packets of the consumer's stream."""
        nack = rtcp.Nack(1, self.ssrc, numbers)
        self.receiver.transport.send_rtcp(rtcp.encode([*rtcp.receiver_reports(1, ()), nack]))
        self.receiver.flush()
        await wait_all_tasks_blocked()


@asynccontextmanager
async def open_call(identity: Identity, parameters: dict[str, Any], *, has_rtx: bool = True) -> AsyncIterator[Call]:
    async with open_gate() as gate:
        ada, ben = await gate.joined("ada", "ben")
        capabilities = (await (await gate.connect()).join("cy"))["routerRtpCapabilities"]
        if not has_rtx:
            capabilities["codecs"] = [codec for codec in capabilities["codecs"] if codec["mimeType"] != "video/rtx"]
        sending, sender = await gate.connected(ada, "send", identity)
        receiving, receiver = await gate.connected(ben, "receive", identity)
        asked = {"kind": "video", "rtpParameters": parameters, "source": "camera"}
        producer = (await ada.ok("produce", transportId=sending, **asked))["producerId"]
        consumed = await ben.ok(
            "consume", transportId=receiving, producerId=producer, rtpCapabilities=capabilities, paused=False
        )
        yield Call(ada, ben, sender, receiver, consumed["rtpParameters"])


async def test_a_receiver_gets_a_lost_packet_again_as_negotiated(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity, camera({"ssrc": SSRC, "rtx": {"ssrc": RTX_SSRC}})) as call:
        for sequence in range(1, 6):
            await call.send(sequence)
        first = call.received()
        assert [packet.ssrc for packet in first] == [call.ssrc] * 5
        await call.request(first[2].sequence)
        (again,) = call.received()
        codec, rtx = call.parameters["codecs"]
        assert (again.ssrc, again.payload_type) == (call.parameters["encodings"][0]["rtx"]["ssrc"], rtx["payloadType"])
        assert rtx["parameters"]["apt"] == codec["payloadType"] == first[2].payload_type
        repeated = read_retransmission_untrusted(bytes(again))
        assert repeated is not None
        assert (repeated.number, repeated.payload) == (first[2].sequence, first[2].payload)
        assert (again.timestamp, again.marker) == (first[2].timestamp, first[2].marker)
        (entry,) = (await call.ben.ok("stats"))["consumers"]
        assert (entry["requested"], entry["resent"], entry["notResent"], entry["packets"]) == (1, 1, 0, 5)
        await call.request((first[4].sequence + 5) % 2**16)
        assert call.received() == []
        (entry,) = (await call.ben.ok("stats"))["consumers"]
        assert (entry["requested"], entry["resent"], entry["notResent"], entry["packets"]) == (2, 1, 1, 5)


async def test_a_receiver_without_rtx_gets_nothing_again(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity, camera({"ssrc": SSRC, "rtx": {"ssrc": RTX_SSRC}}), has_rtx=False) as call:
        for sequence in range(1, 4):
            await call.send(sequence)
        (lost, *_) = call.received()
        await call.request(lost.sequence)
        assert call.received() == []
        assert [codec["mimeType"] for codec in call.parameters["codecs"]] == ["video/VP8"]


BY_NAME = bytes([MID << 4]) + b"0" + bytes([RID << 4]) + b"h"
AGAIN_BY_NAME = ((MID, b"0"), (REPAIRED_RID, b"h"))


@pytest.mark.parametrize(
    ("encoding", "extension", "rtx"),
    [
        ({"ssrc": SSRC, "rtx": {"ssrc": RTX_SSRC}}, None, RtxSender(RTX_SSRC, 97, 1)),
        ({"rid": "h"}, BY_NAME, RtxSender(RTX_SSRC, 97, 1, AGAIN_BY_NAME)),
    ],
    ids=["announced SSRC", "repaired RID"],
)
async def test_a_packet_that_a_sender_lost_comes_again_and_takes_its_place(
    autojump_clock: MockClock, identity: Identity, encoding: dict[str, Any], extension: bytes | None, rtx: RtxSender
) -> None:
    async with open_call(identity, camera(encoding)) as call:
        call.extension = extension
        for sequence in range(1, 6):
            await call.send(sequence, lost=sequence == 3)
        await trio.sleep(0.02)
        assert call.requested() == [(SSRC, 3)]
        await trio.sleep(0.05)
        await call.transmit(rtx.wrap(call.sent[3]))
        packets = call.received()
        assert [packet.payload[-1] for packet in packets] == [1, 2, 4, 5, 3]
        begun = packets[0].sequence
        assert [(packet.sequence - begun) % 2**16 for packet in packets] == [0, 1, 3, 4, 2]
        await trio.sleep(2)
        assert call.requested() == []
        (entry,) = (await call.ada.ok("stats"))["producers"][0]["encodings"]
        assert (entry["requested"], entry["repaired"], entry["givenUp"]) == (1, 1, 0)
        assert 40 < entry["roundTripMs"] < 100


async def test_a_packet_that_never_comes_again_is_given_up(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity, camera({"ssrc": SSRC, "rtx": {"ssrc": RTX_SSRC}})) as call:
        for sequence in range(1, 6):
            await call.send(sequence, lost=sequence == 3)
        await trio.sleep(5)
        requests = call.requested()
        assert set(requests) == {(SSRC, 3)}
        assert 2 <= len(requests) <= 6
        (entry,) = (await call.ada.ok("stats"))["producers"][0]["encodings"]
        assert (entry["requested"], entry["repaired"], entry["givenUp"]) == (1, 0, 1)
        assert "roundTripMs" not in entry


async def test_a_sender_that_takes_no_nack_gets_none(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity, {**vp8(SSRC), "mid": "0"}) as call:
        for sequence in range(1, 6):
            await call.send(sequence, lost=sequence == 3)
        await trio.sleep(5)
        assert call.requested() == []
