"""Redundant audio (RED, RFC 2198), as much of it as light clients read."""

from __future__ import annotations

from typing import Final

from tools.light.wire import rtp
from tools.light.wire.errors import BadPacket

_MORE: Final = 0x80
_HEADER_SIZE: Final = 4


def count_redundant_blocks_untrusted(packet: bytes) -> int:
    """Return how many earlier payloads a decrypted RED packet repeats, or 0 for a malformed one (RFC 2198 section 3).

    Senders leave no packet out.  So the last redundant block is the packet before this one.
    """
    try:
        header = rtp.parse_header_untrusted(packet)
        end = len(packet) - rtp.padding_size_untrusted(packet, header)
    except BadPacket:
        return 0
    count, size, at = 0, 0, header.size
    while at + _HEADER_SIZE <= end and packet[at] & _MORE:
        size += int.from_bytes(packet[at + 2 : at + 4]) & 0x3FF
        count += 1
        at += _HEADER_SIZE
    return count if at + 1 + size <= end and not packet[at] & _MORE else 0
