"""The data plane on UDP sockets: a thread that moves packets, and what Python needs to command it and to listen."""

import errno
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from random import SystemRandom

import trio

from sfu._dataplane import ThreadedPlane
from sfu.dataplane.core import RandomSource
from sfu.dataplane.interface import Event

_BUFFER = 4 * 1024 * 1024  # bytes asked of the kernel in each direction; it may give less
_BATCH = 32  # datagrams for the slow path in one poll: some milliseconds of work
_PORT_ATTEMPTS = 32
_MOST_SOCKETS = 64


class UdpDataPlane(ThreadedPlane):
    """Owns one socket for each host, all on the same ``port``; ``Path.local`` is the index of the socket.

    ``addresses`` are the host and port of each that is open.  Packets are read and forwarded in a thread of the data
    plane's own, all the time; :meth:`poll` only tells what came of them, with times on Trio's clock as it is when the
    plane is made.
    """

    def __init__(self, hosts: Sequence[str], port: int, random: RandomSource | None = None) -> None:
        """Bind to numeric IPv4 and IPv6 addresses; port 0 finds one that is free on all of them.

        Raises ``OSError`` where that cannot be done.
        """
        sockets = bind_all(hosts, port)
        names = [bound.getsockname() for bound in sockets]
        self.port: int = names[0][1]
        # By the index of the socket; a host keeps its own for as long as possible, since paths go by it.
        self._hosts: list[str] = [name[0] for name in names]
        self._closed: list[int] = []
        now = trio.current_time() if trio.lowlevel.in_trio_run() else time.monotonic()
        super().__init__([bound.detach() for bound in sockets], random or SystemRandom(), now)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(host, self.port) for index, host in enumerate(self._hosts) if index not in self._closed]

    def listen(self, host: str) -> None:
        """Open a socket on one more numeric address.

        Raises ``OSError`` where it cannot be bound, and where there are too many already.
        """
        index = self._index_for(host)
        [bound] = bind_all([host], self.port)
        self.set_socket(index, bound.detach())
        self._hosts[index : index + 1] = [host]
        if index in self._closed:
            self._closed.remove(index)

    def _index_for(self, host: str) -> int:
        """The one that it had; else a new one; else that of the host which is gone for longest."""
        if (known := next((index for index in self._closed if self._hosts[index] == host), None)) is not None:
            return known
        if len(self._hosts) < _MOST_SOCKETS:
            return len(self._hosts)
        if self._closed:
            return self._closed[0]
        raise OSError(errno.EMFILE, "too many addresses")

    def stop_listening(self, host: str) -> None:
        """Close the socket on this address, which is open.  What was to be sent from there is not sent any more."""
        index = next(at for at, each in enumerate(self._hosts) if each == host and at not in self._closed)
        self._closed.append(index)
        self.set_socket(index, None)

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
        super().close()


def bind_all(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Non-blocking sockets on the same port of all hosts.  Raises ``OSError``, whose ``filename`` is the host."""
    for _ in range(1 if port else _PORT_ATTEMPTS - 1):
        with suppress(OSError):
            return _bind_once(hosts, port)
    return _bind_once(hosts, port)


def can_bind(host: str) -> bool:
    """Whether a numeric address can be bound now, on some port."""
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
        error.filename = host  # whoever tells of it does not know which it was
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
