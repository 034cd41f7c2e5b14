"""Members of a full channel leave one after the other and come back, and some fall silent."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from typing import Final

import trio
from attrs import frozen

from protocol import limits
from tools.bench.channel import ENDINGS, BenchChannel, BenchMember, Ending, LeaveWatch, now, open_channel
from tools.bench.command import Progress
from tools.bench.figures import met, ms, percentile, table
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import constant_loop
from tools.loadtest.own_load import LagMeter
from tools.servers import ARGUMENTS, PACKETS_OUT, GatewayProcess, running_gateway

MEMBERS: Final = 100
SPEAKERS: Final = 2
SPEECH: Final = constant_loop("audio", rate=50, packets=1, payload_size=100)
NOTICE_SECONDS: Final = 10.0
LOAD_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 0.002
#: Members of each kind of silence.
SILENT: Final = 10
SILENCE_SECONDS: Final = 20.0
NOTICE_AIM: Final = 0.05
SILENCE_AIM: Final = 10.0

#: Seconds from each silent member's last sign of life to the last notice of its leave, by the kind of silence.
Silences = Mapping[str, Sequence[float]]


@frozen
class MeasuredLeave:
    """One leave. ``lag`` is the bench's own longest delay meanwhile, in seconds."""

    ending: Ending
    watch: LeaveWatch
    lag: float


async def measure(
    leaves: int, progress: Progress, options: Sequence[str] = ()
) -> tuple[str, list[MeasuredLeave], Silences]:
    """Let everybody consume every other microphone, and some speak. Measure single leaves, and silence.

    Also describe the gateway's load while nobody leaves. ``options`` are further ones of ``sfu-gateway serve``.
    """
    async with (
        running_gateway(("gateway", *ARGUMENTS, *options)) as gateway,
        open_channel(gateway) as channel,
        trio.open_nursery() as nursery,
    ):
        progress(f"{MEMBERS} members join")
        await channel.fill(MEMBERS, with_media=True)
        progress("everybody consumes everybody's stream")
        await channel.all_listen([*channel.members.values()])
        await channel.settle_and_check()
        for member in [*channel.members.values()][:SPEAKERS]:
            endpoint = member.media.endpoints["send"]
            nursery.start_soon(LoopSender(SPEECH, endpoint, member.ssrc, random.Random(1)).run)
        load = await _measure_load(gateway)
        left = await _leave_one_by_one(channel, leaves, progress)
        silences = await _fall_silent(channel, progress)
        nursery.cancel_scope.cancel()
    return load, left, silences


async def _measure_load(gateway: GatewayProcess) -> str:
    packets = await trio.to_thread.run_sync(gateway.metric, PACKETS_OUT)
    begun, cpu = now(), gateway.cpu_seconds()
    await trio.sleep(LOAD_SECONDS)
    cpu, took = gateway.cpu_seconds() - cpu, now() - begun
    packets = await trio.to_thread.run_sync(gateway.metric, PACKETS_OUT) - packets
    consumers = await trio.to_thread.run_sync(gateway.metric, "sfu_consumers")
    return (
        f"{consumers:,.0f} consumers. {SPEAKERS} members speak. While nobody leaves, the gateway sends "
        f"{packets / took:,.0f} packets a second and uses {cpu / took:.0%} of a core."
    )


async def leave(channel: BenchChannel, member: BenchMember, ending: Ending, lag: LagMeter) -> MeasuredLeave:
    """Let one member leave. Wait until all others have the notice, and check it."""
    lag.take()
    watch = await channel.leave([member], [ending], NOTICE_SECONDS)
    left = MeasuredLeave(ending, watch, lag.take())
    await channel.conclude_leave([member], [ending.reason])
    return left


async def come_back(channel: BenchChannel, user_id: str) -> None:
    await channel.meet(await channel.join(user_id))
    await channel.settle_and_check()


async def _leave_one_by_one(channel: BenchChannel, leaves: int, progress: Progress) -> list[MeasuredLeave]:
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


async def _fall_silent(channel: BenchChannel, progress: Progress) -> Silences:
    """Silence some members all at one moment, and others each just after it has answered a ping.

    Their sockets stay open. The second group's media goes on, but must not keep its members on the list.
    """
    progress(f"{2 * SILENT} members fall silent")
    chosen = random.Random(3).sample([*channel.members.values()][SPEAKERS:], 2 * SILENT)
    watch = channel.expect_leave(chosen)
    for member in chosen[SILENT:]:
        member.dies_after_pong = True
    for member in chosen[:SILENT]:
        member.fall_silent()
        for endpoint in member.media.endpoints.values():
            endpoint.transport.stop_checking()
            endpoint.stop_reading()
    await channel.wait_all_notices(watch, SILENCE_SECONDS)
    await channel.conclude_leave(chosen, ["timed_out"])
    seconds = [max(watch.times[member.user_id]) - member.silent_since for member in chosen]
    return {
        "all at one moment": seconds[:SILENT],
        "each just after a pong, the worst moment": seconds[SILENT:],
    }


def report(load: str, leaves: Sequence[MeasuredLeave], silences: Silences) -> list[str]:
    """Return the parts of the report about single leaves and about silence."""
    head = ["the socket closes by", "leaves", "p50", "p99", "longest", "first notice, p50", "the bench itself late by"]
    kinds = {ending.name: [leave for leave in leaves if leave.ending is ending] for ending in ENDINGS}
    p99 = percentile((leave.watch.last_notice for leave in leaves), 0.99)
    silent = [
        [name, len(times), *(f"{one(times):.2f}" for one in (min, statistics.median, max))]
        for name, times in silences.items()
    ]
    worst = max(map(max, silences.values()))
    by = f" by {ms(worst - SILENCE_AIM, 0)} ms" if worst > SILENCE_AIM else ""
    return [
        f"### One of {MEMBERS} leaves",
        f"{load} The times are milliseconds from the socket's closing to the last notice at another member. p99 is the "
        "nearest rank.",
        table(head, (_row(*kind) for kind in [*kinds.items(), ("**all**", leaves)])),
        f"Aim: p99 of all at most {ms(NOTICE_AIM, 0)} ms: {met(p99, NOTICE_AIM)}.",
        f"### Members of {MEMBERS} fall silent",
        "Their sockets stay open. The times are seconds from the last sign of life to the last notice at another "
        "member.",
        table(["silent", "members", "shortest", "p50", "longest"], silent),
        f"Aim: at most {SILENCE_AIM:g} s with the defaults (a ping every {limits.PING_INTERVAL:g} s, "
        f"{limits.PONG_TIMEOUT:g} s for its pong): {met(worst, SILENCE_AIM)}{by}.",
    ]


def _row(name: str, leaves: Sequence[MeasuredLeave]) -> list[object]:
    last = [leave.watch.last_notice for leave in leaves]
    first, late = statistics.median(leave.watch.first_notice for leave in leaves), max(leave.lag for leave in leaves)
    times = [statistics.median(last), percentile(last, 0.99), max(last), first]
    return [name, len(leaves), *map(ms, times), f"{ms(late)} at most"]
