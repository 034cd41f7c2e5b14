"""The data plane without sockets and clocks: datagrams and `now` in, datagrams and events out.

It is the native one of :mod:`sfu._dataplane`, whose source is in ``src/`` beside this file; ``src/core`` holds what it
does, and is the same in a program's own network as in a thread with sockets.
"""

from collections.abc import Callable
from typing import Protocol

from sfu._dataplane import ENCODING_IDLE, MAX_EVENTS, MAX_SOURCES, DataPlaneCore
from sfu.dataplane.interface import DropReason, Path

__all__ = ["ENCODING_IDLE", "MAX_EVENTS", "MAX_SOURCES", "DataPlaneCore", "RandomSource", "SendDatagram"]

SendDatagram = Callable[[Path, bytes], DropReason | None]
"""Sends a datagram at once, or says why not."""


class RandomSource(Protocol):
    """What is taken of :class:`random.Random`."""

    def randrange(self, start: int, stop: int, /) -> int: ...
