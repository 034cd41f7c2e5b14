"""The client's end of one transport on the network in memory.  It sends streams and checks those it receives."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import trio
from attrs import define, field

import sfu.parameters
from sfu.dataplane.interface import Path
from tools.harness.network import Link, Network
from tools.harness.offers import CLOCK_RATES, PAYLOAD_TYPES
from tools.light.transport import LightTransport

#: Packets a second of one stream.  That is enough to show gaps, and few enough to be cheap.
PACKETS_PER_SECOND = 10
# The first bytes of a VP8 key frame (RFC 7741, section 4.2).  Every packet is one, so receivers can begin anywhere.
_VP8_KEY_FRAME = bytes([0x10, 0x00])
_HEADER = struct.Struct("!BBHII")


@define
class ReceivedStream:
    """Counts of the packets that arrived with one SSRC, which should all be from ``producer``.

    The sender numbers its packets.  ``first`` and ``last`` are the lowest and highest number that arrived.  ``gaps``
    counts skipped numbers, ``repeated`` counts numbers that came late or again, ``strange`` counts packets of other
    producers.
    """

    producer: str
    first: int
    last: int = 0
    last_at: float = 0.0
    packets: int = 0
    gaps: int = 0
    repeated: int = 0
    strange: int = 0

    def take(self, producer: str, number: int, now: float) -> None:
        self.packets += 1
        self.strange += producer != self.producer
        self.last_at = now
        if self.packets > 1:
            self.gaps += max(0, number - self.last - 1)
            self.repeated += number <= self.last
        self.last = max(self.last, number)


@define(eq=False)
class Endpoint:
    """Made by :meth:`tools.harness.world.World.endpoint`.

    ``streams`` has the received streams by SSRC.  ``settled`` is set once the endpoint is connected or closed.  While
    ``quiet`` it sends no media.
    """

    transport: LightTransport
    path: Path
    network: Network
    link: Link = field(init=False)
    streams: dict[int, ReceivedStream] = field(factory=dict)
    closed: bool = False
    quiet: bool = False
    settled: trio.Event = field(factory=trio.Event)
    _wake: trio.Event = field(factory=trio.Event)

    @property
    def dtls_parameters(self) -> dict[str, Any]:
        ours: sfu.parameters.DtlsParameters = self.transport.dtls_parameters
        fingerprints = [{"algorithm": one.algorithm, "value": one.value} for one in ours.fingerprints]
        return {"role": ours.role, "fingerprints": fingerprints}

    @property
    def parameters(self) -> dict[str, Any]:
        """The client's parameters for ``connect_transport``."""
        ice = self.transport.ice_credentials
        credentials = {"usernameFragment": ice.username_fragment, "password": ice.password}
        return {"dtlsParameters": self.dtls_parameters, "iceParameters": credentials}

    def receive(self, datagram: bytes) -> None:
        """Take a datagram from the network."""
        self.transport.receive(datagram, trio.current_time())
        if self.transport.connected:
            self.settled.set()
        for packet in self.transport.rtp:
            self._check(packet)
        self.transport.rtp.clear()
        self.transport.rtcp.clear()
        self.flush()

    def flush(self) -> None:
        """Send the datagrams that the transport has ready."""
        for datagram in self.transport.datagrams_to_send():
            self.network.send(self.link.to_gateway, datagram)
        self._wake.set()

    async def run(self) -> None:
        """Connect with ICE and DTLS, and serve the transport's timers, until :meth:`close`."""
        self.transport.start(trio.current_time())
        while not self.closed:
            self.flush()
            self._wake = trio.Event()
            with trio.move_on_at(self.transport.get_timer()):
                await self._wake.wait()
            self.transport.handle_timer(trio.current_time())

    def close(self) -> None:
        """Close the endpoint.  Datagrams to its address are lost from now on."""
        self.closed = True
        self.settled.set()
        self._wake.set()
        self.network.disconnect(self.path)

    async def speak(self, kind: str, ssrc: int, producer_id: str) -> None:
        """Send a stream until the endpoint is closed or ``quiet``.  Each packet holds the producer id and a number."""
        ticks = CLOCK_RATES[kind] // PACKETS_PER_SECOND
        for number in itertools.count(1):
            if self.closed or self.quiet:
                return
            payload = (_VP8_KEY_FRAME if kind == "video" else b"") + b"%s %d" % (producer_id.encode(), number)
            header = _HEADER.pack(0x80, PAYLOAD_TYPES[kind] | 0x80, number & 0xFFFF, number * ticks & 0xFFFFFFFF, ssrc)
            self.transport.send_rtp(header + payload)
            self.flush()
            await trio.sleep(1 / PACKETS_PER_SECOND)

    def _check(self, packet: bytes) -> None:
        first, _, _, _, ssrc = _HEADER.unpack_from(packet)
        offset = _HEADER.size + 4 * (first & 15)
        if first & 0x10:
            offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4])
        origin, _, number = packet[offset:].removeprefix(_VP8_KEY_FRAME).decode().partition(" ")
        stream = self.streams.get(ssrc)
        if stream is None:
            stream = self.streams[ssrc] = ReceivedStream(origin, int(number))
        stream.take(origin, int(number), trio.current_time())
