"""A standard error that never blocks: a bounded queue, and a thread that writes.

A pipe without a reader, a stopped terminal or a hanging disk blocks the writer. The gateway is one thread, so all of it
would stop. If the queue has no room for a line, the line is lost, and a counter counts it.
"""

import atexit
import io
import os
import select
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, RLock, Thread
from typing import Final, NoReturn, TextIO, cast

from attrs import frozen

QUEUE_BYTES: Final = 1024 * 1024
"""The most bytes that may wait to be written: some 4,000 lines."""
EXIT_FLUSH_SECONDS: Final = 2.0
"""Seconds for writing the waiting lines when the process ends."""
_PIECE: Final = 64 * 1024


@frozen
class _Entry:
    """Bytes to write. ``lines`` is 1, or 0 for a notice of lost lines, which reports ``losses`` earlier losses."""

    data: bytes
    lines: int = 1
    losses: int = 0


def _plain_notice(lost: int) -> bytes:
    return b"%d log lines lost\n" % lost


class LogWriter:
    """Writes to a file descriptor from a daemon thread, in the order of :meth:`put`.

    ``lost`` counts the entries that were dropped because the queue was full or a write failed. After a loss, the next
    written line is ``notice(count)``.
    """

    def __init__(
        self, fd: int, notice: Callable[[int], bytes] = _plain_notice, *, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self.notice = notice
        self.lost = 0
        self._fd = fd
        self._max_waiting = queue_bytes
        self._waiting = 0
        self._unreported = 0  # losses that no notice has reported yet
        self._line_is_torn = False  # The last write ended in the middle of a line.
        # Reentrant, as is the queue: the garbage collector runs finalizers anywhere, and these may log a warning.
        self._lock = RLock()
        self._queue: SimpleQueue[_Entry | Event] = SimpleQueue()
        Thread(target=self._run, name="log", daemon=True).start()

    def put(self, data: bytes) -> None:
        """Queue whole lines, or drop them. Returns at once."""
        with self._lock:
            # After a loss, wait until half of the room is free. This gives one notice, not one for every line.
            room = self._max_waiting // 2 if self._unreported else self._max_waiting
            if self._waiting and self._waiting + len(data) > room:
                self.lost += 1
                self._unreported += 1
                return
            self._waiting += len(data)
            losses, self._unreported = self._unreported, 0
        if losses:
            self._queue.put(_Entry(self.notice(losses), 0, losses))
        self._queue.put(_Entry(data))

    def flush(self, seconds: float) -> bool:
        """Wait until every line so far is written or lost. Return False if that takes longer than ``seconds``."""
        done = Event()
        self._queue.put(done)
        return done.wait(seconds)

    def _run(self) -> None:
        while True:
            entries, done = self._next_entries()
            self._write(entries)
            if self._unreported and self._queue.empty():
                self._report_losses()
            if done is not None:
                done.set()

    def _next_entries(self) -> tuple[list[_Entry], Event | None]:
        """Return at least one entry or a waiting flush, and as many queued entries as fit into one piece."""
        entries: list[_Entry] = []
        size = 0
        with suppress(Empty):
            while size < _PIECE:
                item = self._queue.get(block=not entries)
                if isinstance(item, Event):
                    return entries, item
                entries.append(item)
                size += len(item.data)
        return entries, None

    def _report_losses(self) -> None:
        """Write the notice although no other line waits. If the last line failed, the notice may fail as well."""
        with self._lock:
            losses, self._unreported = self._unreported, 0
        self._write([_Entry(self.notice(losses), 0, losses)])

    def _write(self, entries: Sequence[_Entry]) -> None:
        torn = b"\n" if self._line_is_torn else b""
        written = self._write_bytes(torn + b"".join(entry.data for entry in entries)) - len(torn)
        # A write may fail in the middle of the entries. The entries before that place are written, one is torn, and
        # those behind it are lost. To tell them apart, subtract the size of each entry from the number of written
        # bytes.
        with self._lock:
            self._line_is_torn = self._line_is_torn and written < 0
            for entry in entries:
                size = len(entry.data)
                if entry.lines:
                    self._waiting -= size
                if written < size:
                    self.lost += entry.lines
                    self._unreported += entry.lines + entry.losses
                    self._line_is_torn = self._line_is_torn or written > 0
                written = max(written - size, 0)

    def _write_bytes(self, data: bytes) -> int:
        """Write the data. Return how many bytes were written before an error."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # another process on the same pipe has made it non-blocking
                writable = select.poll()
                writable.register(self._fd, select.POLLOUT)
                writable.poll()
            except OSError:
                break
        return len(data) - len(left)


class _LineStream(io.TextIOBase):
    """Replaces ``sys.stderr``: collects text to whole lines for a :class:`LogWriter`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, writer: LogWriter, fd: int) -> None:
        self.writer = writer
        self._fd = fd
        self._begun = ""

    def write(self, text: str) -> int:
        whole, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            self.writer.put((whole + newline).encode(self.encoding, self.errors))
        if len(self._begun) > _PIECE:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if self._begun:
            begun, self._begun = self._begun, ""
            self.writer.put(begun.encode(self.encoding, self.errors))

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True


def non_blocking_stderr(notice: Callable[[int], bytes] | None = None) -> TextIO:
    """Make ``sys.stderr`` non-blocking and return it. The waiting lines are written when the process ends.

    ``notice`` makes the line about lost lines. If another program has replaced ``sys.stderr``, its stream stays.
    """
    if sys.stderr is sys.__stderr__:
        _replace_stderr()
    if notice is not None and isinstance(sys.stderr, _LineStream):
        sys.stderr.writer.notice = notice
    return sys.stderr


def _replace_stderr() -> None:
    original = sys.__stderr__
    _open_missing_standard_files()
    # If standard error was closed, its number may belong to another file now.
    fd = original.fileno() if original is not None else os.open(os.devnull, os.O_WRONLY)
    sys.stderr = cast(TextIO, _LineStream(LogWriter(fd), fd))
    atexit.register(flush_before_exit)


def _open_missing_standard_files() -> None:
    """Open the standard files that are closed. Otherwise the next socket gets the number of one of them, and libraries
    write into the socket."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number


def flush_before_exit() -> None:
    """Write the waiting lines before the process ends, for at most :data:`EXIT_FLUSH_SECONDS`."""
    if not isinstance(lines := sys.stderr, _LineStream):
        return
    lines.flush()
    is_written = lines.writer.flush(EXIT_FLUSH_SECONDS)
    # From here on the thread may have ended, and writing must not block. So a stalled writer gets no more lines.
    sys.stderr = sys.__stderr__ if is_written else cast(TextIO, io.StringIO())


def exit_at_once(status: int) -> NoReturn:
    """End the process at once, after :func:`flush_before_exit` only."""
    flush_before_exit()
    os._exit(status)


def lost_lines() -> int:
    """The number of lines of standard error that were lost so far."""
    return sys.stderr.writer.lost if isinstance(sys.stderr, _LineStream) else 0
