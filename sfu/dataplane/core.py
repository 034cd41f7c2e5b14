"""The data plane without sockets and clock: datagrams and ``now`` in, datagrams and events out.

The class comes from the extension :mod:`sfu._dataplane`, whose source is in ``src/`` beside this file.  The same core,
``src/core``, runs in a thread with sockets and in the made-up networks of tests.
"""

from collections.abc import Callable
from typing import Protocol

from sfu._dataplane import ENCODING_IDLE, MAX_EVENTS, MAX_SOURCES, DataPlaneCore
from sfu.dataplane.interface import DropReason, Path

__all__ = ["ENCODING_IDLE", "MAX_EVENTS", "MAX_SOURCES", "DataPlaneCore", "RandomSource", "SendDatagram"]

SendDatagram = Callable[[Path, bytes], DropReason | None]
"""Sends a datagram at once, or returns why it could not."""


class RandomSource(Protocol):
    """The part of :class:`random.Random` that a data plane uses."""

    def randrange(self, start: int, stop: int, /) -> int: ...
