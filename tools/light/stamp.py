"""When and as what a packet was sent, in the packet itself.

The stamp is RTP padding (RFC 3550 section 5.1): encrypted with the payload, forwarded with it, and taken off before a
decoder sees anything, whatever the codec.  So it may ride on every packet, also on those that full clients and
browsers decode.  Times are those of the machine's monotonic clock, which all processes on it share.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import frozen

_MAGIC: Final = b"sfuL"
_STAMP: Final = struct.Struct("!4sQII3xB")
STAMP_SIZE: Final = _STAMP.size
PADDING_FLAG: Final = 0x20
"""What a stamped packet has set in its first byte."""


@frozen
class Stamp:
    """``sent_at`` in nanoseconds of ``time.monotonic_ns()``; ``source`` is the sender's SSRC, ``number`` counts the
    packets of it from 0."""

    sent_at: int
    source: int
    number: int


def write_stamp(source: int, number: int, sent_at: int) -> bytes:
    """The end of a packet whose first byte has :data:`PADDING_FLAG`."""
    return _STAMP.pack(_MAGIC, sent_at, source, number & 0xFFFFFFFF, STAMP_SIZE)


def read_stamp_untrusted(packet: bytes) -> Stamp | None:
    """The stamp of an opened packet; None where it has none."""
    if len(packet) < STAMP_SIZE or not packet[0] & PADDING_FLAG:
        return None
    magic, sent_at, source, number, size = _STAMP.unpack_from(packet, len(packet) - STAMP_SIZE)
    return Stamp(sent_at, source, number) if magic == _MAGIC and size == STAMP_SIZE else None
