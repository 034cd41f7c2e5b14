"""What one forwarded packet costs a real gateway: one source, many receivers, CPU time of the process per packet out.

    python -m tools.bench.one_to_many [--receivers 20] [--seconds 10]

Starts a gateway of its own on loopback, lets a source send through it, reads the gateway's CPU time from the system and
its packet counts from /metrics, and prints a table.  Machines are noisy: compare rows of one run, not runs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import struct
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Literal

import trio
from attrs import define, frozen

from sfu.wire.certificate import generate_certificate
from tools.light import Identity, LightClient, LightEndpoint, open_light_client

Kind = Literal["audio", "video"]
SSRC = 0x5F5


@frozen
class Source:
    """``burst`` packets of ``size`` payload bytes, ``rate`` times a second."""

    name: str
    kind: Kind
    rate: int
    burst: int
    size: int


SOURCES = (
    Source("video, 30 × 5 × 1,100 bytes a second", "video", rate=30, burst=5, size=1100),
    Source("audio, 50 × 100 bytes a second", "audio", rate=50, burst=1, size=100),
)


@frozen
class Row:
    source: Source
    packets_out: int
    user: float
    system: float
    expected: int
    received: int
    late: float

    def __str__(self) -> str:
        user, system = (1e6 * seconds / self.packets_out for seconds in (self.user, self.system))
        return (
            f"| {self.source.name} | {self.packets_out} | {user + system:.1f} | {user:.1f} | {system:.1f} "
            f"| {1 - self.received / self.expected:.2%} | {self.late * 1000:.0f} |"
        )


@contextmanager
def running_gateway() -> Iterator[tuple[int, str]]:
    """Its process id and URL."""
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--media-port", "0", "--log-format", "json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.pid, json.loads(process.stderr.readline())["url"]
        finally:
            process.terminate()
            process.communicate(timeout=60)


def cpu_seconds(pid: int) -> tuple[float, float]:
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - not a file that anybody wrote
        fields = stat.read().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def packets_out(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        found = re.search(r'^sfu_packets_total\{direction="out"\} (\S+)', answer.read().decode(), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def packet(source: Source, sequence: int, timestamp: int, *, last: bool) -> bytes:
    payload_type = 96 if source.kind == "video" else 111
    header = struct.pack("!BBHII", 0x80, last << 7 | payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, SSRC)
    # A VP8 key frame's first bytes, so that receivers may begin anywhere; 0x00 for the packets behind the first.
    first = b"\x10\x00" if sequence % source.burst == 0 else b"\x00\x00"
    return header + first + bytes(source.size - 2)


@define
class Sender:
    """Sends a source's packets on an endpoint; sequence numbers and timestamps go on from call to call."""

    source: Source
    endpoint: LightEndpoint
    bursts: int = 0

    async def send(self, seconds: float) -> float:
        """Send for so long; returns by how much the latest burst was late, as a look at one's own load."""
        begun, late = trio.current_time(), 0.0
        for number in range(int(seconds * self.source.rate)):
            due = begun + number / self.source.rate
            await trio.sleep_until(due)
            late = max(late, trio.current_time() - due)
            self._send_burst()
        await trio.sleep(0.2)
        return late

    def _send_burst(self) -> None:
        source = self.source
        timestamp = self.bursts * (90000 if source.kind == "video" else 48000) // source.rate
        for index in range(source.burst):
            sequence = self.bursts * source.burst + index
            self.endpoint.transport.send_rtp(packet(source, sequence, timestamp, last=index == source.burst - 1))
        self.bursts += 1
        self.endpoint.send()


@asynccontextmanager
async def open_receivers(
    url: str, count: int, identity: Identity, producer_id: str
) -> AsyncIterator[list[LightClient]]:
    async with AsyncExitStack() as stack:
        receivers = []
        for number in range(count):
            client = await stack.enter_async_context(open_light_client(url, "bench", f"receiver {number}", identity))
            await client.subscribe(producer_id)
            receivers.append(client)
        yield receivers


async def measure(source: Source, receivers: int, seconds: float) -> Row:
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    with running_gateway() as (pid, url):
        socket = url.replace("http", "ws", 1) + "/ws"
        async with open_light_client(socket, "bench", "source", identity, rng=random.Random(1)) as speaker:
            producer_id = await speaker.publish(source.kind, SSRC)
            async with open_receivers(socket, receivers, identity, producer_id) as clients:
                sender = Sender(source, await speaker.transport("send"))
                await sender.send(1)
                for client in clients:
                    client.endpoints["receive"].transport.rtp.clear()
                out, (user, system), bursts = packets_out(url), cpu_seconds(pid), sender.bursts
                late = await sender.send(seconds)
                now_user, now_system = cpu_seconds(pid)
                out = packets_out(url) - out
                expected = (sender.bursts - bursts) * source.burst * receivers
                received = sum(len(client.endpoints["receive"].transport.rtp) for client in clients)
    return Row(source, out, now_user - user, now_system - system, expected, received, late)


async def main(receivers: int, seconds: float) -> None:
    print(f"{receivers} receivers, {seconds:g} s each\n")
    print("| source | packets out | CPU µs a packet | of it user | of it system | lost | sender late by at most, ms |")
    print("|---|---|---|---|---|---|---|")
    for source in SOURCES:
        print(await measure(source, receivers, seconds), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--receivers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    trio.run(main, arguments.receivers, arguments.seconds)
