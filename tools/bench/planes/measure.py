"""Measures what an overloaded gateway forwards, and how much processor time each part used."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from tools.bench.beside.gateway_contestant import open_gateway
from tools.bench.gateway_process import PACKETS_OUT, GatewayProcess
from tools.bench.network import ServerLink
from tools.bench.planes import sink
from tools.bench.planes.channels import open_channels
from tools.bench.planes.load import SegmentedStream, send_until
from tools.bench.progress import Progress
from tools.light import Identity
from tools.light.media_loop import MediaLoop

WARM_SECONDS: Final = 1.0
#: The name that the extension gives its threads.
PLANE_THREAD: Final = "data plane"


@frozen
class Reading:
    """Totals at one moment; times in seconds.  ``planes`` holds the processor time of each plane's thread."""

    at: float
    packets: float
    sunk: int
    dropped: int
    planes: Sequence[float]
    gateway: float
    generator: float
    idle: float


@frozen
class PlanesResult:
    """Figures of one run.

    Packets a second that the gateway sent (``packets``, by its own count), that reached the sink (``sunk``), and that
    did not fit into the gateway's sockets (``dropped``).  Cores that each plane's thread used (``planes``), the rest of
    the gateway (``interpreter``) and the load ``generator``, and that nothing used (``idle``).
    """

    packets: float
    sunk: float
    dropped: float
    planes: Sequence[float]
    interpreter: float
    generator: float
    idle: float

    @property
    def per_cpu_second(self) -> float:
        """Packets for each second of the planes' processor time."""
        return self.packets / sum(self.planes)

    @classmethod
    def between(cls, before: Reading, after: Reading) -> PlanesResult:
        seconds = after.at - before.at
        planes = [(later - earlier) / seconds for earlier, later in zip(before.planes, after.planes, strict=True)]
        return cls(
            packets=(after.packets - before.packets) / seconds,
            sunk=(after.sunk - before.sunk) / seconds,
            dropped=(after.dropped - before.dropped) / seconds,
            planes=planes,
            interpreter=(after.gateway - before.gateway) / seconds - sum(planes),
            generator=(after.generator - before.generator) / seconds,
            idle=(after.idle - before.idle) / seconds,
        )


def read(gateway: GatewayProcess) -> Reading:
    packets = gateway.metric(PACKETS_OUT)
    return Reading(
        at=time.monotonic(),
        packets=packets,
        sunk=sink.sent(gateway.pid),
        dropped=sink.dropped(gateway.pid),
        planes=plane_seconds(gateway.pid),
        gateway=gateway.cpu_seconds(),
        generator=time.process_time(),
        idle=idle_seconds(),
    )


def plane_seconds(pid: int) -> list[float]:
    """Return the processor time of each plane's thread so far, in seconds."""
    threads = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda thread: int(thread.name))
    names = {thread: (thread / "comm").read_text().strip() for thread in threads}
    return [
        int((thread / "schedstat").read_text().split()[0]) / 1e9 for thread in threads if names[thread] == PLANE_THREAD
    ]


def idle_seconds() -> float:
    """Return the idle time of all cores together so far."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


async def measure(
    planes: int,
    link: ServerLink,
    identity: Identity,
    loop: MediaLoop,
    receivers: int,
    seconds: float,
    progress: Progress,
) -> PlanesResult:
    """Run two channels on a gateway with so many planes."""
    options = ["--planes", str(planes)]
    name = f"{planes} plane{'' if planes == 1 else 's'}"
    progress(f"{name}: the gateway starts")
    async with (
        open_gateway(link.server, link.prefix, identity, options) as conference,
        open_channels(conference, loop, receivers, progress) as streams,
    ):
        with sink.open_sink(link):
            progress(f"{name}: it forwards what it can")
            return await _forward(conference.process, streams, seconds)


async def _forward(gateway: GatewayProcess, streams: Sequence[SegmentedStream], seconds: float) -> PlanesResult:
    over = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.to_thread.run_sync, send_until, over, streams))
        try:
            await trio.sleep(WARM_SECONDS)
            before = await trio.to_thread.run_sync(read, gateway)
            await trio.sleep(seconds)
            after = await trio.to_thread.run_sync(read, gateway)
        finally:
            over.set()
    return PlanesResult.between(before, after)
