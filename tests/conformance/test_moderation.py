"""Moderation with media: nothing of a muted stream leaves the gateway, nothing reaches a deafened member, and a channel
ends in order."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import protocol.client
from gateway.channel.moderation import ADMIN
from protocol import ChannelState, ErrorCode, Participant, RequestError, VoiceState
from protocol.client import Client, ConnectionClosed
from protocol.declarations import Event
from tests.conformance.test_streams import open_call
from tests.conformance.whole_gateway import closing, open_gate
from tests.identity.made_up_keys import SECRET, sign, write_key
from tests.media.rtp import VP8_INTER_FRAME, VP8_KEY_FRAME
from tests.session.memory_gateway import TODAY, camera, microphone
from tools.light.transport import Identity

OPUS = 111


async def test_nothing_of_a_muted_stream_leaves_the_gateway(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending)
        consumer = (await call.consume(voice, paused=False))["consumerId"]
        await call.send(1001, b"heard", OPUS)
        assert [packet.payload for packet in call.received()] == [b"heard"]
        moderation = call.gate.server.gateway.channels.moderation
        moderation.mute("lobby", "ada", "microphone", by=ADMIN)
        await call.send(1001, b"secret", OPUS)
        # Neither the owner nor the receiver can make it flow.
        assert await call.ada.error("resume", producerId=voice) == "forbidden"
        await call.ben.ok("resume", consumerId=consumer)
        await call.send(1001, b"secret", OPUS)
        await call.ada.ok("close", producerId=voice)
        again = await microphone(call.ada, call.sending, 1002)
        await call.consume(again, paused=False)
        await call.send(1002, b"secret", OPUS)
        assert call.received() == []
        moderation.unmute("lobby", "ada", "microphone", by=ADMIN)
        await call.send(1002, b"secret", OPUS)
        assert call.received() == []
        await call.ada.ok("resume", producerId=again)
        await call.send(1002, b"heard", OPUS)
        assert [packet.payload for packet in call.received()] == [b"heard"]


async def test_nothing_reaches_a_deafened_member(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending)
        consumer = (await call.consume(voice, paused=False))["consumerId"]
        await call.send(1001, b"heard", OPUS)
        assert [packet.payload for packet in call.received()] == [b"heard"]
        moderation = call.gate.server.gateway.channels.moderation
        moderation.deafen("lobby", "ben", by=ADMIN)
        await call.send(1001, b"secret", OPUS)
        # Neither the sender nor the receiver can make it flow.
        await call.ben.ok("pause", consumerId=consumer)
        await call.ben.ok("resume", consumerId=consumer)
        await call.send(1001, b"secret", OPUS)
        await call.ada.ok("pause", producerId=voice)
        await call.ada.ok("resume", producerId=voice)
        await call.send(1001, b"secret", OPUS)
        await call.ben.ok("close", consumerId=consumer)
        consumer = (await call.consume(voice, paused=False))["consumerId"]
        await call.send(1001, b"secret", OPUS)
        assert call.received() == []
        moderation.undeafen("lobby", "ben", by=ADMIN)
        await call.send(1001, b"heard", OPUS)
        assert [packet.payload for packet in call.received()] == [b"heard"]


async def test_a_video_begins_with_a_key_frame_once_its_receiver_is_no_longer_deafened(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_call(identity) as call:
        await call.consume(await camera(call.ada, call.sending), paused=False)
        await call.send(2001, VP8_KEY_FRAME)
        moderation = call.gate.server.gateway.channels.moderation
        moderation.deafen("lobby", "ben", by=ADMIN)
        await call.send(2001, VP8_KEY_FRAME)
        assert len(call.received()) == 1
        await trio.sleep(10)
        call.asked()
        moderation.undeafen("lobby", "ben", by=ADMIN)
        await wait_all_tasks_blocked()
        assert call.asked() == [2001]
        await call.send(2001, VP8_INTER_FRAME)
        assert call.received() == []
        await call.send(2001, VP8_KEY_FRAME)
        assert len(call.received()) == 1


async def test_a_channel_ends_with_its_media(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_call(identity) as call:
        voice = await microphone(call.ada, call.sending)
        await call.consume(voice, paused=False)
        call.gate.server.gateway.channels.moderation.end("lobby", by=ADMIN)
        for client in (call.ada, call.ben):
            code, why = await closing(client)
            assert (code, why["reason"]) == (4410, "a moderator ended the channel")
        await wait_all_tasks_blocked()
        counts = call.gate.server.gateway.routers[0].counts()
        assert (counts.peers, counts.transports, counts.producers, counts.consumers) == (0, 0, 0, 0)


def token(user: str, *grants: str) -> str:
    return sign({"sub": user, "exp": TODAY.timestamp() + 600, "channel": "lobby", "can": ["message", *grants]})


async def next_event(client: Client) -> Event:
    return await anext(client.events())


async def entry_of(client: Client) -> Participant:
    event = await next_event(client)
    assert isinstance(event, VoiceState)
    return event.participant


async def refused(request: Any) -> ErrorCode:
    with pytest.raises(RequestError) as error:
        await request
    return error.value.code


async def end_of(client: Client) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await next_event(client)
    return closed.value.code


async def test_a_moderator_with_the_python_client(autojump_clock: MockClock, tmp_path: Path) -> None:
    connect = protocol.client.connect_over
    async with (
        open_gate(token_keys=(write_key(tmp_path, "k1", SECRET),)) as gate,
        connect(gate.stream()) as mia,
        connect(gate.stream()) as ben,
        connect(gate.stream()) as eve,
    ):
        assert (await mia.join("lobby", "Mia", token=token("mia"))).grants == ("message",)
        assert await refused(mia.lock_channel()) == ErrorCode.FORBIDDEN
        renewed = await mia.renew_token(token("mia", "moderate"))
        assert renewed.grants == ("message", "moderate")
        await ben.join("lobby", "Ben", token=token("ben"))
        await mia.mute("ben", "camera")
        assert (await entry_of(ben)).muted_sources == ("camera",)
        await mia.unmute("ben", "camera")
        assert (await entry_of(ben)).muted_sources is None
        await mia.deafen("ben")
        assert (await entry_of(ben)).deafened
        await mia.undeafen("ben")
        assert (await entry_of(ben)).deafened is None
        await mia.limit_members(9)
        await mia.lock_channel(seconds=60)
        assert [await next_event(ben) for _ in range(2)] == [ChannelState(False, 9), ChannelState(True, 9)]
        assert await refused(eve.join("lobby", "Eve", token=token("eve"))) == ErrorCode.LOCKED
        await mia.unlock_channel()
        await mia.limit_members(None)
        await eve.join("lobby", "Eve", token=token("eve"))
        await mia.remove_participant("eve", seconds=60)
        assert await end_of(eve) == 4403
        await mia.readmit_participant("eve")
        assert await refused(mia.readmit_participant("eve")) == ErrorCode.NOT_FOUND
        await mia.end_channel()
        assert [await end_of(client) for client in (mia, ben)] == [4410, 4410]
