"""The Python client against the whole gateway: it decodes every message, and sends only messages of the protocol.

The first test runs in memory, the last one over real sockets with media.
"""

from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import MockClock

import protocol.client
from gateway.config import Config
from gateway.server import open_server
from protocol import ErrorCode, RequestError, from_json
from protocol.client import Client, ConnectionClosed
from protocol.declarations import Event
from protocol.events import ConsumerClosed, ConsumerUpdated, MessageReceived, TransportStateChanged, VoiceState
from protocol.media import DtlsParameters, RtpCapabilities, RtpParameters
from tests.conformance.whole_gateway import dtls_parameters, open_gate
from tests.media.rtp import Rtp, read
from tests.session.example_media import CAPABILITIES, NOTHING_IN_COMMON, opus
from tools.light import open_light_client
from tools.light.transport import Identity


async def next_event(client: Client) -> Event:
    """Wait for the next event and return it."""
    async for event in client.events():
        return event
    raise AssertionError("unreachable")


async def test_a_client_moves_and_its_session_goes_on_in_the_other_channel(autojump_clock: MockClock) -> None:
    async with open_gate() as gate, AsyncExitStack() as stack:

        async def reopen() -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            return gate.stream("ada")

        ben = await stack.enter_async_context(protocol.client.connect_over(gate.stream("ben")))
        ada = await stack.enter_async_context(protocol.client.connect_over(gate.stream("ada"), open_stream=reopen))
        joined = await ada.join("lobby", "Ada", user_id="ada")
        await ben.join("lobby", "Ben", user_id="ben")
        arrived = await next_event(ada)
        assert isinstance(arrived, VoiceState)
        moved = await ada.move("studio")
        assert (moved.channel_id, moved.revision, moved.media_kept) == ("studio", 1, True)
        assert (moved.session_id, moved.session_secret) == (joined.session_id, joined.session_secret)
        left = await next_event(ben)
        assert isinstance(left, VoiceState)
        assert (left.reason, left.to, left.count) == ("moved", "studio", 1)
        with pytest.raises(RequestError) as refused:
            await ada.move("studio")
        assert refused.value.code == ErrorCode.CONFLICT
        # The numbers of its events go on, so nothing comes twice after it has resumed.
        ada.reconnect()
        await ada.ping()
        await ben.move("studio")
        came = await next_event(ada)
        assert isinstance(came, VoiceState)
        assert (came.user_id, came.channel_id, came.revision) == ("ben", "studio", 2)


async def test_a_client_takes_its_own_seat_again_with_its_secret_and_nobody_else_does(
    autojump_clock: MockClock,
) -> None:
    secret = protocol.client.new_session_secret()
    async with open_gate() as gate, protocol.client.connect_over(gate.stream("lost")) as lost:
        await lost.join("lobby", "Ada", user_id="ada", session_secret=secret)
        for one in (None, protocol.client.new_session_secret()):
            async with protocol.client.connect_over(gate.stream("eve")) as eve:
                with pytest.raises(RequestError) as refused:
                    await eve.join("lobby", "Ada", user_id="ada", session_secret=one)
                assert refused.value.code == ErrorCode.CONFLICT
        async with protocol.client.connect_over(gate.stream("again")) as again:
            joined = await again.join("lobby", "Ada", user_id="ada", session_secret=secret)
            assert [one.user_id for one in joined.participants] == ["ada"]
            with pytest.raises(ConnectionClosed, match="4409"):
                await lost.ping()


