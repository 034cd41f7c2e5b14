"""A light transport on a UDP socket of its own."""

from __future__ import annotations

import fcntl
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio
from attrs import define

from tools.light.poller import Poller
from tools.light.reception import Reception
from tools.light.transport import LightTransport

#: Datagrams of one socket that are read in one go.
BATCH: Final = 64
_LARGEST: Final = 2048
_RECEIVE_BUFFER: Final = 1024 * 1024
# <asm-generic/sockios.h>: when the datagram that was read last arrived, by the system's clock.
_SIOCGSTAMPNS: Final = 0x8907
_TIMESPEC: Final = struct.Struct("qq")
# One for all: what is read is worked off before the next is read.
_buffer = bytearray(_LARGEST)
_view = memoryview(_buffer)


@define
class Traffic:
    """Datagrams of one socket or of many, whole, of every protocol.

    ``unsent`` did not fit into the socket, or the system would not send them; ``errors`` are what the network said
    about earlier ones.
    """

    sent: int = 0
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    sent_rtp: int = 0
    received_rtp: int = 0
    unsent: int = 0
    errors: int = 0


class LightEndpoint:
    """Made by :func:`run_endpoint`.

    Without a ``reception`` each packet is opened and kept in ``transport.rtp``.  With one it is counted there, and
    nobody is woken for it.  ``on_rtcp`` is called with each RTCP packet, opened; without it they are kept in
    ``transport.rtcp``.
    """

    def __init__(
        self,
        transport: LightTransport,
        sock: socket.socket,
        *,
        reception: Reception | None = None,
        on_rtcp: Callable[[bytes], object] | None = None,
    ) -> None:
        self.transport = transport
        self.reception = reception
        self.on_rtcp = on_rtcp
        self.traffic = Traffic()
        self._socket = sock
        self._size = 0
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
        """Something was put into the transport: let it out, at once."""
        for datagram in self.transport.datagrams_to_send():
            self._transmit(datagram)
        self._departure.set()

    def send_rtp(self, packet: bytes) -> bool:
        """Seal a packet and send it at once; whether the system took it.  No task is woken for it."""
        sent = self._transmit(self.transport.seal_rtp(packet))
        self.traffic.sent_rtp += sent
        return sent

    def send_rtcp(self, packet: bytes) -> None:
        """Seal a compound packet and send it at once."""
        self.transport.send_rtcp(packet)
        self.send()

    def _transmit(self, datagram: bytes) -> bool:
        traffic = self.traffic
        for _ in range(2):
            try:
                self._socket.send(datagram)
            except ConnectionRefusedError:
                # About an earlier one; the error is told once, and this one was not sent.
                traffic.errors += 1
            except OSError:
                break
            else:
                traffic.sent += 1
                traffic.sent_bytes += len(datagram)
                return True
        traffic.unsent += 1
        return False

    async def run(self) -> None:
        """Do what time brings, until cancelled."""
        while True:
            # Before the send: what is added while this waits must not be missed.
            self._departure = trio.Event()
            for datagram in self.transport.datagrams_to_send():
                self._transmit(datagram)
            with trio.move_on_at(self.transport.get_timer()):
                await self._departure.wait()
            self.transport.handle_timer(trio.current_time())

    async def run_receiver(self) -> None:
        """Read the socket as soon as there is something; what a :class:`Poller` does for many."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            self.read()

    def read(self) -> None:
        """Work off what has arrived, a bounded number of datagrams."""
        receive, traffic, reception = self._socket.recv_into, self.traffic, self.reception
        for _ in range(BATCH):
            try:
                size = receive(_buffer)
            except BlockingIOError:
                return
            except OSError:
                traffic.errors += 1
                continue
            traffic.received += 1
            traffic.received_bytes += size
            # RTP, and not RTCP (RFC 7983, RFC 5761 section 4)
            if 128 <= _buffer[0] <= 191 and not 192 <= _buffer[1] <= 223 and size > 1:
                traffic.received_rtp += 1
                if reception is not None:
                    self._size = size
                    reception.receive_untrusted(_buffer, size, self._opened, self.arrived_at)
                    continue
            self._take(bytes(_view[:size]))

    def _take(self, datagram: bytes) -> None:
        transport = self.transport
        transport.receive(datagram, trio.current_time())
        if self.on_rtcp is not None:
            for packet in transport.rtcp:
                self.on_rtcp(packet)
            transport.rtcp.clear()
        self.send()
        self._arrival.set()
        self._arrival = trio.Event()

    def _opened(self) -> bytes | None:
        return self.transport.open_rtp(bytes(_view[: self._size]))

    def arrived_at(self) -> int:
        """When the datagram that was read last reached the socket, in nanoseconds of ``time.monotonic_ns()``.

        The system has noted it, so how late this process came to read it does not count.
        """
        now = time.monotonic_ns()
        try:
            noted = fcntl.ioctl(self._socket, _SIOCGSTAMPNS, bytes(_TIMESPEC.size))
        except OSError:  # not noted
            return now
        seconds, nanoseconds = _TIMESPEC.unpack(noted)
        ago: int = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
        return now - max(0, ago)


def open_socket(address: tuple[str, int]) -> socket.socket:
    """A UDP socket that talks to this address alone, from whichever of our addresses leads there.

    Raises ``OSError``.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.connect(address)
        with suppress(OSError):  # nothing was read yet; from now on the system notes when datagrams arrive
            fcntl.ioctl(sock, _SIOCGSTAMPNS, bytes(_TIMESPEC.size))
    except BaseException:
        sock.close()
        raise
    return sock


async def run_endpoint(
    transport: LightTransport,
    address: tuple[str, int],
    *,
    poller: Poller | None = None,
    reception: Reception | None = None,
    on_rtcp: Callable[[bytes], object] | None = None,
    task_status: trio.TaskStatus[LightEndpoint] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Move a transport's datagrams between a socket of its own and the gateway's ``address``, until cancelled.

    Tell the gateway :attr:`LightTransport.dtls_parameters` by ``connect_transport``, then :meth:`LightEndpoint.start`.
    With a ``poller`` the socket is read by it instead of by a task of its own.  Raises ``OSError`` where there is no
    way to the address.
    """
    with open_socket(address) as sock:
        endpoint = LightEndpoint(transport, sock, reception=reception, on_rtcp=on_rtcp)
        async with trio.open_nursery() as nursery:
            if poller is None:
                nursery.start_soon(endpoint.run_receiver)
            else:
                poller.add(sock, endpoint.read)
            try:
                task_status.started(endpoint)
                await endpoint.run()
            finally:
                if poller is not None:
                    poller.remove(sock)


@asynccontextmanager
async def open_endpoint(transport: LightTransport, address: tuple[str, int]) -> AsyncIterator[LightEndpoint]:
    """:func:`run_endpoint` for as long as the block runs."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(run_endpoint, transport, address)
        nursery.cancel_scope.cancel()
