"""Standard error that never blocks: a bounded queue, and a thread of its own that writes.

A pipe that nobody reads, a terminal that is stopped or a disk that hangs holds up whoever writes to it.  The gateway
is one thread, so it would stand still as a whole.  Lines that find no room are lost, and counted.
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
"""What may wait to be written: some 4,000 lines."""
EXIT_FLUSH_SECONDS: Final = 2.0
"""Seconds that what waits may take to be written when the process ends."""
_PIECE: Final = 64 * 1024


@frozen
class _Entry:
    """Bytes to write.  ``lines`` are lost with them, ``losses`` remain to be told without them."""

    data: bytes
    lines: int = 1
    losses: int = 0


def _plain_notice(lost: int) -> bytes:
    return b"%d log lines lost\n" % lost


class LogWriter:
    """Writes to a file descriptor in the order of :meth:`put`, from a daemon thread.

    ``lost`` counts the entries that were given up, because too much waited or they could not be written.  The first
    that is written after a loss is ``notice(count)``.
    """

    def __init__(
        self, fd: int, notice: Callable[[int], bytes] = _plain_notice, *, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self.notice = notice
        self.lost = 0
        self._fd = fd
        self._max_waiting = queue_bytes
        self._waiting = 0
        self._unreported = 0
        self._line_is_torn = False
        # Both may be used again from inside themselves: the collector runs finalizers anywhere, and those may warn.
        self._lock = RLock()
        self._queue: SimpleQueue[_Entry | Event] = SimpleQueue()
        Thread(target=self._run, name="log", daemon=True).start()

    def put(self, data: bytes) -> None:
        """Take whole lines, or lose them; returns at once."""
        with self._lock:
            # Once something was lost, wait until half of the room is back: one notice, not one for every line.
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
        """Wait until everything that was put so far is written or lost; False when that takes longer."""
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
        """At least one, or somebody who waits; then what is there, as far as it fits into one piece."""
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
        """Nothing waits any more that could be told first.  Where the last line failed this one may fail, too."""
        with self._lock:
            losses, self._unreported = self._unreported, 0
        self._write([_Entry(self.notice(losses), 0, losses)])

    def _write(self, entries: Sequence[_Entry]) -> None:
        torn = b"\n" if self._line_is_torn else b""
        written = self._write_bytes(torn + b"".join(entry.data for entry in entries)) - len(torn)
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
        """How many were written before it failed."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # whoever shares the pipe with us has made it non-blocking
                writable = select.poll()
                writable.register(self._fd, select.POLLOUT)
                writable.poll()
            except OSError:
                break
        return len(data) - len(left)


class _LineStream(io.TextIOBase):
    """What stands in for ``sys.stderr``: text that goes to a :class:`LogWriter`, in whole lines."""

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
    """``sys.stderr``, from now on one that never blocks; what waits is written when the process ends.

    ``notice`` makes the line that says how many were lost.  A stream that somebody has put in the place of standard
    error is theirs, and stays as it is.
    """
    if sys.stderr is sys.__stderr__:
        _replace_stderr()
    if notice is not None and isinstance(sys.stderr, _LineStream):
        sys.stderr.writer.notice = notice
    return sys.stderr


def _replace_stderr() -> None:
    original = sys.__stderr__
    _open_missing_standard_files()
    # Where it was closed, its number may be another file's by now.
    fd = original.fileno() if original is not None else os.open(os.devnull, os.O_WRONLY)
    sys.stderr = cast(TextIO, _LineStream(LogWriter(fd), fd))
    atexit.register(flush_before_exit)


def _open_missing_standard_files() -> None:
    """Were one of them closed, the next socket would get its number, and what libraries say on it."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def flush_before_exit() -> None:
    """Let what waits be written, for :data:`EXIT_FLUSH_SECONDS` at most; the process is about to end."""
    if not isinstance(lines := sys.stderr, _LineStream):
        return
    lines.flush()
    is_written = lines.writer.flush(EXIT_FLUSH_SECONDS)
    # From here on there may be no thread to write.  Nothing may block either, so a stalled one gets no more.
    sys.stderr = sys.__stderr__ if is_written else cast(TextIO, io.StringIO())


def exit_at_once(status: int) -> NoReturn:
    """End the process, after :func:`flush_before_exit` alone."""
    flush_before_exit()
    os._exit(status)


def lost_lines() -> int:
    """How many lines of standard error were lost so far."""
    return sys.stderr.writer.lost if isinstance(sys.stderr, _LineStream) else 0
