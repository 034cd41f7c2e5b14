"""WebSocket frames as a client writes and reads them (RFC 6455), without extensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_FINAL: Final = 0x80
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
# A client must mask its frames (section 5.3).  A key of zeros leaves the payload unchanged, and masking costs no time.
_KEY: Final = bytes(4)


def upgrade_request(host: str, path: str, subprotocol: str) -> bytes:
    """Return the HTTP request that opens a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Sec-WebSocket-Protocol: {subprotocol}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """Return one masked frame with a whole message."""
    size = len(payload)
    if size < _TWO_BYTES:
        length = bytes([_MASKED | size])
    elif size < 1 << 16:
        length = bytes([_MASKED | _TWO_BYTES]) + size.to_bytes(2)
    else:
        length = bytes([_MASKED | _EIGHT_BYTES]) + size.to_bytes(8)
    return bytes([_FINAL | opcode]) + length + _KEY + payload


def take_frames(buffer: bytearray) -> Iterator[tuple[int, bool, bytes]]:
    """Yield each whole frame from a server: its opcode, whether it is the last of its message, and its payload.

    Incomplete data stays in ``buffer``.
    """
    start, end = 0, len(buffer)
    while end - start >= 2:
        size, header = buffer[start + 1], 2
        if size == _TWO_BYTES:
            size, header = int.from_bytes(buffer[start + 2 : start + 4]), 4
        elif size == _EIGHT_BYTES:
            size, header = int.from_bytes(buffer[start + 2 : start + 10]), 10
        if end - start < header or end - start - header < size:
            break
        yield (
            buffer[start] & _OPCODE,
            buffer[start] & _FINAL != 0,
            bytes(buffer[start + header : start + header + size]),
        )
        start += header + size
    del buffer[:start]
