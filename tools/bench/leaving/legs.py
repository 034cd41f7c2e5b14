"""The media of all members: light transports on sockets of their own, moved by one task.

It looks at its sockets a few hundred times a second instead of being woken for each packet: media that comes some
milliseconds late costs nothing here, and the task that measures has the processor.  What is RTP or RTCP is counted and
not opened.
"""

from __future__ import annotations

import select
import socket
from typing import Final, Never

import trio
from attrs import define, field

from tools.bench.leaving import BenchError
from tools.light import LightTransport

LOOK_SECONDS: Final = 0.005
TIMERS_SECONDS: Final = 0.1
HANDSHAKE_SECONDS: Final = 30.0
_LARGEST: Final = 2048


@define(eq=False)
class Leg:
    """One transport; made by :meth:`Legs.open`.  ``packets`` are those of media that came."""

    legs: Legs
    transport: LightTransport
    socket: socket.socket
    packets: int = 0
    _connected: trio.Event = field(factory=trio.Event)

    def send(self) -> None:
        """Let out what was put into the transport; what the system does not take is lost, as packets are."""
        for datagram in self.transport.datagrams_to_send():
            try:
                self.socket.send(datagram)
            except OSError:
                continue

    def send_rtp(self, packet: bytes) -> bool:
        """Seal a packet and send it at once; whether the system took it."""
        try:
            self.socket.send(self.transport.seal_rtp(packet))
        except OSError:
            return False
        return True

    async def connect(self) -> None:
        """ICE and DTLS; the gateway has our parameters."""
        self.transport.start(trio.current_time())
        self.send()
        with trio.move_on_after(HANDSHAKE_SECONDS):
            await self._connected.wait()
            return
        raise BenchError(f"a DTLS handshake was not done in {HANDSHAKE_SECONDS:g} s: {self.transport.failure}")

    def close(self) -> None:
        """From one packet to the next, without a word."""
        self.legs.forget(self)
        self.socket.close()

    def receive(self, now: float) -> None:
        try:
            while True:
                datagram = self.socket.recv(_LARGEST)
                if datagram[0] & 0xC0 == 0x80:  # RTP or RTCP (RFC 7983)
                    self.packets += 1
                else:
                    self.transport.receive(datagram, now)
                    self.send()
                    if self.transport.connected:
                        self._connected.set()
        except OSError:
            return


@define(eq=False)
class Legs:
    """All transports of the bench, on one epoll."""

    _legs: dict[int, Leg] = field(factory=dict)
    _readable: select.epoll = field(factory=select.epoll)

    def open(self, transport: LightTransport, address: tuple[str, int]) -> Leg:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(address)
        leg = self._legs[sock.fileno()] = Leg(self, transport, sock)
        self._readable.register(sock, select.EPOLLIN)
        return leg

    def forget(self, leg: Leg) -> None:
        if self._legs.pop(leg.socket.fileno(), None) is not None:
            self._readable.unregister(leg.socket)

    async def run(self) -> Never:
        timers_at = trio.current_time()
        while True:
            await trio.sleep(LOOK_SECONDS)
            now = trio.current_time()
            for descriptor, _ in self._readable.poll(0):
                if (leg := self._legs.get(descriptor)) is not None:
                    leg.receive(now)
            if now >= timers_at:
                timers_at = now + TIMERS_SECONDS
                for leg in self._legs.values():
                    leg.transport.handle_timer(now)
                    leg.send()

    def close(self) -> None:
        for leg in list(self._legs.values()):
            leg.close()
        self._readable.close()
