"""When a packet was sent, in the packet."""

from __future__ import annotations


def read_stamp(packet: bytes) -> int:
    """Nanoseconds since the epoch, from an opened packet's last eight bytes."""
    return int.from_bytes(packet[-8:])
