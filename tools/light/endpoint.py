"""A light transport on a UDP socket of its own."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define

from tools.light.loss import NetworkLoss, RandomLoss
from tools.light.packet_meter import PacketMeter
from tools.light.poller import Poller
from tools.light.sockets import arrived_at, open_socket
from tools.light.transport import IceParameters, LightTransport
from tools.light.wide_arrivals import WideArrivals
from tools.light.wire import rtcp

#: Datagrams that one call reads from one socket.
BATCH: Final = 64
#: Seconds between two receiver reports, as browsers send them about audio.
REPORT_SECONDS: Final = 5.0
_LARGEST: Final = 2048
# One buffer for all sockets: each datagram is handled before the next is read.
_buffer = bytearray(_LARGEST)
_view = memoryview(_buffer)


@define
class DatagramCounts:
    """Counts whole datagrams of every protocol, of one socket or of many.

    ``unsent`` counts datagrams that the system did not take, for example because the socket was full.  ``errors``
    counts ICMP errors about datagrams sent earlier.  ``lost_in`` and ``lost_out`` count media that the client lost on
    purpose.  It had arrived, so it counts as received.  It was not sent, so it does not count as sent.  ``feedback``
    counts packets of transport-wide feedback.
    """

    sent: int = 0
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    sent_rtp: int = 0
    received_rtp: int = 0
    unsent: int = 0
    errors: int = 0
    lost_in: int = 0
    lost_out: int = 0
    feedback: int = 0


class LightEndpoint:
    """A light transport and its UDP ``socket``.  :func:`run_endpoint` makes it.

    A ``packet_meter`` counts RTP packets without waking a task, and asks for those that are missing.  Without one,
    ``transport.rtp`` collects the decrypted packets.  ``on_rtcp`` gets each decrypted RTCP packet.  Without it,
    ``transport.rtcp`` collects RTCP packets, but an endpoint with a ``packet_meter`` drops them undecrypted.  ``loss``
    makes the network of this endpoint a bad one.  ``wide`` has the arrivals that the endpoint reports, after
    :meth:`report_arrivals`.
    """

    #: Transport-wide numbers that this endpoint's streams have taken.
    wide_numbers: int = 0

    def __init__(
        self,
        transport: LightTransport,
        sock: socket.socket,
        *,
        packet_meter: PacketMeter | None = None,
        on_rtcp: Callable[[bytes], object] | None = None,
        loss: NetworkLoss | None = None,
    ) -> None:
        self.transport = transport
        self.packet_meter = packet_meter
        self.on_rtcp = on_rtcp
        self.traffic = DatagramCounts()
        self.socket = sock
        self.wide: WideArrivals | None = None
        self._loss_in: RandomLoss | None = None if loss is None else loss.receiving()
        self._loss_out: RandomLoss | None = None if loss is None else loss.sending()
        #: Only a client that loses packets sends receiver reports.  Else they would be a load that nobody asked for.
        self._next_report = math.inf if self._loss_in is None else 0.0
        self._size = 0
        self._arrival = trio.Event()
        self._departure = trio.Event()
        self._reading = trio.CancelScope()
        self._running = trio.CancelScope()
        self._poller: Poller | None = None
        self._next_rtp: trio.Event | None = None

    def start(self) -> None:
        """Begin with ICE.  DTLS follows by itself."""
        self.transport.start(trio.current_time())
        self.send()

    async def until(self, condition: Callable[[], object], seconds: float = 5) -> None:
        """Wait until ``condition`` holds, and check it after each received datagram.

        Raises ``trio.TooSlowError`` after ``seconds``.
        """
        with trio.fail_after(seconds):
            while not condition():
                await self._arrival.wait()

    async def connected(self, seconds: float = 5) -> None:
        await self.until(lambda: self.transport.connected, seconds)

    def send(self) -> None:
        """Send the transport's queued datagrams now."""
        for datagram in self.transport.datagrams_to_send():
            self._transmit(datagram)
        self._departure.set()

    def send_rtp(self, packet: bytes) -> bool:
        """Encrypt a packet and send it now, without waking a task.  Return whether the system took it."""
        sent = self._transmit(self.transport.seal_rtp(packet))
        self.traffic.sent_rtp += sent
        return sent

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt a compound packet and send it at once."""
        self.transport.send_rtcp(packet)
        self.send()

    def _transmit(self, datagram: bytes) -> bool:
        traffic = self.traffic
        if self._loss_out is not None and self._loss_out.loses(datagram[0]):
            traffic.lost_out += 1
            return True  # the sender of a packet never learns of its loss
        for _ in range(2):
            try:
                self.socket.send(datagram)
            except ConnectionRefusedError:
                # The error is about an earlier datagram.  The system reports it once, in place of sending this
                # datagram, so try once more.
                traffic.errors += 1
            except OSError:
                break
            else:
                traffic.sent += 1
                traffic.sent_bytes += len(datagram)
                return True
        traffic.unsent += 1
        return False

    def move_to(self, sock: socket.socket) -> None:
        """Use another connected socket from now on, and close the one before, as if the client's address changed."""
        before, self.socket = self.socket, sock
        if self._poller is not None:
            self._poller.remove(before)
            self._poller.add(sock, self.read)
        trio.lowlevel.notify_closing(before)
        before.close()
        self.transport.check_again(trio.current_time())
        self.send()

    def restart_ice(self, parameters: IceParameters) -> None:
        """Use the credentials from ``restart_ice`` and check the path at once."""
        self.transport.use_ice(parameters)
        self.transport.check_again(trio.current_time())
        self.send()

    def report_arrivals(self, extension_id: int) -> None:
        """Report from now on when packets with transport-wide numbers arrive.  The id is that of the extension."""
        if self.wide is None:
            self.wide = WideArrivals(extension_id)

    def take_wide_number(self) -> bytes:
        """Return the transport-wide number of the next packet that this endpoint sends."""
        self.wide_numbers += 1
        return (self.wide_numbers - 1 & 0xFFFF).to_bytes(2)

    async def next_rtp(self) -> None:
        """Wait until the next RTP packet arrives."""
        if self._next_rtp is None:
            self._next_rtp = trio.Event()
        await self._next_rtp.wait()

    def close(self) -> None:
        """End :func:`run_endpoint`.  It closes the socket without a goodbye to the server."""
        self._running.cancel()

    async def run(self) -> None:
        """Handle the transport's timers until closed or cancelled."""
        with self._running:
            await self._run()

    async def _run(self) -> None:
        while True:
            # Make the new event before sending.  So a datagram that is queued from now on ends the wait below.
            self._departure = trio.Event()
            for datagram in self.transport.datagrams_to_send():
                self._transmit(datagram)
            due = (self.transport.get_timer(), self._next_request(), self._next_report, self._next_feedback())
            with trio.move_on_at(min(due)):
                await self._departure.wait()
            self.transport.handle_timer(trio.current_time())
            self._request_missing()
            self._report()
            self._report_arrivals()

    def _next_feedback(self) -> float:
        """Return when feedback about arrivals is due, on Trio's clock."""
        return math.inf if self.wide is None else trio.current_time() + self.wide.due - time.monotonic()

    def _report_arrivals(self) -> None:
        if self.wide is not None and time.monotonic() >= self.wide.due and self.transport.connected:
            for packet in self.wide.take_feedback():
                self.traffic.feedback += 1
                self.send_rtcp(rtcp.encode([packet]))

    def _report(self) -> None:
        """Send the receiver reports that are due.  They let the gateway know how much audio to repeat."""
        now = trio.current_time()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            if self.packet_meter is not None and self.transport.connected:
                for packet in rtcp.compounds(self.packet_meter.reports()):
                    self.send_rtcp(packet)

    def _next_request(self) -> float:
        """Return when the packet meter has something to ask for, on Trio's clock."""
        packet_meter = self.packet_meter
        if packet_meter is None or not packet_meter.lacking:
            return math.inf
        return trio.current_time() + packet_meter.next_request - packet_meter.clock()

    def _request_missing(self) -> None:
        packet_meter = self.packet_meter
        if packet_meter is not None and packet_meter.lacking and self.transport.connected:
            for packet in rtcp.compounds(packet_meter.take_requests()):
                self.send_rtcp(packet)

    async def run_receiver(self) -> None:
        """Read the socket as soon as it is readable, until cancelled or until :meth:`stop_reading`.

        A :class:`Poller` does the same for the sockets of many endpoints.
        """
        with self._reading:
            while True:
                try:
                    await trio.lowlevel.wait_readable(self.socket)
                except trio.ClosedResourceError:
                    continue  # :meth:`move_to` put another one in its place
                self.read()

    def use_poller(self, poller: Poller) -> None:
        """Let ``poller`` read the socket from now on."""
        poller.add(self.socket, self.read)
        self._poller = poller

    def stop_reading(self) -> None:
        """Stop reading the socket here, so that another reader may begin.  Sending goes on."""
        self._reading.cancel()
        if self._poller is not None:
            self._poller.remove(self.socket)
            self._poller = None

    def read(self) -> None:
        """Handle the datagrams that have arrived, at most :data:`BATCH`."""
        waited = self.wide is not None and self.wide.due == math.inf
        self._read_batch()
        if waited and self.wide is not None and self.wide.due < math.inf:
            self._departure.set()  # the timer of :meth:`run` must know
        # After the whole batch: packets that only came out of order are there now.
        if self.packet_meter is not None and self.packet_meter.lacking:
            self._request_missing()

    def _read_batch(self) -> None:
        receive, traffic, packet_meter = self.socket.recv_into, self.traffic, self.packet_meter
        loss = self._loss_in
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
            if loss is not None and loss.loses(_buffer[0]):
                traffic.lost_in += 1
                continue
            # The first byte is that of RTP or RTCP (RFC 7983).  The second byte tells which (RFC 5761 section 4).
            if 128 <= _buffer[0] <= 191 and size > 1:
                if 192 <= _buffer[1] <= 223:
                    if packet_meter is not None and self.on_rtcp is None:
                        continue
                else:
                    traffic.received_rtp += 1
                    if self.wide is not None:
                        self.wide.take_untrusted(_buffer, size, self.arrived_at)
                    if self._next_rtp is not None:
                        self._next_rtp.set()
                        self._next_rtp = None
                    if packet_meter is not None:
                        self._size = size
                        packet_meter.receive_untrusted(_buffer, size, self._opened, self.arrived_at)
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
        return arrived_at(self.socket)


