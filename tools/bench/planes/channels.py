"""Two channels on one gateway, each with one who sends and many who receive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from tools.bench.beside import legs
from tools.bench.beside.conference import Stream as Published
from tools.bench.beside.legs import Leg
from tools.bench.beside.ours import GatewayConference
from tools.bench.planes.load import Stream
from tools.bench.progress import Progress
from tools.bench.source import Source

CHANNELS: Final = 2
FILL_SECONDS: Final = 120.0


@define
class Channels:
    """Everybody is connected; nobody sends yet."""

    streams: list[Stream] = field(factory=list)
    _legs: list[Leg] = field(factory=list)

    async def fill(
        self, conference: GatewayConference, stack: AsyncExitStack, source: Source, receivers: int, progress: Progress
    ) -> None:
        for number in range(CHANNELS):
            progress(f"{receivers} join channel {number + 1} of {CHANNELS}")
            channel, ssrc = f"channel-{number}", legs.ssrc()
            publisher = await stack.enter_async_context(conference.member(f"source-{number}", channel))
            leg, publication = await publisher.publish([Published(source.kind, ssrc)])
            self._legs.append(leg)
            self.streams.append(Stream(source, leg, ssrc))
            for index in range(receivers):
                receiver = await stack.enter_async_context(conference.member(f"{number}-{index}", channel))
                self._legs.append(await receiver.subscribe([publication]))

    async def check(self) -> None:
        """Let every transport prove that it lives, for ever."""
        while True:
            await trio.sleep(legs.CHECK_EVERY)
            now = trio.current_time()
            for leg in self._legs:
                leg.check(now)

    def close(self) -> None:
        for leg in self._legs:
            leg.close()


@asynccontextmanager
async def open_channels(
    conference: GatewayConference, source: Source, receivers: int, progress: Progress
) -> AsyncIterator[Channels]:
    """Raises ``trio.TooSlowError`` and what joining raises."""
    channels = Channels()
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        nursery.start_soon(channels.check)
        try:
            with trio.fail_after(FILL_SECONDS):
                await channels.fill(conference, stack, source, receivers, progress)
            yield channels
        finally:
            nursery.cancel_scope.cancel()
            channels.close()
