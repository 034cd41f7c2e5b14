"""Media streams by address: one address may have only so many at a time.

The data plane owns a media stream, and does not report its end. A socket keeps its inode number until its last
descriptor closes. So a stream is open as long as a descriptor of this process has its number. A look at 20,000
descriptors takes some 40 ms, so looks are rare: once a second at most for addresses without a free place.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog
import trio

from gateway.connection.accounts import site_of
from sfu.streams import Connection

log = structlog.get_logger(__name__)

_Identity = tuple[int, int]
"""The device and the inode number of an open file."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks while an address asks for more places than it has."""
_SPARE: Final = 1000
"""Look again when the streams in the table exceed twice the open ones by this number. So the memory is bounded."""


class StreamPlaces:
    """At most ``most`` places for each site, as :func:`site_of` tells sites apart. Loopback has no bound."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken: Counter[str] = Counter()
        self._sites: dict[_Identity, str] = {}
        self._open_at_look = 0
        self._looked_at = float("-inf")

    def __len__(self) -> int:
        """The number of sites that had a place at the last look, or have got one since."""
        return len(self._taken)

    def is_full(self, remote: str) -> bool:
        """Whether all places of an address are taken."""
        site = site_of(remote)
        if site is None or self._taken[site] < self.most:
            return False
        if trio.current_time() - self._looked_at >= LOOK_EVERY:
            self._look()
        return self._taken[site] >= self.most

    @contextmanager
    def hold(self, remote: str) -> Iterator[None]:
        """Hold a place of this address while the block runs."""
        site = site_of(remote)
        if site is None:
            yield
            return
        self._taken[site] += 1
        try:
            yield
        finally:
            self._release(site)

    def take(self, connection: Connection, remote: str) -> None:
        """Take a place for a connection that the data plane has, until the connection ends."""
        site = site_of(remote)
        if site is None:
            return
        if len(self._sites) >= 2 * self._open_at_look + _SPARE:
            self._look()
        identity = _identity(connection.fileno())
        if (ended := self._sites.pop(identity, None)) is not None:  # the system gave its number to this connection
            self._release(ended)
        self._sites[identity] = site
        self._taken[site] += 1

    def _look(self) -> None:
        """Give back the places of streams that have ended."""
        self._looked_at = trio.current_time()
        try:
            still_open = _open_files()
        except OSError as error:  # the system gives no descriptor for the folder, because so many are open
            log.warning("cannot list the open files", error=str(error))
            return
        for ended in self._sites.keys() - still_open:
            self._release(self._sites.pop(ended))
        self._open_at_look = len(self._sites)

    def _release(self, site: str) -> None:
        self._taken[site] -= 1
        if not self._taken[site]:
            del self._taken[site]


def _open_files() -> set[_Identity]:
    """The identities of all open files of this process. Raises ``OSError``."""
    found = set()
    with os.scandir("/proc/self/fd") as entries:
        for entry in entries:
            with suppress(OSError):  # another thread has closed it meanwhile
                found.add(_identity(int(entry.name)))
    return found


def _identity(descriptor: int) -> _Identity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