async def run_endpoint(
    transport: LightTransport,
    address: tuple[str, int],
    *,
    poller: Poller | None = None,
    packet_meter: PacketMeter | None = None,
    on_rtcp: Callable[[bytes], object] | None = None,
    loss: NetworkLoss | None = None,
    sock: socket.socket | None = None,
    task_status: trio.TaskStatus[LightEndpoint] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Move a transport's datagrams between a UDP socket and the server's ``address``, until cancelled.

    Send the gateway :attr:`LightTransport.dtls_parameters` in ``connect_transport``, then call
    :meth:`LightEndpoint.start`.  A ``poller`` reads the socket if there is one, and else a task of this function does.
    ``sock`` is a connected socket.  Without it, this function opens one.  Raises ``OSError`` if no route leads to the
    address.
    """
    connected = sock or open_socket(address)
    endpoint = LightEndpoint(transport, connected, packet_meter=packet_meter, on_rtcp=on_rtcp, loss=loss)
    try:
        async with trio.open_nursery() as nursery:
            if poller is None:
                nursery.start_soon(endpoint.run_receiver)
            else:
                endpoint.use_poller(poller)
            try:
                task_status.started(endpoint)
                await endpoint.run()
            finally:
                endpoint.stop_reading()
    finally:
        endpoint.socket.close()


@asynccontextmanager
async def open_endpoint(transport: LightTransport, address: tuple[str, int]) -> AsyncIterator[LightEndpoint]:
    """Run an endpoint, as :func:`run_endpoint` does, for as long as the block runs."""
    async with trio.open_nursery() as nursery:
        yield await nursery.start(run_endpoint, transport, address)
        nursery.cancel_scope.cancel()
