"""Members of a full channel leave one after the other and come back; how soon all others are told."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import frozen

from tools.bench.gateway_process import PACKETS_OUT, GatewayProcess
from tools.bench.leaving.channel import Channel, Member, open_channel
from tools.bench.leaving.lag import Lag
from tools.bench.leaving.ways import WAYS, Way, now
from tools.bench.source import Sender, Source

MEMBERS: Final = 100
SPEAKERS: Final = 2
SPEECH: Final = Source("speech", "audio", rate=50, burst=1, size=100)
TOLD_SECONDS: Final = 10.0

Progress = Callable[[str], None]


@frozen
class Leave:
    """One leave, in seconds from the socket's closing.  ``lag`` is by how much this side was late meanwhile."""

    way: Way
    first_told: float
    last_told: float
    lag: float


@frozen
class Load:
    """What goes on in the full channel while nobody leaves."""

    cpu_share: float
    packets_out: float
    consumers: int


async def speak(members: list[Member]) -> None:
    """Each of them sends, for as long as it is not cancelled."""
    senders = [Sender(SPEECH, member.legs["send"], member.ssrc) for member in members]
    while True:
        for sender in senders:
            sender.send_burst()
        await trio.sleep(1 / SPEECH.rate)


async def fill(channel: Channel, progress: Progress) -> None:
    """A channel in which everybody has a microphone and hears everybody else."""
    progress(f"{MEMBERS} members join")
    await channel.fill([f"m{number}" for number in range(MEMBERS)], with_media=True)
    progress("everybody takes everybody's stream")
    await channel.subscribe_all(list(channel.members.values()))
    await channel.settle()
    channel.check()


async def measure_load(gateway: GatewayProcess, seconds: float = 3.0) -> Load:
    packets = await trio.to_thread.run_sync(gateway.metric, PACKETS_OUT)
    begun, cpu = now(), gateway.cpu_seconds()
    await trio.sleep(seconds)
    cpu, took = gateway.cpu_seconds() - cpu, now() - begun
    packets = await trio.to_thread.run_sync(gateway.metric, PACKETS_OUT) - packets
    consumers = await trio.to_thread.run_sync(gateway.metric, "sfu_consumers")
    return Load(cpu / took, packets / took, int(consumers))


async def leave(channel: Channel, member: Member, way: Way, lag: Lag) -> Leave:
    """One goes, and all others are told the truth."""
    others = channel.others([member.user_id])
    del channel.members[member.user_id]
    watch = channel.crowd.expect([member.user_id], len(others))
    channel.crowd.ignore(member.client)
    lag.take()
    begun = now()
    way.go(member.client.socket)
    await channel.crowd.told(watch, TOLD_SECONDS)
    [times] = watch.times.values()
    left = Leave(way, times[0] - begun, times[-1] - begun, lag.take())
    await channel.settle()
    channel.check([member.user_id], [way.reason])
    member.go()
    return left


async def come_back(channel: Channel, user_id: str) -> None:
    member = await channel.join(user_id)
    await channel.publish(member)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.subscribe, member, channel.others([user_id]))
        nursery.start_soon(channel.each_subscribes, channel.others([user_id]), [member])
    await channel.settle()
    channel.check()


async def leave_one_by_one(channel: Channel, leaves: int, progress: Progress) -> list[Leave]:
    """In a full channel; the ways take turns, and the speakers stay."""
    rng, lag, done = random.Random(2), Lag(), []
    quiet_ones = list(channel.members)[SPEAKERS:]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        for number in range(leaves):
            progress(f"leave {number + 1} of {leaves}")
            member = channel.members[rng.choice(quiet_ones)]
            done.append(await leave(channel, member, WAYS[number % len(WAYS)], lag))
            await come_back(channel, member.user_id)
        nursery.cancel_scope.cancel()
    return done


@asynccontextmanager
async def open_full_channel(gateway: GatewayProcess, progress: Progress) -> AsyncIterator[Channel]:
    """Everybody has a microphone and hears everybody else; some speak, for as long as the block runs."""
    async with open_channel(gateway, "bench") as channel, trio.open_nursery() as nursery:
        await fill(channel, progress)
        nursery.start_soon(speak, list(channel.members.values())[:SPEAKERS])
        yield channel
        nursery.cancel_scope.cancel()
