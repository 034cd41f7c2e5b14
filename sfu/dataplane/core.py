"""The data plane without sockets and clocks: datagrams and `now` in, datagrams and events out."""

from typing import Protocol

from sfu._dataplane import DataPlaneCore

__all__ = ["DataPlaneCore", "RandomSource"]


class RandomSource(Protocol):
    """What is taken of :class:`random.Random`."""

    def randrange(self, start: int, stop: int, /) -> int: ...
