"""What a bench sends: packets of one stream, a burst at a time, at a steady rate, and a sender report each second."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol

import trio
from attrs import define, frozen

from sfu.wire import rtcp
from sfu.wire.ntp import to_ntp
from tools.light.stamp import PADDING_FLAG, STAMP_SIZE, write_stamp

Kind = Literal["audio", "video"]
SSRC = 0x5F5
CLOCKS: Final[dict[Kind, int]] = {"audio": 48000, "video": 90000}


@frozen
class Source:
    """``burst`` packets of ``size`` payload bytes, the stamp among them, ``rate`` times a second."""

    name: str
    kind: Kind
    rate: int
    burst: int
    size: int

    def timestamp(self, burst: int) -> int:
        """Of the packets of a burst, by its number."""
        return burst * CLOCKS[self.kind] // self.rate


class Endpoint(Protocol):
    """Where packets go."""

    def send_rtp(self, packet: bytes) -> bool: ...


def packet(source: Source, ssrc: int, sequence: int, timestamp: int, *, last: bool) -> bytes:
    """One packet, stamped with this moment (see :mod:`tools.light.stamp`)."""
    payload_type = 96 if source.kind == "video" else 111
    header = struct.pack(
        "!BBHII",
        0x80 | PADDING_FLAG,
        last << 7 | payload_type,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
    )
    # A VP8 key frame's first bytes, so that receivers may begin anywhere; 0x00 for the packets behind the first.
    first = b"\x10\x00" if sequence % source.burst == 0 else b"\x00\x00"
    filling = bytes(source.size - len(first) - STAMP_SIZE)
    return header + first + filling + write_stamp(ssrc, sequence, time.monotonic_ns())


def report(source: Source, ssrc: int, bursts: int, cname: str) -> bytes | None:
    """The sender report that is due when the last of so many bursts has just left; None where none is.

    Each stream has one a second, at a moment of its own.  Who has several streams gives them all one ``cname``
    (RFC 3550 sections 6.4.1 and 6.5.1).
    """
    if bursts % source.rate != ssrc % source.rate:
        return None
    packets = bursts * source.burst
    sent = rtcp.SenderReport(
        ssrc,
        ntp=to_ntp(time.time()),
        rtp_timestamp=source.timestamp(bursts - 1) & 0xFFFFFFFF,
        packets=packets & 0xFFFFFFFF,
        octets=packets * (source.size - STAMP_SIZE) & 0xFFFFFFFF,  # the stamp is padding
    )
    return rtcp.encode([sent, rtcp.SourceDescription(ssrc, cname)])


@define
class Sender:
    """Sends a source's packets on an endpoint; sequence numbers and timestamps go on from call to call.

    ``send_rtcp`` takes its reports; without it there are none.
    """

    source: Source
    endpoint: Endpoint
    ssrc: int = SSRC
    send_rtcp: Callable[[bytes], object] | None = None
    bursts: int = 0

    async def send(self, seconds: float) -> float:
        """Send for so long; returns by how much the latest burst was late, as a look at one's own load."""
        begun, late = trio.current_time(), 0.0
        for number in range(int(seconds * self.source.rate)):
            due = begun + number / self.source.rate
            await trio.sleep_until(due)
            late = max(late, trio.current_time() - due)
            self.send_burst()
        await trio.sleep(0.2)
        return late

    def send_burst(self) -> None:
        source = self.source
        timestamp = source.timestamp(self.bursts)
        for index in range(source.burst):
            sequence = self.bursts * source.burst + index
            last = index == source.burst - 1
            self.endpoint.send_rtp(packet(source, self.ssrc, sequence, timestamp, last=last))
        self.bursts += 1
        due = report(source, self.ssrc, self.bursts, "source")
        if due is not None and self.send_rtcp is not None:
            self.send_rtcp(due)
