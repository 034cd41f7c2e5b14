"""The gateway's processor time and memory for a ``watch`` of many channels in which nothing happens."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Final

from attrs import frozen

from protocol import limits
from protocol.requests import Join
from protocol.watching import Watch
from tools.bench import BenchError
from tools.bench.channel import JOINING, for_each
from tools.bench.command import Progress
from tools.bench.conference import open_pool
from tools.bench.cpu_meter import CpuMeter
from tools.bench.figures import met, ms, table
from tools.bench.watch.watchers import Watcher
from tools.light.lean_signalling import LeanSignalling
from tools.light.websocket import WebSocketPool
from tools.servers import ARGUMENTS, GatewayProcess, running_gateway

#: One answer describes at most 10,000 channels and participants.
MOST_OPEN: Final = 5_000
CLIENTS: Final = 5
CPU_AIM: Final = 0.05
MEMORY_AIM: Final = 5e6
# No pings during a measurement. Otherwise the gateway would ping thousands of members every 5 s.
_SELDOM: Final = ("--ping-interval", "600", "--ping-timeout", "600")
_PLACES: Final = ("--max-connections", "12000")


@frozen
class Cost:
    """What a ``watch`` costs: seconds of processor time, one figure for each client, and bytes of memory of one client.

    ``sent`` describes the requests, and ``answer`` is the size of all their answers in bytes. ``is_open`` says that one
    member is in each of the ``channels``.
    """

    sent: str
    channels: int
    is_open: bool
    cpu: Sequence[float]
    memory: float
    answer: int


async def measure(channels: int, most_open: int, progress: Progress) -> list[Cost]:
    """Measure ``channels`` that are closed, then ``most_open`` channels with one member each."""
    costs = []
    for sent, ask in WAYS:
        progress(f"{channels:,} closed channels are watched")
        async with running_gateway(("gateway", *ARGUMENTS, *_SELDOM)) as gateway, open_pool(gateway.socket) as pool:
            asked = [ask(f"closed-{number}-", channels) for number in range(CLIENTS + 1)]
            costs.append(await _measure_watch(gateway, pool, sent, channels, asked, is_open=False))
    opened = min(most_open, MOST_OPEN)
    for sent, ask in WAYS:
        async with (
            running_gateway(("gateway", *ARGUMENTS, *_SELDOM, *_PLACES)) as gateway,
            open_pool(gateway.socket) as pool,
        ):
            progress(f"{opened:,} channels open, and are watched")
            await open_channels(pool, _names("open-", opened))
            asked = [ask("closed-", opened), *[ask("open-", opened)] * CLIENTS]
            costs.append(await _measure_watch(gateway, pool, sent, opened, asked, is_open=True))
    return costs


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def by_name(prefix: str, count: int) -> list[Watch]:
    """Return the requests that watch channels by their names."""
    names, most = _names(prefix, count), limits.MAX_WATCHED_CHANNELS
    return [Watch(channel_ids=tuple(names[start : start + most])) for start in range(0, count, most)]


def by_prefix(prefix: str, _: int) -> list[Watch]:
    """Return the request that watches the same channels by their prefix."""
    return [Watch(prefix=prefix)]


WAYS: Final = ((f"requests with {limits.MAX_WATCHED_CHANNELS} `channelIds`", by_name), ("one with `prefix`", by_prefix))


async def open_channels(pool: WebSocketPool, names: Sequence[str]) -> None:
    """Let one member join each of these channels."""

    async def join(name: str) -> None:
        member = await pool.open(partial(LeanSignalling, keep_events=False))
        await member.perform([Join(name, name)])

    await for_each(names, join, at_once=JOINING)


async def _measure_watch(
    gateway: GatewayProcess, pool: WebSocketPool, sent: str, channels: int, asked: Sequence[Sequence[Watch]],
    *, is_open: bool,
) -> Cost:  # fmt: skip
    """Let a client send each of these lists of requests, one client after the other. All go on watching.

    The first one is not counted: it makes the buffers that later ones use again.
    """
    clients = [await pool.open(Watcher) for _ in asked]
    meter = CpuMeter(gateway)
    await meter.note_idle()
    cpu, memory, answer = [], [], 0
    for client, requests in zip(clients, asked, strict=True):
        meter.take()
        answer, described = await client.measure(requests)
        cpu.append(meter.take())
        memory.append(gateway.memory())
    if described != (0 if requests[0].prefix is not None and not is_open else channels):
        raise BenchError(f"the answers describe {described} channels, not {channels}")
    return Cost(sent, channels, is_open, cpu[1:], (memory[-1] - memory[0]) / (len(asked) - 1), answer)


def report(costs: Sequence[Cost]) -> list[str]:
    """Return the part of the report about channels in which nothing happens."""
    head = ["channels", "in each", "the client sends", "processor time", "memory", "size of the answers"]
    rows = [
        [
            f"{cost.channels:,}",
            "one member" if cost.is_open else "nobody",
            cost.sent,
            f"{ms(statistics.median(cost.cpu))} ms ({ms(min(cost.cpu))}–{ms(max(cost.cpu))})",
            f"{cost.memory / 1e6:.1f} MB",
            f"{cost.answer / 1e6:.2f} MB",
        ]
        for cost in costs
    ]
    idle = [cost for cost in costs if not cost.is_open]
    cpu, memory = max(statistics.median(cost.cpu) for cost in idle), max(cost.memory for cost in idle)
    return [
        "### What it costs to watch channels in which nothing happens",
        f"Each of {CLIENTS} clients sends the same requests, one client after the other. The processor time is the "
        "gateway's until the client has all answers: the median, the least and the greatest. The memory is what the "
        "gateway's resident memory grew by for each client. The channels without members are other ones for each "
        "client. The open ones are the same for all, so the gateway encodes their lists only for the first client. "
        f"One answer may describe at most {2 * MOST_OPEN:,} channels and participants, so `prefix` is measured with at "
        f"most {MOST_OPEN:,} open channels.",
        table(head, rows),
        f"Aim: for channels without members at most {ms(CPU_AIM, 0)} ms: {met(cpu, CPU_AIM)}, and at most "
        f"{MEMORY_AIM / 1e6:.0f} MB: {met(memory, MEMORY_AIM)}.",
    ]
