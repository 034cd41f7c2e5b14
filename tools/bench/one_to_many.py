"""What one forwarded packet costs a real gateway: one source, many receivers, CPU time of the process per packet.

    python -m tools.bench.one_to_many [--receivers 20] [--seconds 10]

Starts a gateway of its own on loopback, lets a source send through it, reads the gateway's CPU time from the system,
counts the media packets that arrive, and prints a table.  Machines are noisy: compare rows of one run, not runs.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import trio
from attrs import frozen

from sfu.wire.certificate import generate_certificate
from tools.bench.gateway_process import running_gateway
from tools.bench.source import SSRC, Sender, Source
from tools.light import Counts, Histogram, Identity, Poller, Reception, open_light_client

SOURCES = (
    Source("video, 30 × 5 × 1,100 bytes a second", "video", rate=30, burst=5, size=1100),
    Source("audio, 50 × 100 bytes a second", "audio", rate=50, burst=1, size=100),
)


@frozen
class Row:
    source: Source
    packets: int
    user: float
    system: float
    received: Counts
    latency: Histogram
    late: float

    def __str__(self) -> str:
        user, system = (1e6 * seconds / self.packets for seconds in (self.user, self.system))
        half, most = (1000 * (self.latency.quantile(share) or 0) for share in (0.5, 0.99))
        return (
            f"| {self.source.name} | {self.packets} | {user + system:.1f} | {user:.1f} | {system:.1f} "
            f"| {self.received.loss:.2%} | {half:.2f} | {most:.2f} | {self.late * 1000:.0f} |"
        )


HEAD = (
    "| source | packets arrived | CPU µs a packet | of it user | of it system | lost | latency p50, ms | p99, ms "
    "| sender late by at most, ms |\n|---|---|---|---|---|---|---|---|---|"
)


@asynccontextmanager
async def open_receivers(url: str, count: int, identity: Identity, producer_id: str) -> AsyncIterator[list[Reception]]:
    """Clients that count, all read by one task."""
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        poller = Poller()
        nursery.start_soon(poller.run)
        receptions = []
        for number in range(count):
            reception = Reception()
            name = f"receiver {number}"
            opening = open_light_client(url, "bench", name, identity, poller=poller, reception=reception)
            client = await stack.enter_async_context(opening)
            await client.subscribe(producer_id)
            receptions.append(reception)
        yield receptions
        await stack.aclose()
        nursery.cancel_scope.cancel()


def arrived(receptions: list[Reception], source: Source) -> int:
    """Media packets so far, of all together."""
    return sum(reception.counts(source.kind).packets for reception in receptions)


async def measure(source: Source, receivers: int, seconds: float) -> Row:
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    async with running_gateway() as gateway:
        socket = gateway.url.replace("http", "ws", 1) + "/ws"
        async with open_light_client(socket, "bench", "source", identity, rng=random.Random(1)) as speaker:
            producer_id = await speaker.publish(source.kind, SSRC)
            async with open_receivers(socket, receivers, identity, producer_id) as receptions:
                endpoint = await speaker.transport("send")
                sender = Sender(source, endpoint, send_rtcp=endpoint.send_rtcp)
                await sender.send(1)
                for reception in receptions:
                    reception.take_latency(source.kind)
                before, (user, system) = arrived(receptions, source), gateway.cpu_split()
                late = await sender.send(seconds)
                now_user, now_system = gateway.cpu_split()
                packets = arrived(receptions, source) - before
                received, latency = Counts(), Histogram()
                for reception in receptions:
                    for stream in reception.streams.values():
                        stream.expect_until(sender.bursts * source.burst)
                    received.add(reception.counts(source.kind))
                    latency.add(reception.take_latency(source.kind))
    return Row(source, packets, now_user - user, now_system - system, received, latency, late)


async def main(receivers: int, seconds: float) -> None:
    print(f"{receivers} receivers, {seconds:g} s each\n")
    print(HEAD)
    for source in SOURCES:
        print(await measure(source, receivers, seconds), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--receivers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    trio.run(main, arguments.receivers, arguments.seconds)
