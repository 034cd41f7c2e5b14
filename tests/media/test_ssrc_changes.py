"""A sender that goes on under another SSRC (RFC 8843 section 9.2)."""

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from sfu.dataplane.interface import DropReason
from sfu.errors import Conflict
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME, Rtp, opus, vp8
from tests.media.test_reports import open_call, requests, take
from tools.light.transport import Identity
from tools.light.wire import rtcp

MID_ID = 4
MID_0, MID_1 = (bytes([MID_ID << 4]) + name for name in (b"0", b"1"))


async def test_a_stream_that_changes_its_ssrc_is_asked_for_a_key_frame_under_the_new_one(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        consumer = call.consume(call.ada.produce(call.sending.id, "video", vp8(0x1234)))
        call.send(0x1234, 0, 96, VP8_KEY_FRAME)
        await trio.sleep(5)
        take(call.sender)
        moved = Rtp(96, 0, 0, 0x9999, VP8_INTER_FRAME, extension=MID_0)
        call.sender.transport.send_rtp(bytes(moved))
        call.sender.flush()
        await trio.sleep(0.1)
        [request] = requests(take(call.sender))
        assert isinstance(request, rtcp.PictureLossIndication)
        assert request.media_ssrc == 0x9999
        call.send(0x9999, 1, 96, VP8_KEY_FRAME)
        await trio.testing.wait_all_tasks_blocked()
        assert consumer.stats().packets == 2


async def test_key_frame_requests_for_an_ssrc_go_to_the_stream_that_took_it_over(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        robbed = call.ada.produce(call.sending.id, "video", vp8(0x1234))
        taker = call.ada.produce(call.sending.id, "video", evolve(vp8(0x5678), mid="1"))
        call.consume(robbed), call.consume(taker)
        call.send(0x1234, 0, 96, VP8_KEY_FRAME)
        await trio.sleep(5)
        take(call.sender)
        call.sender.transport.send_rtp(bytes(Rtp(96, 1, 0, 0x1234, VP8_INTER_FRAME, extension=MID_1)))
        call.sender.flush()
        await trio.sleep(5)
        assert (robbed.ssrcs, taker.ssrcs) == ([None], [0x1234])
        assert not robbed.can_be_asked(0)
        assert requests(take(call.sender))


async def test_two_producers_of_a_transport_cannot_share_a_mid(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        first = call.ada.produce(call.sending.id, "audio", opus(1))
        with pytest.raises(Conflict, match="MID"):
            call.ada.produce(call.sending.id, "audio", opus(2, mid="a1"))
        call.ada.close_producer(first.id)
        call.ada.produce(call.sending.id, "audio", opus(2, mid="a1"))


async def test_a_malformed_part_beside_a_key_frame_request_does_not_hide_it(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        consumer = call.consume(call.ada.produce(call.sending.id, "video", vp8(1)))
        call.send(1, 0, 96, VP8_KEY_FRAME)
        await trio.sleep(5)
        take(call.sender)
        bad = bytes.fromhex("81ca0003 cafebabe 01046361 66e90000")
        compound = rtcp.encode([*rtcp.receiver_reports(1, ())]) + bad
        compound += rtcp.encode([rtcp.PictureLossIndication(1, consumer.ssrc)])
        call.receiver.transport.send_rtcp(compound)
        call.receiver.flush()
        await trio.sleep(0.1)
        assert len(requests(take(call.sender))) == 1
        assert call.network.plane.totals().drops[DropReason.MALFORMED_RTCP] == 1
