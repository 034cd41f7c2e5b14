"""The sockets of many endpoints, read by one task that is not woken for each packet.

It looks at its sockets some hundred times a second.  So a burst, and the packets of many streams, share one step, and
who sends to them (a gateway on the same machine) need not wake anybody; what is measured of arrivals does not suffer,
since the system has noted their times (see :meth:`tools.light.endpoint.LightEndpoint.arrived_at`).
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Final, Never

import trio
from attrs import define, field

#: Seconds between two looks.
INTERVAL: Final = 0.004
#: Between two looks while somebody connects, where each round trip counts.
HURRIED_INTERVAL: Final = 0.0002


@define(eq=False)
class Poller:
    """One for each Trio run; :meth:`run` in a task of its owner's.  ``hurried`` counts those who are connecting."""

    interval: float = INTERVAL
    hurried: int = 0
    _readers: dict[int, Callable[[], None]] = field(factory=dict)
    _epoll: select.epoll = field(factory=select.epoll)

    def add(self, sock: socket.socket, read: Callable[[], None]) -> None:
        """Call ``read`` whenever there is something in the socket; it takes a bounded number of datagrams."""
        self._epoll.register(sock, select.EPOLLIN)
        self._readers[sock.fileno()] = read

    def remove(self, sock: socket.socket) -> None:
        """Before it is closed.  The poller may have ended already."""
        del self._readers[sock.fileno()]
        if not self._epoll.closed:
            self._epoll.unregister(sock)

    def poll(self) -> None:
        """One look at all of them."""
        for descriptor, _ in self._epoll.poll(0):
            if (read := self._readers.get(descriptor)) is not None:
                read()

    async def run(self) -> Never:
        """Until cancelled."""
        with self._epoll:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self.poll()
                await trio.sleep(HURRIED_INTERVAL if self.hurried else self.interval)
