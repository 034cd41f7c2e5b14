"""pymediasoup clients call each other, with other people's ICE, DTLS, SRTP and codecs."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from protocol.client import RequestError
from tests.gateway_process import GatewayProcess, run_gateway
from tools.full import DecodedStream, FullClient, MovingPattern, Tone, open_full_client

RED, BLUE = (90, 200), (200, 90)
LOUD_ENOUGH = 0.01  # a quarter of a second of the tone


@asynccontextmanager
async def two_in(gateway: GatewayProcess, channel: str) -> AsyncIterator[tuple[FullClient, FullClient]]:
    url = gateway.websocket_url
    async with (
        open_full_client(url, channel, "Ada", user_id="ada") as ada,
        open_full_client(url, channel, "Ben", user_id="ben") as ben,
    ):
        yield ada, ben
    with trio.fail_after(10):
        await trio.to_thread.run_sync(gateway.becomes_empty)


async def hears(stream: DecodedStream, pitch: int) -> None:
    """Wait until a tone has arrived, and check its pitch."""
    await stream.until(lambda now: now.audio.energy > LOUD_ENOUGH and now.audio.pitch > 0)
    assert stream.audio.pitch == pytest.approx(pitch, rel=0.02)


async def sees(stream: DecodedStream, colour: tuple[int, int]) -> None:
    """Wait until a video has arrived, and check its colour and size."""
    await stream.until(lambda now: now.video.frames > 15)
    assert stream.video.colour == pytest.approx(colour, abs=8)
    assert (stream.video.width, stream.video.height) == (MovingPattern().width, MovingPattern().height)


async def test_two_clients_hear_and_see_each_other(gateway: GatewayProcess) -> None:
    async with two_in(gateway, "both") as (ada, ben):
        await ada.send_audio(Tone(440))
        await ada.send_video(MovingPattern(RED))
        await ben.send_audio(Tone(880))
        await ben.send_video(MovingPattern(BLUE))
        await hears(await ben.receive("ada", "microphone"), 440)
        await hears(await ada.receive("ben", "microphone"), 880)
        await sees(await ben.receive("ada", "camera"), RED)
        await sees(await ada.receive("ben", "camera"), BLUE)


async def test_the_gateway_takes_either_role_in_dtls(gateway: GatewayProcess) -> None:
    async with two_in(gateway, "roles") as (ada, ben):
        await ada.send_audio()
        await hears(await ben.receive("ada", "microphone"), 440)
        assert ada.dtls_roles == {"send": "server"}
        assert ben.dtls_roles == {"receive": "client"}


async def test_a_late_joiner_sees_a_running_video_from_a_key_frame_on(gateway: GatewayProcess) -> None:
    async with open_full_client(gateway.websocket_url, "late", "Ada", user_id="ada") as ada:
        await ada.send_video(MovingPattern(RED))
        await trio.sleep(1)  # the first key frame was sent before
        async with open_full_client(gateway.websocket_url, "late", "Ben") as ben:
            await sees(await ben.receive("ada", "camera"), RED)


async def test_after_a_stream_ends_the_next_one_uses_the_same_transport(
    gateway: GatewayProcess,
) -> None:
    async with two_in(gateway, "again") as (ada, ben):
        producer_id = await ada.send_audio(Tone(440))
        first = await ben.receive("ada", "microphone")
        await hears(first, 440)

        await ada.stop_sending(producer_id)
        await first.until(lambda now: now.closed)
        await ben.until(lambda participants: not any(participant.producers for participant in participants))

        await ada.send_audio(Tone(880))
        await hears(await ben.receive("ada", "microphone"), 880)


async def test_a_paused_producer_is_not_heard_until_resumed(gateway: GatewayProcess) -> None:
    async with two_in(gateway, "paused") as (ada, ben):
        producer_id = await ada.send_audio()
        stream = await ben.receive("ada", "microphone")
        await hears(stream, 440)

        await ada.signalling.pause(producer_id=producer_id)
        await trio.sleep(0.5)  # for packets in flight
        before = stream.latest
        await trio.sleep(0.5)
        assert stream.latest == before

        await ada.signalling.resume(producer_id=producer_id)
        await stream.until(lambda now: now.audio.energy > 2 * LOUD_ENOUGH)


async def test_a_client_that_disconnects_is_gone_for_the_others(gateway: GatewayProcess) -> None:
    async with open_full_client(gateway.websocket_url, "gone", "Ada", user_id="ada") as ada:
        async with open_full_client(gateway.websocket_url, "gone", "Ben", user_id="ben") as ben:
            await ben.send_audio()
            stream = await ada.receive("ben", "microphone")
            await hears(stream, 440)
        await ada.until(lambda participants: [each.user_id for each in participants] == ["ada"], within=1)
        await stream.until(lambda now: now.closed, within=1)
        with pytest.raises(RequestError):
            await ada.signalling.resume(consumer_id=stream.consumer_id)


async def test_a_full_client_leaves_no_thread_behind(gateway: GatewayProcess) -> None:
    before = set(threading.enumerate())
    async with two_in(gateway, "threads") as (ada, ben):
        await ada.send_video()
        await sees(await ben.receive("ada", "camera"), RED)
        assert set(threading.enumerate()) > before
    left = {thread.name for thread in set(threading.enumerate()) - before if not thread.name.startswith("Trio thread")}
    assert left == set()


async def test_media_flows_over_ipv6_if_the_gateway_offers_nothing_else(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--media-host", "::1") as gateway:
        async with two_in(gateway, "ipv6") as (ada, ben):
            await ada.send_audio()
            await hears(await ben.receive("ada", "microphone"), 440)
