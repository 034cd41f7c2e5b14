"""The gateway's processor time for a join and for a leave, in channels of several sizes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

import trio

from tools.bench.channel import ENDINGS, BenchChannel, open_channel
from tools.bench.command import Progress
from tools.bench.cpu_meter import CpuMeter
from tools.bench.figures import ms, table
from tools.servers import ARGUMENTS, GatewayProcess, running_gateway

SIZES: Final = (1, 10, 100)
ROUNDS: Final = 20
NOTICE_SECONDS: Final = 10.0
# Seconds without a message after which the gateway has finished its work.
QUIET_SECONDS: Final = 0.1
#: The number of members, whether they have media, and the seconds of a join and of a leave of the last of them.
Cost = tuple[int, bool, float, float]


async def measure(progress: Progress, options: Sequence[str] = ()) -> list[Cost]:
    """Measure all sizes, without media and with it. ``options`` are further ones of ``sfu-gateway serve``."""
    costs = []
    async with running_gateway(("gateway", *ARGUMENTS, *options)) as gateway:
        for with_media in (False, True):
            for members in SIZES:
                media = "with" if with_media else "without"
                progress(f"the cost of a join and a leave, {members} members, {media} media")
                join, leave = await _measure_size(gateway, members, with_media=with_media)
                costs.append((members, with_media, join, leave))
    return costs


async def _measure_size(gateway: GatewayProcess, members: int, *, with_media: bool) -> tuple[float, float]:
    """Return the medians of a join and a leave. The cost of idle members is measured first and subtracted."""
    await _wait_empty(gateway)
    async with open_channel(gateway, f"cost-{members}-{with_media}") as channel:
        await channel.fill(members - 1, with_media=with_media)
        if with_media:
            await channel.all_listen([*channel.members.values()])
        await channel.settle_and_check()
        meter = CpuMeter(gateway)
        await meter.note_idle()
        pairs = [await _join_and_leave(channel, meter, with_media=with_media) for _ in range(ROUNDS)]
    joins, leaves = zip(*pairs, strict=True)
    return statistics.median(joins), statistics.median(leaves)


async def _wait_empty(gateway: GatewayProcess) -> None:
    """Wait until the members of the last measurement are gone. Otherwise their leaving would count as idle cost."""
    with trio.fail_after(NOTICE_SECONDS):
        while True:
            if not await trio.to_thread.run_sync(gateway.metric, "sfu_sessions"):
                return
            await trio.sleep(QUIET_SECONDS)


async def _join_and_leave(channel: BenchChannel, meter: CpuMeter, *, with_media: bool) -> tuple[float, float]:
    meter.take()
    member = await channel.join("guest")
    if with_media:
        await channel.meet(member)
    await channel.quiet(QUIET_SECONDS)
    join = meter.take()
    await channel.settle_and_check()
    await channel.quiet(QUIET_SECONDS)
    meter.take()
    await channel.leave([member], ENDINGS, NOTICE_SECONDS)
    await trio.sleep(QUIET_SECONDS)
    await channel.quiet(QUIET_SECONDS)
    leave = meter.take()
    await channel.conclude_leave([member], [ENDINGS[0].reason])
    return join, leave


def report(costs: Iterable[Cost]) -> list[str]:
    """Return the part of the report about joins and leaves."""
    head = ["members, the new or leaving one included", "media", "a join", "a leave"]
    return [
        "### What a join and a leave cost",
        f"Milliseconds of the gateway's processor time, medians of {ROUNDS}. A join begins with the WebSocket. "
        "With media it has two handshakes and a microphone. The new member then consumes every other member's stream "
        "(`consume_many`), and every other member consumes the new member's stream. A leave closes all of that. Both "
        "include the notices to the others.",
        table(
            head, ([size, "yes" if media else "no", ms(join, 2), ms(leave, 2)] for size, media, join, leave in costs)
        ),
    ]
