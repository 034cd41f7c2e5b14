"""Streams: TCP connections that carry media where UDP does not pass (ICE-TCP, RFC 6544).

The data plane reads and writes them.  This module prepares a connection for it, and names the reasons for which a
connection is not taken.
"""

import socket
from contextlib import suppress
from enum import StrEnum
from typing import Final, Protocol

LENGTH: Final = 2
"""Bytes of the length in front of each datagram (RFC 4571 section 2)."""
LARGEST_REQUEST: Final = 1500
"""Bytes of the largest Binding request.  Those of browsers have some 100."""
_STUN_HEADER: Final = 20
_BINDING_REQUEST: Final = b"\x00\x01"
_COOKIE: Final = b"\x21\x12\xa4\x42"

_UNSENT: Final = 16 * 1024  # bytes that the kernel keeps beyond those on their way: old video must not wait there
_RECEIVE_BUFFER: Final = 256 * 1024
_DEAD_AFTER: Final = 30  # seconds without an acknowledgement, as long as consent lasts (RFC 7675)
_OPTIONS: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _DEAD_AFTER),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _DEAD_AFTER),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER),
)


class Connection(Protocol):
    """The part of a socket that a stream needs before the data plane has it, of the standard library or of Trio."""

    def fileno(self) -> int: ...
    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


class StreamRefusal(StrEnum):
    """Why a connection whose first byte is none of HTTP did not become a stream, for the operator."""

    MALFORMED = "malformed"
    TOO_SLOW = "too_slow"
    GONE = "gone"
    SWITCHED_OFF = "switched_off"
    FULL = "full"
    ADDRESS_FULL = "address_full"
    TOO_MANY_OF_ADDRESS = "too_many_of_address"
    TOO_MANY_OF_TRANSPORT = "too_many_of_transport"
    UNKNOWN_USERNAME = "unknown_username"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a label, not a secret


def may_begin(first: bytes | bytearray) -> bool:
    """Whether the bytes may be the beginning of a stream's first frame, a Binding request.

    One byte tells it from HTTP, whose first byte is a letter.
    """
    size = int.from_bytes(first[:LENGTH])
    if len(first) < LENGTH:
        return not first or first[0] <= LARGEST_REQUEST >> 8
    if not _STUN_HEADER <= size <= LARGEST_REQUEST:
        return False
    kind, length, cookie = first[2:4], first[4:6], first[6:10]
    return (
        kind == _BINDING_REQUEST[: len(kind)]
        and (len(length) < 2 or int.from_bytes(length) == size - _STUN_HEADER)
        and cookie == _COOKIE[: len(cookie)]
    )


def missing_bytes(first: bytes | bytearray) -> int:
    """How many bytes to read next: those that the first frame still lacks, 0 if it is whole.

    ``first`` is as :func:`may_begin` accepts it.
    """
    if len(first) < LENGTH:
        return LENGTH - len(first)
    return LENGTH + int.from_bytes(first[:LENGTH]) - len(first)


def prepare(connection: Connection) -> None:
    """Set the options of a connection that becomes a stream: little waits in the kernel, and a dead one ends."""
    for level, option, value in _OPTIONS:
        with suppress(OSError):  # each of them helps alone
            connection.setsockopt(level, option, value)
