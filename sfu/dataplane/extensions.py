"""Header extensions from the producer's ids to what one kind of consumer takes (RFC 8285)."""

from collections.abc import Mapping, Sequence

from sfu.wire.rtp import (
    EXTENSION_HEADER,
    ONE_BYTE_PROFILE,
    TWO_BYTE_PROFILE,
    encode_element,
    needs_two_bytes,
)


class MidElement:
    """The element that names a consumer's media section (RFC 8843 section 15), in both forms."""

    __slots__ = ("needs_two_bytes", "one_byte", "two_byte")

    def __init__(self, number: int, mid: str) -> None:
        value = mid.encode()
        self.needs_two_bytes = needs_two_bytes(number, len(value))
        self.one_byte = b"" if self.needs_two_bytes else encode_element(number, value, two_byte=False)
        self.two_byte = encode_element(number, value, two_byte=True)


class ExtensionRewriter:
    """All of a packet's ids at once, shared by the consumers whose blocks differ in the MID's value alone.

    A block is ``head``, the consumer's MID element in the form that ``two_byte`` says, ``tail``.
    """

    __slots__ = ("__weakref__", "_ids", "_mid", "head", "serial", "tail", "two_byte")

    def __init__(self, ids: Mapping[int, int], mid: MidElement | None) -> None:
        """``ids`` are the client's ids that are taken, with the router's for each; ``mid`` any one of the sharers'."""
        self._ids = dict(ids)
        self._mid = mid
        self.serial = -1
        self.two_byte = False
        self.head = self.tail = b""

    def rewrite(self, elements: Sequence[tuple[int, bytes]], serial: int) -> None:
        """Prepare ``head`` and ``tail`` for the packet ``serial``; both are empty where there is nothing to say."""
        self.serial = serial
        ids, mid = self._ids, self._mid
        taken = [(ids[number], value) for number, value in elements if number in ids]
        two_byte = any(needs_two_bytes(number, len(value)) for number, value in taken)
        size = 0
        if mid is not None:
            two_byte = two_byte or mid.needs_two_bytes
            size = len(mid.two_byte if two_byte else mid.one_byte)
        tail = b"".join([encode_element(number, value, two_byte=two_byte) for number, value in taken])
        size += len(tail)
        self.two_byte = two_byte
        self.tail = tail + bytes(-size % 4)
        profile = TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE
        self.head = EXTENSION_HEADER.pack(profile, (size + 3) // 4) if size else b""
