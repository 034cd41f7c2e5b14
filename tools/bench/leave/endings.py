"""The ways in which a member's TCP connection can end."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from attrs import frozen

from protocol.errors import CloseCode
from protocol.events import LeaveReason
from tools.light.frames import CLOSE, frame

_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no seconds


@frozen
class Ending:
    """``reason`` is the gateway's in ``user_left`` after ``end`` has ended a connection."""

    name: str
    end: Callable[[socket.socket], object]
    reason: LeaveReason


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    sock.close()


def _send_close_frame(sock: socket.socket) -> None:
    sock.send(frame(CLOSE, int(CloseCode.NORMAL).to_bytes(2)))


# Half-closing sends a FIN; close() with unread data would send a reset.
ENDINGS: Final = (
    Ending("FIN", lambda sock: sock.shutdown(socket.SHUT_WR), "disconnected"),
    Ending("close frame", _send_close_frame, "left"),
    Ending("reset", _reset, "disconnected"),
)


def now() -> float:
    """Return the time of the one clock that all measurements use, in seconds."""
    return time.perf_counter()
