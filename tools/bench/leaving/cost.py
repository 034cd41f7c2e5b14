"""What a join and a leave cost the gateway in processor time, in channels of several sizes."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Final

import trio
from attrs import frozen

from tools.bench.gateway_process import GatewayProcess
from tools.bench.leaving.channel import Channel, Member, open_channel
from tools.bench.leaving.ways import WAYS, now

SIZES: Final = (1, 10, 100)
ROUNDS: Final = 20
IDLE_SECONDS: Final = 2.0
TOLD_SECONDS: Final = 10.0
# When nothing more is heard for so long, the gateway has nothing more to do.
QUIET_SECONDS: Final = 0.1


@frozen
class Cost:
    """Medians of :data:`ROUNDS`, in seconds of processor time, of the last of ``members``.

    With media, a join has two handshakes and a microphone, takes everybody's stream, and everybody takes its.
    """

    members: int
    with_media: bool
    join: float
    leave: float


async def measure(gateway: GatewayProcess, members: int, *, with_media: bool) -> Cost:
    """What the gateway uses anyway for so many members is measured first and taken off."""
    await _empty(gateway)
    async with open_channel(gateway, f"cost-{members}-{with_media}") as channel:
        await channel.fill([f"m{number}" for number in range(members - 1)], with_media=with_media)
        if with_media:
            await channel.subscribe_all(list(channel.members.values()))
        await channel.settle()
        channel.check()
        meter = Meter(gateway, await _idle_share(gateway))
        pairs = [await _pair(channel, meter, with_media=with_media) for _ in range(ROUNDS)]
    joins, leaves = zip(*pairs, strict=True)
    return Cost(members, with_media, statistics.median(joins), statistics.median(leaves))


async def _empty(gateway: GatewayProcess) -> None:
    """The members of the last measurement are gone, or their leaving would be taken for what goes on anyway."""
    with trio.fail_after(TOLD_SECONDS):
        while True:
            if not await trio.to_thread.run_sync(gateway.metric, "sfu_sessions"):
                return
            await trio.sleep(QUIET_SECONDS)


async def _idle_share(gateway: GatewayProcess) -> float:
    begun, cpu = now(), gateway.cpu_seconds()
    await trio.sleep(IDLE_SECONDS)
    return (gateway.cpu_seconds() - cpu) / (now() - begun)


class Meter:
    """The gateway's processor time since the last look, without what it uses when nothing happens."""

    def __init__(self, gateway: GatewayProcess, idle_share: float) -> None:
        self._gateway = gateway
        self._idle_share = idle_share
        self._at, self._cpu = now(), gateway.cpu_seconds()

    def take(self) -> float:
        at, cpu = self._at, self._cpu
        self._at, self._cpu = now(), self._gateway.cpu_seconds()
        return self._cpu - cpu - self._idle_share * (self._at - at)


async def _pair(channel: Channel, meter: Meter, *, with_media: bool) -> tuple[float, float]:
    meter.take()
    member = await channel.join("guest")
    if with_media:
        await _meet(channel, member)
    await channel.crowd.quiet(QUIET_SECONDS)
    join = meter.take()
    await channel.settle()
    channel.check()
    await channel.crowd.quiet(QUIET_SECONDS)
    meter.take()
    await _leave(channel, member)
    leave = meter.take()
    await channel.settle()
    channel.check([member.user_id], [WAYS[0].reason])
    member.go()
    return join, leave


async def _meet(channel: Channel, member: Member) -> None:
    others = channel.others([member.user_id])
    await channel.publish(member)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.subscribe, member, others)
        nursery.start_soon(channel.each_subscribes, others, [member])


async def _leave(channel: Channel, member: Member) -> None:
    del channel.members[member.user_id]
    watch = channel.crowd.expect([member.user_id], len(channel.members))
    channel.crowd.ignore(member.client)
    WAYS[0].go(member.client.socket)
    if channel.members:
        await channel.crowd.told(watch, TOLD_SECONDS)
    await trio.sleep(QUIET_SECONDS)
    await channel.crowd.quiet(QUIET_SECONDS)


async def run(gateway: GatewayProcess, progress: Callable[[str], None]) -> list[Cost]:
    costs = []
    for with_media in (False, True):
        for members in SIZES:
            progress(f"what a join and a leave cost, {members} members, {'with' if with_media else 'without'} media")
            costs.append(await measure(gateway, members, with_media=with_media))
    return costs
