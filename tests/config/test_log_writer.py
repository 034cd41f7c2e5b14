"""If standard error has no reader or no room, the log writer writes the lines that it can, and counts the others."""

import fcntl
import gc
import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ops.log_writer import LogWriter

PIPE_BYTES = 4096
SOON = 5.0


class Pipe:
    """Open a pipe with room for one page."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read_until(self, end: bytes) -> bytes:
        read = bytearray()
        while end not in read:
            read += os.read(self.reading, 65536)
        return bytes(read)

    def close_reading(self) -> None:
        os.close(self.reading)
        self.reading = -1

    def close(self) -> None:
        for fd in (self.reading, self.writing):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    opened = Pipe()
    yield opened
    opened.close()


def lines(first: int, last: int) -> list[bytes]:
    """Make a line of a hundred bytes."""
    return [b"%099d\n" % number for number in range(first, last)]


def put_all(writer: LogWriter, entries: list[bytes]) -> None:
    for entry in entries:
        writer.put(entry)


def test_lines_are_written_in_the_order_in_which_they_came(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    put_all(writer, lines(0, 30))
    assert writer.flush(SOON)
    assert os.read(pipe.reading, 65536) == b"".join(lines(0, 30))
    assert writer.lost == 0


def test_logging_never_waits_for_the_reader_and_counts_lost_lines(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing, queue_bytes=10_000)
    begun = time.monotonic()
    put_all(writer, lines(0, 10_000))
    assert time.monotonic() - begun < 1
    assert not writer.flush(0.01)
    lost = writer.lost
    assert 9_000 < lost < 10_000

    taken = pipe.read_until(b"lost\n")
    assert taken == b"".join(lines(0, 10_000 - lost)) + b"%d log lines lost\n" % lost
    assert writer.flush(SOON)
    writer.put(b"and on\n")
    assert pipe.read_until(b"and on\n") == b"and on\n"
    assert writer.lost == lost


def test_the_notice_of_a_loss_precedes_all_later_lines(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing, queue_bytes=10_000)
    put_all(writer, lines(0, 200))
    kept = 200 - writer.lost
    read = bytearray()
    while True:
        lost = writer.lost
        writer.put(b"later\n")
        if writer.lost == lost:  # half of the room is free again
            break
        read += os.read(pipe.reading, 100)
    read += pipe.read_until(b"later\n")
    assert read == b"".join(lines(0, kept)) + b"%d log lines lost\nlater\n" % lost


def test_lines_for_a_full_disk_are_lost_and_counted_without_blocking() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LogWriter(full, queue_bytes=10_000)
    for _ in range(3):
        put_all(writer, lines(0, 50))
        assert writer.flush(SOON)
    assert writer.lost == 150
    os.close(full)


def test_lines_without_a_reader_are_counted_until_there_is_one(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    pipe.close_reading()
    put_all(writer, lines(0, 7))
    assert writer.flush(SOON)
    assert writer.lost == 7
    again = Pipe()
    os.dup2(again.writing, pipe.writing)
    put_all(writer, lines(7, 9))
    assert again.read_until(lines(8, 9)[0]) == b"7 log lines lost\n" + b"".join(lines(7, 9))
    again.close()


def test_a_torn_line_does_not_run_into_the_next_one(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "log").open("w+b") as file:
        writer = LogWriter(file.fileno())
        resource.setrlimit(resource.RLIMIT_FSIZE, (140, hard))  # like a disk that is full after this many bytes
        try:
            put_all(writer, lines(0, 2))
            assert writer.flush(SOON)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        writer.put(b"whole\n")
        assert writer.flush(SOON)
        assert (tmp_path / "log").read_bytes() == lines(0, 1)[0] + lines(1, 2)[0][:40] + b"\n1 log lines lost\nwhole\n"


def test_a_pipe_that_another_process_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    writer = LogWriter(pipe.writing)
    put_all(writer, lines(0, 1000))
    assert pipe.read_until(lines(999, 1000)[0]) == b"".join(lines(0, 1000))
    assert writer.lost == 0


def test_a_line_that_is_larger_than_the_queue_is_still_a_line(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing, queue_bytes=1000)
    writer.put(b"x" * 5000 + b"\n")
    assert pipe.read_until(b"\n") == b"x" * 5000 + b"\n"


class Chatty:
    """Writes a line when it is collected, as warnings do."""

    def __init__(self, writer: LogWriter) -> None:
        self.writer, self.itself = writer, self

    def __del__(self) -> None:
        self.writer.put(b"collected\n")


def test_logging_from_inside_of_logging_does_not_deadlock(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    old = gc.get_threshold()
    gc.set_threshold(1)  # the collector runs at nearly every allocation
    try:
        for _ in range(20):
            Chatty(writer)
            writer.put(b"said\n")
    finally:
        gc.set_threshold(*old)
    gc.collect()
    assert writer.flush(SOON)
    assert sorted(os.read(pipe.reading, 65536).splitlines()) == [b"collected"] * 20 + [b"said"] * 20


def test_threads_that_log_at_once_lose_nothing_and_tear_nothing(pipe: Pipe) -> None:
    writer = LogWriter(pipe.writing)
    threads = [threading.Thread(target=put_all, args=(writer, lines(n, n + 100))) for n in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    read = bytearray()
    while len(read) < 400 * 100:
        read += os.read(pipe.reading, 65536)
    for thread in threads:
        thread.join()
    assert sorted(read.splitlines(keepends=True)) == lines(0, 400)
