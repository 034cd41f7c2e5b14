"""The data plane on UDP sockets: a thread of its own moves packets, and Python commands it and reads its events."""

import errno
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from random import SystemRandom

import trio

from sfu._dataplane import ThreadedPlane
from sfu.dataplane.core import RandomSource
from sfu.dataplane.values import Event

BUFFER_BYTES = 4 * 1024 * 1024
"""Bytes of socket buffer in each direction that a plane asks for.  The kernel may grant less."""
_BATCH = 32  # datagrams for the slow path in one poll: they are some milliseconds of work
_PORT_ATTEMPTS = 32
_MOST_SOCKETS = 64
# <asm-generic/socket.h> and <linux/sock_diag.h>: counts of a socket's memory as 32-bit numbers, the ninth of which is
# the number of datagrams that the full buffer could not take (SK_MEMINFO_DROPS, since Linux 4.12).
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")


class UdpDataPlane(ThreadedPlane):
    """Owns one socket for each host, all on the same ``port``.  ``Path.local`` is the index of the socket.

    ``addresses`` are the host and port of each open socket.  A thread reads and forwards packets all the time, and
    :meth:`poll` only hands over the events.  The times of events are on the clock of the Trio run that made the plane.
    """

    def __init__(self, hosts: Sequence[str], port: int, random: RandomSource | None = None) -> None:
        """Bind to numeric IPv4 and IPv6 addresses.  Port 0 finds a port that is free on all of them.

        Raises ``OSError`` if an address cannot be bound.
        """
        sockets = bind_all(hosts, port)
        names = [bound.getsockname() for bound in sockets]
        self.port: int = names[0][1]
        # Hosts by the index of their socket.  Paths hold the index, so a host keeps its own as long as possible.
        self._hosts: list[str] = [name[0] for name in names]
        self._closed: list[int] = []
        # The thread owns the sockets.  These duplicates are only for looking at them.
        self._views: dict[int, socket.socket] = {index: bound.dup() for index, bound in enumerate(sockets)}
        self._drops_before = 0
        now = trio.current_time() if trio.lowlevel.in_trio_run() else time.monotonic()
        super().__init__([bound.detach() for bound in sockets], random or SystemRandom(), now)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(host, self.port) for index, host in enumerate(self._hosts) if index not in self._closed]

    def listen(self, host: str) -> None:
        """Open a socket on one more numeric address.

        Raises ``OSError`` if it cannot be bound, or if there are too many sockets already.
        """
        index = self._index_for(host)
        [bound] = bind_all([host], self.port)
        self._views[index] = bound.dup()
        self.set_socket(index, bound.detach())
        self._hosts[index : index + 1] = [host]
        if index in self._closed:
            self._closed.remove(index)

    def _index_for(self, host: str) -> int:
        """The index that the host had before, or else a new one, or else that of the first removed host."""
        if (known := next((index for index in self._closed if self._hosts[index] == host), None)) is not None:
            return known
        if len(self._hosts) < _MOST_SOCKETS:
            return len(self._hosts)
        if self._closed:
            return self._closed[0]
        raise OSError(errno.EMFILE, "too many addresses")

    def stop_listening(self, host: str) -> None:
        """Close the open socket on this address.  From now on, paths with its index lead nowhere.

        The port stays taken until the thread lets go of the socket, after its current batch.
        """
        index = next(at for at, each in enumerate(self._hosts) if each == host and at not in self._closed)
        self._closed.append(index)
        view = self._views.pop(index)
        self._drops_before += drops_of(view)
        view.close()
        self.set_socket(index, None)

    def receive_drops(self) -> int:
        return self._drops_before + sum(map(drops_of, self._views.values()))

    async def wait(self) -> None:
        """Raises ``trio.ClosedResourceError`` once closed."""
        descriptor = self.fileno()
        if descriptor < 0:
            raise trio.ClosedResourceError
        await trio.lowlevel.wait_readable(descriptor)

    def poll(self, now: float) -> Sequence[Event]:
        return self.take_events(_BATCH)

    def close(self) -> None:
        descriptor = self.fileno()
        if descriptor >= 0 and trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(descriptor)
        self._drops_before = self.receive_drops()
        for view in self._views.values():
            view.close()
        self._views.clear()
        super().close()


def drops_of(bound: socket.socket) -> int:
    """Datagrams that did not fit into the socket's receive buffer.  0 if the system does not tell."""
    try:
        counts = bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0
    return int(_MEMINFO.unpack(counts)[8]) if len(counts) >= _MEMINFO.size else 0


def bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Bind non-blocking sockets to the same port of all hosts.  Raises ``OSError`` with the host as ``filename``."""
    for _ in range(1 if port else _PORT_ATTEMPTS - 1):
        with suppress(OSError):
            return _bind_once(hosts, port)
    return _bind_once(hosts, port)


def can_bind(host: str) -> bool:
    """Whether some port of a numeric address can be bound now."""
    try:
        for bound in _bind_once([host], 0):
            bound.close()
    except OSError:
        return False
    return True


def _bind_once(hosts: Sequence[str], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            sockets.append(bound)
            _configure(bound)
            bound.bind((host, port))
            port = bound.getsockname()[1]
    except OSError as error:
        for bound in sockets:
            bound.close()
        error.filename = host  # tells the caller which host failed
        raise
    return sockets


def _configure(bound: socket.socket) -> None:
    bound.setblocking(False)
    if bound.family == socket.AF_INET6:
        # Otherwise it would take IPv4 too, and the IPv4 socket could not have the same port.
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    for direction in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, direction, BUFFER_BYTES)
