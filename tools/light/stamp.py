"""A stamp in a packet says when, and by which source, the packet was sent.

It is RTP padding (RFC 3550 section 5.1): encrypted and forwarded with the payload, and removed before any decoder.
So every packet may carry one, also those that full clients and browsers decode.  Times are those of the machine's
monotonic clock, which all its processes share.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import frozen

_MAGIC: Final = b"sfuL"
_STAMP: Final = struct.Struct("!4sQII3xB")
STAMP_SIZE: Final = _STAMP.size
PADDING_FLAG: Final = 0x20
"""The bit that a stamped packet has set in its first byte."""


@frozen
class Stamp:
    """Origin of a packet.

    ``sent_at`` is in nanoseconds of ``time.monotonic_ns()``, ``source`` is the sender's SSRC, and ``number`` counts its
    packets from 0.
    """

    sent_at: int
    source: int
    number: int


def write_stamp(source: int, number: int, sent_at: int) -> bytes:
    """Return the last bytes of a packet whose first byte has :data:`PADDING_FLAG`."""
    return _STAMP.pack(_MAGIC, sent_at, source, number & 0xFFFFFFFF, STAMP_SIZE)


def read_stamp_untrusted(packet: bytes) -> Stamp | None:
    """Return the stamp of a decrypted packet, or None."""
    if len(packet) < STAMP_SIZE or not packet[0] & PADDING_FLAG:
        return None
    magic, sent_at, source, number, size = _STAMP.unpack_from(packet, len(packet) - STAMP_SIZE)
    return Stamp(sent_at, source, number) if magic == _MAGIC and size == STAMP_SIZE else None
