"""A light transport on a UDP socket of its own."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from tools.light.transport import LightTransport


class LightEndpoint:
    """Made by :func:`run_endpoint`."""

    def __init__(self, transport: LightTransport, sock: trio.socket.SocketType, address: tuple[str, int]) -> None:
        self.transport = transport
        self._socket = sock
        self._address = address
        self._arrival = trio.Event()
        self._departure = trio.Event()

    def start(self) -> None:
        """Begin with ICE, and DTLS behind it."""
        self.transport.start(trio.current_time())
        self.send()

    async def until(self, condition: Callable[[], object], seconds: float = 5) -> None:
        """Wait until the condition holds; it is looked at whenever something arrived.  ``TooSlowError`` after that."""
        with trio.fail_after(seconds):
            while not condition():
                await self._arrival.wait()

    async def connected(self, seconds: float = 5) -> None:
        await self.until(lambda: self.transport.connected, seconds)

    def send(self) -> None:
        """Something was put into the transport: let it out."""
        self._departure.set()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive)
            while True:
                # Before the first send: what is added while this waits for the socket must not be missed.
                self._departure = trio.Event()
                for datagram in self.transport.datagrams_to_send():
                    await self._socket.sendto(datagram, self._address)
                with trio.move_on_at(self.transport.get_timer()):
                    await self._departure.wait()
                self.transport.handle_timer(trio.current_time())

    async def _receive(self) -> None:
        while True:
            datagram, _ = await self._socket.recvfrom(2048)
            self.transport.receive(datagram, trio.current_time())
            self._departure.set()
            self._arrival.set()
            self._arrival = trio.Event()


async def run_endpoint(
    transport: LightTransport,
    address: tuple[str, int],
    *,
    task_status: trio.TaskStatus[LightEndpoint] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Move a transport's datagrams between a socket of its own and the gateway's ``address``, until cancelled.

    Tell the gateway :attr:`LightTransport.dtls_parameters` by ``connect_transport``, then :meth:`LightEndpoint.start`.
    """
    is_ipv6 = ":" in address[0]
    with trio.socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # Bound before the receiver's first read, which an unbound socket answers with an error.
        await sock.bind(("::1" if is_ipv6 else "127.0.0.1", 0))
        endpoint = LightEndpoint(transport, sock, address)
        task_status.started(endpoint)
        await endpoint.run()


@asynccontextmanager
async def open_endpoint(transport: LightTransport, address: tuple[str, int]) -> AsyncIterator[LightEndpoint]:
    """:func:`run_endpoint` for as long as the block runs."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(run_endpoint, transport, address)
        nursery.cancel_scope.cancel()
