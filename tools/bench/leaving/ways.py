"""The ways in which a member's socket can close, and how long it took until all were told."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from attrs import frozen

from protocol.errors import CloseCode
from tools.bench.frames import CLOSE, frame

_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER, no seconds


@frozen
class Way:
    """``reason`` is what ``user_left`` says of one who goes this way."""

    name: str
    go: Callable[[socket.socket], object]
    reason: str


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    sock.close()


def _send_close_frame(sock: socket.socket) -> None:
    sock.send(frame(CLOSE, int(CloseCode.NORMAL).to_bytes(2)))


# A FIN by half-closing: a close() with something unread would be a reset.
WAYS: Final = (
    Way("FIN", lambda sock: sock.shutdown(socket.SHUT_WR), "disconnected"),
    Way("close frame", _send_close_frame, "left"),
    Way("reset", _reset, "disconnected"),
)


def now() -> float:
    """The one clock of all measurements."""
    return time.perf_counter()
