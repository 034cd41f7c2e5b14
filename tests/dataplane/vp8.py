"""VP8 payloads for tests."""


def vp8(
    *,
    key: bool = False,
    begins: bool = True,
    picture: int | None = None,
    bits: int = 15,
    tl0: int | None = None,
    temporal: int | None = None,
    sync: bool = False,
    body: bytes = b"frame",
) -> bytes:
    """A descriptor (RFC 7741 section 4.2) with the given fields, and the first byte of the frame if one begins."""
    extended = 0
    rest = b""
    if picture is not None:
        extended |= 0x80
        rest += (0x8000 | picture & 0x7FFF).to_bytes(2) if bits == 15 else bytes((picture & 0x7F,))
    if tl0 is not None:
        extended |= 0x40
        rest += bytes((tl0 & 0xFF,))
    if temporal is not None:
        extended |= 0x20
        rest += bytes((temporal << 6 | sync << 5,))
    first = 0x10 if begins else 0
    descriptor = bytes((first | 0x80, extended)) + rest if extended else bytes((first,))
    return descriptor + (bytes((0 if key else 1,)) if begins else b"\xee") + body
