"""UDP sockets whose datagrams the kernel stamps with their time of arrival."""

from __future__ import annotations

import fcntl
import socket
import struct
import time
from contextlib import suppress
from typing import Final

_RECEIVE_BUFFER: Final = 1024 * 1024
# <asm-generic/sockios.h>: the arrival time of the datagram that was read last, by the system's clock.
_SIOCGSTAMPNS: Final = 0x8907
_TIMESPEC: Final = struct.Struct("qq")


def arrived_at(sock: socket.socket) -> int:
    """Return when the newest datagram reached the socket, in nanoseconds of ``time.monotonic_ns()``.

    The kernel noted that time, so a late read does not change it.
    """
    now = time.monotonic_ns()
    try:
        noted = fcntl.ioctl(sock, _SIOCGSTAMPNS, bytes(_TIMESPEC.size))
    except OSError:  # the kernel noted no time
        return now
    seconds, nanoseconds = _TIMESPEC.unpack(noted)
    ago: int = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
    return now - max(0, ago)


def note_arrivals(sock: socket.socket) -> None:
    """Let the kernel note arrival times from now on, for :func:`arrived_at`."""
    # The call itself fails, because no datagram was read yet.
    with suppress(OSError):
        fcntl.ioctl(sock, _SIOCGSTAMPNS, bytes(_TIMESPEC.size))


def open_socket(address: tuple[str, int], *, host: str | None = None) -> socket.socket:
    """Return a UDP socket that is connected to this address, from ``host`` if it is given.  Raises ``OSError``."""
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if host is not None:
            sock.bind((host, 0))
        sock.connect(address)
        note_arrivals(sock)
    except BaseException:
        sock.close()
        raise
    return sock
