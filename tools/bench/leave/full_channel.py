"""Members of a full channel leave one after the other and come back, and some fall silent."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import frozen

from tools.bench.command import Progress
from tools.bench.leave.at_once import LOOK_SECONDS
from tools.bench.leave.channel import BenchChannel, BenchMember, open_channel
from tools.bench.leave.listeners import ENDINGS, Ending, now
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import constant_loop
from tools.loadtest.own_load import LagMeter
from tools.servers import PACKETS_OUT, GatewayProcess

MEMBERS: Final = 100
SPEAKERS: Final = 2
SPEECH: Final = constant_loop("audio", rate=50, packets=1, payload_size=100)
NOTICE_SECONDS: Final = 10.0
LOAD_SECONDS: Final = 3.0
#: Members of each kind of silence.
SILENT: Final = 10
SILENCE_SECONDS: Final = 20.0


@frozen
class MeasuredLeave:
    """One leave.

    Times are in seconds since the connection ended. ``lag`` is the bench's own longest delay meanwhile.
    """

    ending: Ending
    first_notice: float
    last_notice: float
    lag: float


@frozen
class Load:
    """The gateway's load in the full channel while nobody leaves.

    ``cpu_share`` is a share of a core, ``packets_out`` is in packets a second.
    """

    cpu_share: float
    packets_out: float
    consumers: int


@frozen
class Silence:
    """Seconds from each silent member's last sign of life to the last notice of its leave."""

    at_one_moment: list[float]
    after_pong: list[float]


async def fill(channel: BenchChannel, progress: Progress) -> None:
    """Let everybody join, publish a microphone, and consume every other microphone."""
    progress(f"{MEMBERS} members join")
    await channel.fill([f"m{number}" for number in range(MEMBERS)], with_media=True)
    progress("everybody consumes everybody's stream")
    await channel.each_subscribes(channel.members.values(), list(channel.members.values()))
    await channel.settle_and_check()


async def measure_load(gateway: GatewayProcess) -> Load:
    packets = await trio.to_thread.run_sync(gateway.metric, PACKETS_OUT)
    begun, cpu = now(), gateway.cpu_seconds()
    await trio.sleep(LOAD_SECONDS)
    cpu, took = gateway.cpu_seconds() - cpu, now() - begun
    packets = await trio.to_thread.run_sync(gateway.metric, PACKETS_OUT) - packets
    consumers = await trio.to_thread.run_sync(gateway.metric, "sfu_consumers")
    return Load(cpu / took, packets / took, int(consumers))


async def leave(channel: BenchChannel, member: BenchMember, ending: Ending, lag: LagMeter) -> MeasuredLeave:
    """Let one member leave. Wait until all others have the notice, and check it."""
    lag.take()
    watch = await channel.leave([member], [ending], NOTICE_SECONDS)
    left = MeasuredLeave(ending, watch.first_notice, watch.last_notice, lag.take())
    await channel.conclude_leave([member], [ending.reason])
    return left


async def come_back(channel: BenchChannel, user_id: str) -> None:
    await channel.meet(await channel.join(user_id))
    await channel.settle_and_check()


async def leave_one_by_one(channel: BenchChannel, leaves: int, progress: Progress) -> list[MeasuredLeave]:
    """Let randomly chosen members leave a full channel, by each ending in turn.  The speakers stay."""
    rng, lag, done = random.Random(2), LagMeter(LOOK_SECONDS), []
    mute = list(channel.members)[SPEAKERS:]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        for number in range(leaves):
            progress(f"leave {number + 1} of {leaves}")
            member = channel.members[rng.choice(mute)]
            done.append(await leave(channel, member, ENDINGS[number % len(ENDINGS)], lag))
            await come_back(channel, member.user_id)
        nursery.cancel_scope.cancel()
    return done


async def fall_silent(channel: BenchChannel, progress: Progress) -> Silence:
    """Silence some members all at one moment.

    Silence others each at the worst moment, just after it has answered a ping.

    Their sockets stay open. The second group's media goes on, but must not keep its members on the list.
    """
    progress(f"{2 * SILENT} members fall silent")
    chosen = random.Random(3).sample(list(channel.members.values())[SPEAKERS:], 2 * SILENT)
    watch = channel.expect_leave(chosen, ignore=False)
    for member in chosen[SILENT:]:
        member.signalling.dies_after_pong = True
    for member in chosen[:SILENT]:
        member.signalling.fall_silent()
        for endpoint in member.media.endpoints.values():
            endpoint.transport.stop_checking()
            endpoint.stop_reading()
    await channel.listeners.wait_all_notices(watch, SILENCE_SECONDS)
    await channel.conclude_leave(chosen, ["timed_out"])
    seconds = []
    for member in chosen:
        assert member.signalling.silent_since is not None
        seconds.append(max(watch.times[member.user_id]) - member.signalling.silent_since)
    return Silence(seconds[:SILENT], seconds[SILENT:])


@asynccontextmanager
async def open_full_channel(gateway: GatewayProcess, progress: Progress) -> AsyncIterator[BenchChannel]:
    """Fill a channel and let :data:`SPEAKERS` members speak for as long as the block runs."""
    async with open_channel(gateway, "bench") as channel, trio.open_nursery() as nursery:
        await fill(channel, progress)
        for member in list(channel.members.values())[:SPEAKERS]:
            endpoint = member.media.endpoints["send"]
            nursery.start_soon(LoopSender(SPEECH, endpoint, member.ssrc, random.Random(1)).run)
        yield channel
        nursery.cancel_scope.cancel()
