"""Measures how many packets an overloaded gateway forwards in two channels, and the processor time of each part."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from tools.bench.command import Progress
from tools.bench.conference import new_ssrc
from tools.bench.gateway_members import GatewayConference, open_gateway
from tools.bench.network import ServerLink, dropped_datagrams
from tools.bench.planes import sink
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop
from tools.servers import PACKETS_OUT, GatewayProcess

CHANNELS: Final = 2
FILL_SECONDS: Final = 120.0
WARM_SECONDS: Final = 1.0
#: The name that the extension gives its threads.
PLANE_THREAD: Final = "data plane"
#: Seconds between two wakes of the sending thread, which then sends all frames that are due.
TICK_SECONDS: Final = 0.001
#: Seconds after which a late frame is left out.
LATE_SECONDS: Final = 0.02
_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_HEADER, _TAG = 12, 16


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
    interpreter: float
    generator: float
    idle: float
    planes: Sequence[float]

    @classmethod
    def between(cls, before: Sequence[float], after: Sequence[float]) -> PlanesResult:
        """Compute the figures between two results of :func:`read`."""
        seconds, *spent = (later - earlier for earlier, later in zip(before, after, strict=True))
        packets, sunk, dropped, gateway, generator, idle, *planes = (one / seconds for one in spent)
        return cls(packets, sunk, dropped, gateway - sum(planes), generator, idle, planes)


def read(gateway: GatewayProcess) -> list[float]:
    """Return the totals so far.

    They are the time, packets by three counts, and seconds of gateway, generator, idle cores and each plane.
    """
    packets = gateway.metric(PACKETS_OUT)
    counts = [time.monotonic(), packets, sink.sent(gateway.pid), dropped_datagrams(gateway.pid)]
    planes = plane_seconds(gateway.pid)
    return [*counts, gateway.cpu_seconds(), time.process_time(), idle_seconds(), *planes]


def plane_seconds(pid: int) -> list[float]:
    """Return the processor time of each plane's thread so far, in seconds."""
    threads = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda thread: int(thread.name))
    planes = [thread for thread in threads if (thread / "comm").read_text().strip() == PLANE_THREAD]
    return [int((thread / "schedstat").read_text().split()[0]) / 1e9 for thread in planes]


def idle_seconds() -> float:
    """Return the idle time of all cores together so far."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def send_until(over: threading.Event, senders: Sequence[LoopSender]) -> None:
    """Send all streams at their rates until ``over`` is set. Leave late frames out.

    Each frame is one segmented send, which is cheap.  Raises ``OSError`` where the system has no segmentation.
    """
    for sender in senders:
        size = _HEADER + sender.loop.payload_size + _TAG
        sender.endpoint.socket.setsockopt(_SOL_UDP, _UDP_SEGMENT, size)
    begun, seen = time.monotonic(), 0.0
    while not over.is_set():
        now = time.monotonic() - begun
        for sender in senders:
            rate = sender.loop.rate
            most = max(1, int(rate * LATE_SECONDS))
            for _ in range(min(int(now * rate) - int(seen * rate), most)):
                frame = b"".join(map(sender.endpoint.transport.seal_rtp, sender.next_frame()))
                # The gateway may be gone, or the socket full, because the bench offers more than can be sent.
                with suppress(BlockingIOError, ConnectionRefusedError):
                    sender.endpoint.socket.send(frame)
        seen = now
        time.sleep(TICK_SECONDS)


async def fill(
    conference: GatewayConference, members: trio.Nursery, number: int, loop: MediaLoop, receivers: int
) -> LoopSender:
    """Fill a channel. Return its stream, of which nothing is sent yet."""
    channel, ssrc = f"channel-{number}", new_ssrc()
    publisher = await conference.enter(f"source-{number}", members, channel)
    endpoint, offered = await publisher.publish([(loop.kind, ssrc)])
    for index in range(receivers):
        receiver = await conference.enter(f"{number}-{index}", members, channel)
        (await receiver.subscribe([offered])).stop_reading()
    return LoopSender(loop, endpoint, ssrc, random.Random())


async def measure(
    planes: int, link: ServerLink, loop: MediaLoop, receivers: int, seconds: float, progress: Progress
) -> PlanesResult:
    """Run two channels on a gateway with this number of planes.

    Raises ``trio.TooSlowError`` and what joining raises.
    """
    name, streams = f"{planes} plane{'' if planes == 1 else 's'}", []
    progress(f"{name}: the gateway starts")
    async with (
        open_gateway(link.server, link.prefix, ["--planes", str(planes)]) as conference,
        trio.open_nursery() as members,
    ):
        with trio.fail_after(FILL_SECONDS):
            progress(f"{name}: {receivers} join each channel")
            for number in range(CHANNELS):
                streams.append(await fill(conference, members, number, loop, receivers))
        with sink.open_sink(link):
            progress(f"{name}: it forwards what it can")
            result = await _forward(conference.process, streams, seconds)
        members.cancel_scope.cancel()
    return result


async def _forward(gateway: GatewayProcess, streams: Sequence[LoopSender], seconds: float) -> PlanesResult:
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
