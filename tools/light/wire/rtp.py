"""RTP headers (RFC 3550 section 5.1) and their extensions (RFC 8285), without payloads."""

from collections.abc import Iterable, Sequence
from struct import Struct

from attrs import define

from tools.light.wire.errors import BadPacket

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
"""The sender may set the lowest four bits (RFC 8285 section 4.3).  We send zeros, and ignore them when reading."""

FIXED_HEADER_SIZE = 12
FIXED_HEADER = Struct("!BBHII")
EXTENSION_HEADER = Struct("!HH")

Extensions = Sequence[tuple[int, bytes]]
"""Elements of a header extension, each with its id and its value."""

_STOP = 15  # RFC 8285 section 4.2: a reader stops at this id


@define
class RtpHeader:
    """One packet's header, read.

    ``csrcs`` are the contributing sources as they came, four bytes each.  ``extensions`` are the elements (id, value)
    in the order in which they came.  ``size`` is the size of the whole header, so the payload begins there.  With
    ``padding`` the payload's last byte is the number of padding bytes at its end.
    """

    padding: bool
    marker: bool
    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    csrcs: bytes
    extensions: Extensions
    size: int


def parse_header_untrusted(packet: bytes) -> RtpHeader:
    """Read the header of an RTP packet, or of an SRTP packet, whose header is in the clear.

    Raises ``BadPacket`` if the packet is not RTP version 2, or if it is shorter than its header claims.
    """
    if len(packet) < FIXED_HEADER_SIZE:
        raise BadPacket("RTP: shorter than a header")
    flags, second, sequence_number, timestamp, ssrc = FIXED_HEADER.unpack_from(packet)
    if flags >> 6 != 2:
        raise BadPacket("RTP: not version 2")
    csrcs_end = FIXED_HEADER_SIZE + 4 * (flags & 0x0F)
    size = csrcs_end
    extensions: Extensions = ()
    if flags & 0x10:
        size += 4
        if size > len(packet):
            raise BadPacket("RTP: the header extension is cut off")
        profile, words = EXTENSION_HEADER.unpack_from(packet, csrcs_end)
        size += 4 * words
        if size <= len(packet):
            extensions = _parse_extensions_untrusted(profile, packet[csrcs_end + 4 : size])
    if size > len(packet):
        raise BadPacket("RTP: the header is cut off")
    return RtpHeader(
        bool(flags & 0x20),
        second > 127,
        second & 0x7F,
        sequence_number,
        timestamp,
        ssrc,
        packet[FIXED_HEADER_SIZE:csrcs_end],
        extensions,
        size,
    )


def padding_size_untrusted(packet: bytes, header: RtpHeader) -> int:
    """The number of padding bytes at the packet's end.  Raises ``BadPacket`` if the payload has fewer bytes."""
    if not header.padding:
        return 0
    padding = packet[-1]
    if not 0 < padding <= len(packet) - header.size:
        raise BadPacket("RTP: more padding than payload")
    return padding


def _parse_extensions_untrusted(profile: int, block: bytes) -> Extensions:
    if profile == ONE_BYTE_PROFILE:
        return _parse_one_byte_untrusted(block)
    if profile & 0xFFF0 == TWO_BYTE_PROFILE:
        return _parse_two_byte_untrusted(block)
    return ()


def _parse_one_byte_untrusted(block: bytes) -> list[tuple[int, bytes]]:
    """Read elements in the one-byte form (RFC 8285 section 4.2).

    Each begins with four bits of id and four bits of the value's size less one.  Zero bytes between elements are
    filling.  Reading ends at the stop id, and at an element that runs over the block.  Earlier elements count.
    """
    elements = []
    at, end = 0, len(block)
    while at < end:
        head = block[at]
        at += 1
        if not head:
            continue
        number = head >> 4
        after = at + (head & 0x0F) + 1
        if number in {0, _STOP} or after > end:
            break
        elements.append((number, block[at:after]))
        at = after
    return elements


def _parse_two_byte_untrusted(block: bytes) -> list[tuple[int, bytes]]:
    """Read elements in the two-byte form (RFC 8285 section 4.3).

    Each begins with a byte of id and a byte of the value's size.  Zero bytes between elements are filling.  Reading
    ends at an element that runs over the block.  Earlier elements count.
    """
    elements = []
    at, end = 0, len(block)
    while at < end:
        number = block[at]
        at += 1
        if not number:
            continue
        if at == end or at + 1 + block[at] > end:
            break
        after = at + 1 + block[at]
        elements.append((number, block[at + 1 : after]))
        at = after
    return elements


def needs_two_bytes(number: int, size: int) -> bool:
    """Whether an element with this id and a value of this size does not fit the one-byte form."""
    return number > 14 or not 0 < size <= 16


def encode_element(number: int, value: bytes, *, two_byte: bool) -> bytes:
    """One element, without filling.  ``number`` is 1–14 in the one-byte form, 1–255 in the two-byte form."""
    if two_byte:
        return bytes((number, len(value))) + value
    return bytes((number << 4 | len(value) - 1,)) + value


def encode_extensions(elements: Extensions) -> bytes:
    """The whole extension block, in the one-byte form if that can hold all elements."""
    two_byte = any(needs_two_bytes(number, len(value)) for number, value in elements)
    body = b"".join(encode_element(number, value, two_byte=two_byte) for number, value in elements)
    body += bytes(-len(body) % 4)
    return EXTENSION_HEADER.pack(TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE, len(body) // 4) + body


def encode(
    *,
    payload_type: int,
    sequence_number: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool = False,
    csrcs: Iterable[int] = (),
    extensions: Extensions = (),
    padding: int = 0,
) -> bytes:
    """A whole plain packet.  ``padding`` (0–255) is how many bytes of padding follow the payload."""
    sources = b"".join(source.to_bytes(4) for source in csrcs)
    flags = 0x80 | bool(padding) << 5 | bool(extensions) << 4 | len(sources) // 4
    header = FIXED_HEADER.pack(flags, marker << 7 | payload_type, sequence_number, timestamp, ssrc)
    block = encode_extensions(extensions) if extensions else b""
    tail = bytes(padding - 1) + bytes((padding,)) if padding else b""
    return b"".join((header, sources, block, payload, tail))
