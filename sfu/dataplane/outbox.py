"""What one poll sends, collected by receiver: several datagrams for one are handed to the kernel at once."""

import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

from sfu.dataplane.interface import Drop, Path

_SEGMENT: Final = 103  # UDP_SEGMENT of linux/udp.h, since Linux 4.18; Python has no name for it
_SIZE: Final = struct.Struct("@H")
_MAX_SEGMENTS: Final = 64
_MAX_BYTES: Final = 65000

Undo = Callable[[Drop, list[bytes]], None]
"""Told of what could not be sent after all."""


class Outbox:
    """Empty whenever nobody polls, so that nothing waits here that a removal would have to find."""

    def __init__(self, sockets: list[socket.socket], undo: Undo) -> None:
        self._sockets = sockets
        self._undo = undo
        self._waiting: dict[Path, list[bytes]] = {}
        self._segments = all(map(can_segment, sockets))

    def put(self, path: Path, datagram: bytes) -> None:
        waiting = self._waiting.get(path)
        if waiting is None:
            self._waiting[path] = [datagram]
        else:
            waiting.append(datagram)

    def send(self, path: Path, datagram: bytes) -> Drop | None:
        """At once, or why not."""
        try:
            self._sockets[path.local].sendto(datagram, path[:2])
        except BlockingIOError:
            return Drop.SEND_WOULD_BLOCK
        except (OSError, IndexError):
            return Drop.SEND_FAILED
        return None

    def flush(self) -> None:
        for path, datagrams in self._waiting.items():
            if len(datagrams) == 1 or not self._segments:
                self._send_each(path, datagrams)
                continue
            for run in runs(datagrams):
                if len(run) == 1:
                    self._send_each(path, run)
                else:
                    self._send_together(path, run)
        self._waiting.clear()

    def _send_each(self, path: Path, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            if (drop := self.send(path, datagram)) is not None:
                self._undo(drop, [datagram])

    def _send_together(self, path: Path, run: list[bytes]) -> None:
        size = _SIZE.pack(len(run[0]))
        try:
            self._sockets[path.local].sendmsg(run, [(socket.IPPROTO_UDP, _SEGMENT, size)], 0, path[:2])
        except BlockingIOError:
            self._undo(Drop.SEND_WOULD_BLOCK, run)
        except (OSError, IndexError):
            # Perhaps this way has no segmentation (a tunnel, an odd MTU).
            self._send_each(path, run)


def runs(datagrams: list[bytes]) -> Iterator[list[bytes]]:
    """In their order, such that all of a run have the first one's size, but the last, which may have less."""
    run: list[bytes] = []
    size = total = 0
    for datagram in datagrams:
        length = len(datagram)
        if run and (length > size or len(run[-1]) < size or len(run) == _MAX_SEGMENTS or total + length > _MAX_BYTES):
            yield run
            run = []
        if not run:
            size, total = length, 0
        run.append(datagram)
        total += length
    yield run


def can_segment(sock: socket.socket) -> bool:
    try:
        sock.getsockopt(socket.IPPROTO_UDP, _SEGMENT)
    except OSError:
        return False
    return True
