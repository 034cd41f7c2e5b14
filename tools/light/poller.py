"""Reads the sockets of many endpoints in one task that wakes up by a timer and not for each packet.

The task polls its sockets 250 times a second, and more often during handshakes.  So it handles a burst, and the packets
of many streams, in one step.  A gateway on the same machine need not wake it for each packet.  Arrival times stay
exact, because the kernel notes them (:meth:`tools.light.endpoint.LightEndpoint.arrived_at`).
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Final, Never

import trio
from attrs import define, field

#: Seconds between two polls.
INTERVAL: Final = 0.004
#: Seconds between two polls during handshakes, where each round trip counts.
HURRIED_INTERVAL: Final = 0.0002


@define(eq=False)
class Poller:
    """Make one poller in each Trio run, and run :meth:`run` in a task.

    ``interval`` is in seconds.  ``hurried`` counts the present handshakes.
    """

    interval: float = INTERVAL
    hurried: int = 0
    _readers: dict[int, Callable[[], None]] = field(factory=dict)
    _epoll: select.epoll = field(factory=select.epoll)

    def add(self, sock: socket.socket, read: Callable[[], None]) -> None:
        """Call ``read`` whenever the socket is readable.  ``read`` must take a bounded number of datagrams.

        The poller may have ended already, when one cancellation ends it and a handshake.
        """
        if not self._epoll.closed:
            self._epoll.register(sock, select.EPOLLIN)
        self._readers[sock.fileno()] = read

    def remove(self, sock: socket.socket) -> None:
        """Forget a socket.  Call this before closing it.  The poller may have ended already."""
        del self._readers[sock.fileno()]
        if not self._epoll.closed:
            self._epoll.unregister(sock)

    def poll(self) -> None:
        """Poll all sockets once."""
        for descriptor, _ in self._epoll.poll(0):
            if (read := self._readers.get(descriptor)) is not None:
                read()

    async def run(self) -> Never:
        """Poll until cancelled."""
        with self._epoll:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self.poll()
                await trio.sleep(HURRIED_INTERVAL if self.hurried else self.interval)
