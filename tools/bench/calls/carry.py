"""Measures what the switch adds by itself, with packets between two ends of a perfect network."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from tools.bench.calls.wire import RECEIVER, SENDER, Namespace
from tools.bench.figures import percentile

RATE: Final = 1500
PAYLOAD: Final = 1200
SECONDS: Final = 2.0
_DRAIN_SECONDS: Final = 0.3
_PORT: Final = 9000
_BUFFER: Final = 4 << 20
#: ``struct timespec`` of the kernel's time of arrival, which the socket option SO_TIMESTAMPNS gives.
_TIMESPEC: Final = struct.Struct("@qq")
_SO_TIMESTAMPNS: Final = 35


@frozen
class Carried:
    """Delays are in seconds, from the call that sends a packet to its arrival at the other end's interface."""

    sent: int
    arrived: int
    p50: float
    p99: float

    @property
    def loss(self) -> float:
        return 1 - self.arrived / self.sent


@contextmanager
def _sockets(sender: Namespace, receiver: Namespace) -> Iterator[tuple[socket.socket, socket.socket]]:
    with sender.entered():
        source = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with receiver.entered():
        sink = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with source, sink:
        sink.bind(("::", _PORT))
        sink.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sink.setblocking(False)
        source.connect((receiver.ipv6, _PORT))
        yield source, sink


def carry(ends: list[Namespace], seconds: float = SECONDS) -> Carried:
    """Send for ``seconds``.  Blocks, so call it in a thread."""
    delays: list[float] = []
    with _sockets(ends[SENDER], ends[RECEIVER]) as (source, sink):
        begun, sent, count = time.monotonic(), 0, int(RATE * seconds)
        while sent < count:
            wait = begun + sent / RATE - time.monotonic()
            if select.select([sink], [], [], max(0.0, wait))[0]:
                delays += _arrivals(sink)
            elif wait <= 0:
                source.send(struct.pack("=d", time.time()).ljust(PAYLOAD, b"\0"))
                sent += 1
        while select.select([sink], [], [], _DRAIN_SECONDS)[0]:
            delays += _arrivals(sink)
    p50, p99 = (percentile(delays, share) if delays else float("inf") for share in (0.5, 0.99))
    return Carried(count, len(delays), p50, p99)


def _arrivals(sink: socket.socket) -> Iterator[float]:
    """Read all packets, and yield how long each was under way."""
    while True:
        try:
            data, ancillary, _, _ = sink.recvmsg(PAYLOAD, socket.CMSG_SPACE(_TIMESPEC.size))
        except BlockingIOError:
            return
        seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
        (at,) = struct.unpack_from("=d", data)
        yield seconds + nanoseconds / 1e9 - at
