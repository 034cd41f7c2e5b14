"""Two channels on one gateway, each with one sender and many receivers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from tools.bench.beside.conference import StreamToPublish, new_ssrc, stay
from tools.bench.beside.gateway_contestant import GatewayConference, GatewayMember
from tools.bench.planes.load import SegmentedStream
from tools.bench.progress import Progress
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop

CHANNELS: Final = 2
FILL_SECONDS: Final = 120.0


@asynccontextmanager
async def open_channels(
    conference: GatewayConference, loop: MediaLoop, receivers: int, progress: Progress
) -> AsyncIterator[list[SegmentedStream]]:
    """Yield one stream for each channel, with all receivers connected and nothing sent yet.

    Raises ``trio.TooSlowError`` and what joining raises.
    """
    async with trio.open_nursery() as members:
        streams = []
        with trio.fail_after(FILL_SECONDS):
            for number in range(CHANNELS):
                streams.append(await _fill(conference, members, number, loop, receivers, progress))
        yield streams
        members.cancel_scope.cancel()


async def _fill(
    conference: GatewayConference,
    members: trio.Nursery,
    number: int,
    loop: MediaLoop,
    receivers: int,
    progress: Progress,
) -> SegmentedStream:
    progress(f"{receivers} join channel {number + 1} of {CHANNELS}")
    channel, ssrc = f"channel-{number}", new_ssrc()
    publisher: GatewayMember = await members.start(stay, conference.member(f"source-{number}", channel))
    endpoint, offered = await publisher.publish([StreamToPublish(loop.kind, ssrc)])
    for index in range(receivers):
        receiver: GatewayMember = await members.start(stay, conference.member(f"{number}-{index}", channel))
        (await receiver.subscribe([offered])).stop_reading()
    return SegmentedStream(LoopSender(loop, endpoint, ssrc, random.Random()))
