"""A light client whose media goes over TCP (ICE-TCP: RFC 6544, RFC 4571)."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from attrs import define, field

import sfu
from tools.light.transport import Identity, LightTransport


def framed(datagram: bytes) -> bytes:
    return len(datagram).to_bytes(2) + datagram


@define
class StreamClient:
    """A light transport on a TCP connection.  ``ended`` says that the other end has closed it."""

    transport: LightTransport
    stream: trio.SocketStream
    ended: bool = False
    _sending: trio.Lock = field(factory=trio.Lock)
    _change: trio.Event = field(factory=trio.Event)

    async def send(self) -> None:
        """Send the transport's queued datagrams now."""
        async with self._sending:
            await self.stream.send_all(b"".join(map(framed, self.transport.datagrams_to_send())))

    async def until(self, condition: Callable[[], object], seconds: float = 5) -> None:
        """Wait until ``condition`` holds, and check it after each received datagram."""
        with trio.fail_after(seconds):
            while not condition():
                await self._change.wait()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive)
            self.transport.start(trio.current_time())
            while not self.ended:
                await self.send()
                await trio.sleep_until(min(self.transport.get_timer(), trio.current_time() + 0.1))
                self.transport.handle_timer(trio.current_time())
            nursery.cancel_scope.cancel()

    async def _receive(self) -> None:
        received = bytearray()
        while data := await self.stream.receive_some():
            received += data
            while len(received) >= 2 and len(received) >= (end := 2 + int.from_bytes(received[:2])):
                self.transport.receive(bytes(received[2:end]), trio.current_time())
                del received[:end]
            await self.send()
            self._notify()
        self.ended = True
        self._notify()

    def _notify(self) -> None:
        self._change.set()
        self._change = trio.Event()


@asynccontextmanager
async def connect_stream(
    peer: sfu.Peer, transport: sfu.Transport, identity: Identity, address: tuple[str, int]
) -> AsyncIterator[StreamClient]:
    """Connect a client to a transport of this peer over TCP, to this address."""
    light = LightTransport(identity, transport.ice_parameters, transport.dtls_parameters, rng=random.Random())
    async with await trio.open_tcp_stream(*address) as stream, trio.open_nursery() as nursery:
        client = StreamClient(light, stream)
        peer.connect_transport(transport.id, light.dtls_parameters)
        nursery.start_soon(client.run)
        await client.until(lambda: light.connected)
        yield client
        nursery.cancel_scope.cancel()
