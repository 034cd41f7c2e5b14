"""A sender that numbers its packets learns which of them arrived, and when, if it negotiated this.

The decoder here follows draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1, and knows only as much of it as
these tests need.
"""

import struct
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.conformance.whole_gateway import open_gate
from tests.media.memory_network import Client as MediaClient
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp
from tests.session.example_media import opus, vp8
from tools.light.transport import Identity

URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
WIDE_ID = 3
SSRC, AUDIO_SSRC, UNKNOWN = 2001, 1001, 4711
FEEDBACK = {"type": "transport-cc"}
NUMBERS = {"uri": URI, "id": WIDE_ID}
Arrivals = dict[int, float | None]


def numbered(parameters: dict[str, Any], *feedback: dict[str, str], extensions: bool = True) -> dict[str, Any]:
    """The parameters with this feedback and, if wanted, with the header extension."""
    [codec] = parameters["codecs"]
    return {
        **parameters,
        "codecs": [{**codec, "rtcpFeedback": list(feedback)}],
        "headerExtensions": [NUMBERS] if extensions else [],
    }


def packet(wide: int, ssrc: int, sequence: int, payload_type: int) -> bytes:
    extension = bytes([WIDE_ID << 4 | 1]) + wide.to_bytes(2, "big")
    payload = VP8_KEY_FRAME if sequence == 1 else VP8_INTER_FRAME
    return bytes(Rtp(payload_type, sequence, 3000 * sequence, ssrc, payload, True, extension))


def feedback_of(client: MediaClient) -> list[Arrivals]:
    """The packets of feedback since the last call: the time of each number in seconds, or ``None`` if it is missing."""
    compounds, client.transport.rtcp[:] = list(client.transport.rtcp), []
    return [decoded(one) for one in compounds if one[:2] == bytes([0x80 | 15, 205])]


def decoded(feedback: bytes) -> Arrivals:
    _, _, words, _, media_ssrc, base, count, clock = struct.unpack_from("!BBHIIHHI", feedback)
    assert (words + 1) * 4 == len(feedback)
    assert media_ssrc in {SSRC, AUDIO_SSRC}
    statuses: list[int] = []
    at = 20
    while len(statuses) < count:
        (chunk,) = struct.unpack_from("!H", feedback, at)
        at += 2
        if not chunk & 0x8000:
            statuses += [chunk >> 13] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            statuses += [chunk >> 12 - 2 * place & 3 for place in range(7)]
        else:
            statuses += [chunk >> 13 - place & 1 for place in range(14)]
    ticks = 256 * (clock >> 8)
    arrivals: Arrivals = {}
    for number, status in enumerate(statuses[:count], base):
        if status:
            ticks += struct.unpack_from("!h" if status == 2 else "!B", feedback, at)[0]
            at += status
        arrivals[number % 2**16] = ticks / 4000 if status else None
    return arrivals


async def test_a_sender_learns_which_of_its_packets_arrived_and_when(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        sending, sender = await gate.connected(ada, "send", identity)
        camera, microphone = numbered(vp8(), FEEDBACK), numbered(opus(), FEEDBACK)
        await ada.ok("produce", transportId=sending, kind="video", source="camera", rtpParameters=camera)
        await ada.ok("produce", transportId=sending, kind="audio", source="microphone", rtpParameters=microphone)
        sent = [(65535, SSRC, 1, 96), (0, AUDIO_SSRC, 1, 111), (2, SSRC, 3, 96), (3, UNKNOWN, 1, 96)]
        began = trio.current_time()
        for step in sent:
            sender.transport.send_rtp(packet(*step))
            sender.flush()
            await trio.sleep(0.02)
        await trio.sleep(0.2)
        [arrivals] = feedback_of(sender)
        assert list(arrivals) == [65535, 0, 1, 2, 3]
        assert arrivals.pop(1) is None
        first = arrivals[65535]
        assert first is not None
        assert first > began - 0.001
        assert [round(at - first, 2) for at in arrivals.values() if at is not None] == [0, 0.02, 0.04, 0.06]
        await trio.sleep(5)
        assert feedback_of(sender) == []


@pytest.mark.parametrize(
    "parameters",
    [numbered(vp8()), numbered(vp8(), FEEDBACK, extensions=False), numbered(vp8(), {"type": "goog-remb"})],
)
async def test_a_sender_that_negotiated_only_a_part_gets_no_feedback(
    autojump_clock: MockClock, identity: Identity, parameters: dict[str, Any]
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        sending, sender = await gate.connected(ada, "send", identity)
        await ada.ok("produce", transportId=sending, kind="video", source="camera", rtpParameters=parameters)
        for number in range(1, 30):
            sender.transport.send_rtp(packet(number, SSRC, number, 96))
            sender.flush()
        await trio.sleep(1)
        assert feedback_of(sender) == []
