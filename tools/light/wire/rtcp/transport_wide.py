"""The body of transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

After the two SSRCs come the base number, the count of statuses, the reference time and the feedback count.  Chunks of
16 bits follow, which hold the status of each number.  Then comes a delta for each packet that arrived.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from tools.light.wire.errors import BadPacket
from tools.light.wire.rtcp.packets import TransportWideFeedback

_HEAD: Final = struct.Struct("!IIHH3sB")
_CHUNK: Final = struct.Struct("!H")
_LARGE_DELTA: Final = struct.Struct("!h")
_MISSING, _SMALL, _LARGE, _RESERVED = range(4)
_VECTOR, _TWO_BITS = 0x8000, 0x4000
#: Statuses of two bits, and of one bit, in a chunk that is a vector.
_IN_TWO_BITS, _IN_ONE_BIT = 7, 14
_LONGEST_RUN: Final = 0x1FFF
_MOST_STATUSES: Final = 4096


def build(packet: TransportWideFeedback) -> bytes:
    """The body of the packet, filled up to whole words.  Raises ``struct.error`` or ``OverflowError``."""
    symbols, deltas, before = [], b"", 0
    for arrival in packet.arrivals:
        if arrival is None:
            symbols.append(_MISSING)
            continue
        delta, before = arrival - before, arrival
        small = 0 <= delta <= 0xFF
        symbols.append(_SMALL if small else _LARGE)
        deltas += bytes([delta]) if small else _LARGE_DELTA.pack(delta)
    reference = packet.reference.to_bytes(3)
    head = _HEAD.pack(packet.sender_ssrc, packet.media_ssrc, packet.base, len(symbols), reference, packet.count)
    body = head + b"".join(map(_CHUNK.pack, _chunks(symbols))) + deltas
    return body + bytes(-len(body) % 4)


def _chunks(symbols: Sequence[int]) -> Iterator[int]:
    """Yield a run for at least seven equal statuses, and else a vector of seven."""
    at = 0
    while at < len(symbols):
        run = len([*next(groupby(symbols[at : at + _LONGEST_RUN]))[1]])
        if run >= _IN_TWO_BITS:
            yield symbols[at] << 13 | run
            at += run
            continue
        vector = symbols[at : at + _IN_TWO_BITS]
        packed = 0
        for place, symbol in enumerate(vector):
            packed |= symbol << 2 * (_IN_TWO_BITS - 1 - place)
        yield _VECTOR | _TWO_BITS | packed
        at += _IN_TWO_BITS


def parse_untrusted(body: bytes) -> TransportWideFeedback:
    """Read a body.  A reserved status counts as a missing packet, as for the gateway.

    Raises ``struct.error`` if the body is too short, and :exc:`BadPacket` for statuses that only waste time.
    """
    sender_ssrc, media_ssrc, base, count, reference, number = _HEAD.unpack_from(body)
    if count > _MOST_STATUSES:
        raise BadPacket("transport-wide feedback on too many packets")
    symbols: list[int] = []
    at = _HEAD.size
    while len(symbols) < count:
        (chunk,) = _CHUNK.unpack_from(body, at)
        held = _symbols(chunk)
        if not held:
            raise BadPacket("transport-wide feedback has an empty run")
        symbols += held
        at += _CHUNK.size
    arrivals: list[int | None] = []
    time = 0
    for symbol in symbols[:count]:
        if symbol in (_MISSING, _RESERVED):
            arrivals.append(None)
            continue
        if symbol == _SMALL:
            (delta,) = struct.unpack_from("!B", body, at)
        else:
            (delta,) = _LARGE_DELTA.unpack_from(body, at)
        at += symbol  # a small delta has one byte, a large one has two
        time += delta
        arrivals.append(time)
    return TransportWideFeedback(sender_ssrc, media_ssrc, base, number, int.from_bytes(reference), tuple(arrivals))


def _symbols(chunk: int) -> Sequence[int]:
    if not chunk & _VECTOR:
        return [chunk >> 13] * (chunk & _LONGEST_RUN)
    if chunk & _TWO_BITS:
        return [chunk >> 2 * place & 3 for place in reversed(range(_IN_TWO_BITS))]
    return [chunk >> place & 1 for place in reversed(range(_IN_ONE_BIT))]