async def test_a_whole_call_with_every_request(autojump_clock: MockClock, identity: Identity) -> None:
    async with (
        open_gate() as gate,
        protocol.client.connect_over(gate.stream("ada")) as ada,
        protocol.client.connect_over(gate.stream("ben")) as ben,
    ):
        joined = await ada.join("lobby", "Ada", user_id="ada", metadata={"hat": "red"})
        await ben.join("lobby", "Ben", user_id="ben")
        event = await next_event(ada)
        assert isinstance(event, VoiceState)
        assert (event.type, event.revision) == ("user_joined", joined.revision + 1)

        created = await ada.create_transport("send")
        media = gate.media_client(protocol.to_json(created), identity)
        parameters = from_json(dtls_parameters(media), DtlsParameters)
        await ada.connect_transport(created.transport_id, parameters)
        gate.nursery.start_soon(media.run)
        assert await next_event(ada) == TransportStateChanged(created.transport_id, "connected")
        await ada.restart_ice(created.transport_id)
        voice = await ada.produce(created.transport_id, "audio", from_json(opus(), RtpParameters), "microphone")

        capabilities = from_json(CAPABILITIES, RtpCapabilities)
        receiving = await ben.create_transport("receive", rtp_capabilities=capabilities)
        foreign = from_json(NOTHING_IN_COMMON, RtpCapabilities)
        with pytest.raises(RequestError) as refused:
            await ben.consume(receiving.transport_id, voice.producer_id, rtp_capabilities=foreign)
        assert refused.value.code == ErrorCode.UNSUPPORTED
        consumed = await ben.consume(receiving.transport_id, voice.producer_id)
        await ben.resume(consumer_id=consumed.consumer_id)
        await ben.set_layers(consumed.consumer_id, 0, 0)
        await ada.pause(producer_id=voice.producer_id)
        assert (await ada.stats()).producers[0].paused
        assert (await ben.send_message({"hello": ["Ada"]}, to=["ada"])).delivered == 1
        await ada.ping()
        await ada.close(producer_id=voice.producer_id)
        await ben.close(transport_id=receiving.transport_id)
        await ada.leave()

        seen = [await next_event(ben) for _ in range(6)]
        assert [one.type for one in seen if isinstance(one, VoiceState)] == ["user_updated"] * 3 + ["user_left"]
        assert ConsumerUpdated(consumed.consumer_id, True, None, False) in seen
        assert ConsumerClosed(consumed.consumer_id, "producer_closed") in seen
        heard = [await next_event(ada) for _ in range(4)]
        assert MessageReceived("ben", {"hello": ["Ada"]}) in heard


async def test_the_client_learns_why_it_was_closed(autojump_clock: MockClock) -> None:
    async with open_gate() as gate, protocol.client.connect_over(gate.stream()) as ada:
        await ada.join("lobby", "Ada")
        gate.server.end_clients()
        with pytest.raises(ConnectionClosed) as closed:
            await next_event(ada)
            await next_event(ada)
        assert closed.value.code == 1001
        assert closed.value.closing is not None
        assert closed.value.closing.code == 1001


async def test_over_real_sockets_audio_flows_until_the_speaker_leaves(identity: Identity) -> None:
    async with open_server(Config(port=0, media_port=0)) as server, AsyncExitStack() as stack:
        url = server.url.replace("http", "ws") + "/ws"
        ben = await stack.enter_async_context(open_light_client(url, "lobby", "Ben", identity))
        await ben.transport("receive")
        async with open_light_client(url, "lobby", "Ada", identity) as ada:
            voice = await ada.publish("audio", 1001)
            consumer = await ben.subscribe(voice)
            speaker, listener = ada.endpoints["send"], ben.endpoints["receive"]
            with trio.fail_after(10):
                number = 0
                while not listener.transport.rtp:
                    number += 1
                    speaker.transport.send_rtp(bytes(Rtp(111, number, 960 * number, 1001, b"voice")))
                    speaker.send()
                    await trio.sleep(0.02)
            assert read(listener.transport.rtp[0]).payload == b"voice"
        with trio.fail_after(10):
            seen: list[Event] = []
            while not (seen and isinstance(seen[-1], VoiceState) and seen[-1].type == "user_left"):
                seen.append(await next_event(ben.signalling))
        assert ConsumerClosed(consumer, "user_left") in seen
        assert seen.index(ConsumerClosed(consumer, "user_left")) == len(seen) - 2
        assert seen[-1].participants == tuple(one for one in (seen[-1].participants or ()) if one.username == "Ben")
