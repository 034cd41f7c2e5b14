"""The data plane on UDP sockets: a thin shell, everything else is the core's."""

import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from random import SystemRandom

import trio

from sfu.dataplane.core import DataPlaneCore, RandomSource
from sfu.dataplane.interface import Drop, Event, Path
from sfu.dataplane.outbox import Outbox

_BUFFER = 4 * 1024 * 1024  # bytes asked of the kernel in each direction; it may give less
_LARGEST = 2048  # bytes; enough to see that a datagram is larger than any we take
_BATCH = 32  # datagrams of each socket in one poll: some milliseconds of work with a full channel
_PORT_ATTEMPTS = 32


class UdpDataPlane(DataPlaneCore):
    """Owns one socket for each host, all on the same port; ``Path.local`` is the index of the socket.

    ``addresses`` are the host and port of each.
    """

    def __init__(self, hosts: Sequence[str], port: int, random: RandomSource | None = None) -> None:
        """Bind to numeric IPv4 and IPv6 addresses; port 0 finds one that is free on all of them.

        Raises ``OSError`` where that cannot be done.
        """
        super().__init__(self._transmit_datagram, random or SystemRandom())
        self._sockets = bind_all(hosts, port)
        self.addresses: list[tuple[str, int]] = [bound.getsockname()[:2] for bound in self._sockets]
        self._polling = False
        self._outbox = Outbox(self._sockets, self._take_back)
        self._readable = select.epoll()
        for bound in self._sockets:
            self._readable.register(bound, select.EPOLLIN)

    async def wait(self) -> None:
        """Raises ``trio.ClosedResourceError`` once closed."""
        if self._readable.closed:
            raise trio.ClosedResourceError
        await trio.lowlevel.wait_readable(self._readable.fileno())

    def poll(self, now: float) -> Sequence[Event]:
        self._polling = True
        try:
            for local, bound in enumerate(self._sockets):
                self._read(bound, local, now)
        finally:
            self._polling = False
            self._outbox.flush()
        return self.take_events()

    def _take_back(self, drop: Drop, datagrams: list[bytes]) -> None:
        """They were counted as sent when they were collected."""
        self._drops[drop] += len(datagrams)
        self._packets_out -= len(datagrams)
        self._bytes_out -= sum(map(len, datagrams))

    def _read(self, bound: socket.socket, local: int, now: float) -> None:
        for _ in range(_BATCH):
            try:
                datagram, address = bound.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error about something sent earlier; it is not about what comes next.
                continue
            self.receive(datagram, Path(address[0], address[1], local), now)

    def _transmit_datagram(self, path: Path, datagram: bytes) -> Drop | None:
        if self._polling:
            self._outbox.put(path, datagram)
            return None
        return self._outbox.send(path, datagram)

    def close(self) -> None:
        if self._readable.closed:
            return
        super().close()
        if trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(self._readable.fileno())
        self._readable.close()
        for bound in self._sockets:
            bound.close()
        self._sockets.clear()


def bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Non-blocking sockets on the same port of all hosts.  Raises ``OSError``."""
    for _ in range(1 if port else _PORT_ATTEMPTS - 1):
        with suppress(OSError):
            return _bind_once(hosts, port)
    return _bind_once(hosts, port)


def _bind_once(hosts: Sequence[str], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            sockets.append(bound)
            _configure(bound)
            bound.bind((host, port))
            port = bound.getsockname()[1]
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _configure(bound: socket.socket) -> None:
    bound.setblocking(False)
    if bound.family == socket.AF_INET6:
        # Or it would take IPv4 as well, and leave no port for a socket of its own.
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    for direction in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, direction, _BUFFER)
