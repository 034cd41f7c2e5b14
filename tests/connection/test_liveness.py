"""How the gateway knows that a client is still there: by anything that comes of it."""

import pytest
import trio
from trio.testing import MockClock, memory_stream_one_way_pair

from gateway.websocket import LentStream
from tests.session.rig import open_rig

# Seconds: the ping that is due, and its pong.
PATIENCE = 9.5


async def test_who_talks_is_there_although_its_pong_does_not_come(autojump_clock: MockClock) -> None:
    """A pong waits behind what its client sent before; a WebSocket that reads nothing stands for a long queue."""
    async with open_rig() as rig:
        ada, ben = await rig.connect(read=False), await rig.connect()
        await ada.request("join", channelId="lobby", username="ada", userId="ada")
        await ben.join("ben")
        for _ in range(10):
            await trio.sleep(6)
            await ada.request("ping")
        silent_since = trio.current_time()
        assert ben.frames == []
        left = await ben.voice_state("user_left")
        assert left["reason"] == "timed_out"
        assert trio.current_time() - silent_since == pytest.approx(PATIENCE)


async def test_who_answers_pings_is_there_for_ever(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await trio.sleep(24 * 3600)
        assert await ada.ok("ping") == {}


class Speaking(trio.abc.ReceiveStream):
    """Something comes whenever it is nearly too late."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.sleep(PATIENCE)
        return b"here"

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_what_came_in_the_moment_in_which_it_is_too_late_counts(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """As after a pause of the whole gateway: its timers and its sockets are due in one step, in any order."""

    async def read(lent: LentStream) -> None:
        while True:
            await lent.receive_some()

    async def watch(lent: LentStream) -> None:
        await lent.quiet_for(PATIENCE)
        raise AssertionError("it is not quiet")

    for _ in range(20):
        lent = LentStream(trio.StapledStream(memory_stream_one_way_pair()[0], Speaking()), 1000, lambda: None)
        nursery.start_soon(read, lent)
        nursery.start_soon(watch, lent)
    await trio.sleep(10 * PATIENCE)
