"""A light transport on a UDP socket of its own."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import trio

from tools.light.transport import DtlsParameters, IceParameters, Identity, LightTransport


class LightEndpoint:
    """Made by :func:`open_endpoint`."""

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


@asynccontextmanager
async def open_endpoint(
    identity: Identity,
    ice: IceParameters,
    dtls: DtlsParameters,
    address: tuple[str, int],
    *,
    dtls_role: Literal["client", "server"] = "client",
    rng: random.Random | None = None,
) -> AsyncIterator[LightEndpoint]:
    """A socket towards the gateway's ``address`` for as long as the block runs.

    Tell the gateway :attr:`LightTransport.dtls_parameters` by ``connect_transport``, then :meth:`LightEndpoint.start`.
    """
    transport = LightTransport(identity, ice, dtls, dtls_role=dtls_role, rng=rng or random.SystemRandom())
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with trio.socket.socket(family, socket.SOCK_DGRAM) as sock:
        # Bound before the receiver's first read, which an unbound socket answers with an error.
        await sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        endpoint = LightEndpoint(transport, sock, address)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.run)
            yield endpoint
            nursery.cancel_scope.cancel()
