"""Connections whose request has not arrived yet. Anybody can open many of them, so a newcomer displaces the oldest.

The usual bound would refuse the newcomer. Then a thousand silent connections would shut everybody out, health checks
included. A real client sends its request at once and is half-open for one round trip only. To displace it within that
time, an attacker must open as many connections as the bound, again and again: 10,000 a second for a bound of 1,000 and
a round trip of 0.1 s. A probe on the same machine needs far less than a millisecond.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Displaced(Exception):
    """A newer connection took the place of this one."""


class HalfOpen:
    """At most ``most`` places for connections without a request, the oldest first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._scopes: dict[trio.CancelScope, None] = {}

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block reads the request.

        Raises :exc:`Displaced` instead of the block's result if a newer connection took the place.
        """
        if len(self._scopes) >= self.most:
            oldest = next(iter(self._scopes))
            del self._scopes[oldest]
            oldest.cancel()
        with trio.CancelScope() as scope:
            self._scopes[scope] = None
            try:
                yield
            finally:
                self._scopes.pop(scope, None)
        if scope.cancelled_caught:
            raise Displaced
