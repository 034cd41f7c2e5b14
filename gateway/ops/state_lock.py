"""The lock on a state folder: one gateway at a time works with it, and its successor waits.

The kernel releases such a lock (flock) when its process ends, however it ends. So a lock never outlives its owner. Two
files are locked: ``lock`` by the gateway that works, ``next`` by one that waits. So the first one can see that it has a
successor. The files stay, since a file that comes and goes could be locked twice.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
import trio

log = structlog.get_logger(__name__)

_LOOK_EVERY: Final = 0.02
"""Seconds between two attempts. flock(2) can wait by itself, but only by blocking a thread that nobody can stop."""
LINE_EVERY: Final = 10.0
"""Seconds between two lines of the log while a gateway waits."""
_PID_BYTES: Final = 20


class StateLock:
    """The lock of one folder. :func:`open_state_lock` opens it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "lock"
        self._next_file = folder / "next"
        self._lock = self._next = -1

    def open(self) -> None:
        """Open the files. Raises ``OSError``."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self._lock = os.open(self.file, flags, 0o600)
        self._next = os.open(self._next_file, flags, 0o600)

    def close(self) -> None:
        """Release everything."""
        for descriptor in (self._lock, self._next):
            if descriptor >= 0:
                os.close(descriptor)
        self._lock = self._next = -1

    async def acquire(self) -> None:
        """Wait until the lock is free, and take it. The log says now and then who holds it."""
        since = trio.current_time()
        line_at = since
        is_next = False
        while not _try(self._lock, fcntl.LOCK_EX):
            is_next = is_next or _try(self._next, fcntl.LOCK_EX)
            if (now := trio.current_time()) >= line_at:
                line_at = now + LINE_EVERY
                log.info(
                    "waiting for the gateway that runs to end",
                    lock=str(self.file),
                    holder=self.holder,
                    seconds=round(now - since),
                )
            await trio.sleep(_LOOK_EVERY)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        fcntl.flock(self._next, fcntl.LOCK_UN)

    def release(self) -> None:
        """Let the successor have the lock. The second call does nothing."""
        if self._lock >= 0:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @property
    def holder(self) -> int | None:
        """The process that has the lock, as it wrote. None if it is just about to write."""
        with suppress(ValueError):
            return int(os.pread(self._lock, _PID_BYTES, 0))
        return None

    @property
    def successor_waits(self) -> bool:
        """Whether another gateway waits for the lock that this one has."""
        if not _try(self._next, fcntl.LOCK_SH):
            return True
        fcntl.flock(self._next, fcntl.LOCK_UN)
        return False

    async def wait_successor(self) -> None:
        """Wait until another gateway waits for the lock that this one has."""
        while not self.successor_waits:  # noqa: ASYNC110: the lock of a file has no event
            await trio.sleep(_LOOK_EVERY)


@contextmanager
def open_state_lock(folder: Path) -> Iterator[StateLock]:
    """Open the lock of a folder, which is made if need be. Nobody has the lock yet. Raises ``OSError``."""
    lock = StateLock(folder)
    try:
        lock.open()
        yield lock
    finally:
        lock.close()


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
