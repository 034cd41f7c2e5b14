"""A server in a process of its own, for benches: its processor time, its memory, its log."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any, TypeVar

import trio
from attrs import define

START_SECONDS = 20.0
STOP_SECONDS = 15.0
LINES_SHOWN = 12


class ServerEnded(Exception):
    """It ended before the bench did, or never began; the text has the end of its log."""


@define
class ServerProcess:
    """Made by :func:`running`.  Its log goes to a file, so that a server never waits for who reads it."""

    name: str
    process: trio.Process
    _log: IO[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """Processor time of all threads so far, in nanoseconds' resolution: another process's clock
        (clock_getcpuclockid)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def cpu_split(self) -> tuple[float, float]:
        """User and system time so far, in the resolution of a clock tick."""
        fields = self._proc("stat").rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / tick, int(fields[12]) / tick

    def memory(self) -> int:
        """Resident bytes now."""
        return int(self._proc("statm").split()[1]) * resource.getpagesize()

    def threads(self) -> int:
        found = re.search(r"^Threads:\s*(\d+)", self._proc("status"), re.MULTILINE)
        assert found is not None
        return int(found[1])

    def log(self) -> bytes:
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0)

    def last_lines(self) -> str:
        return "\n".join(self.log().decode(errors="replace").splitlines()[-LINES_SHOWN:])

    def _proc(self, name: str) -> str:
        with open(f"/proc/{self.pid}/{name}") as file:  # noqa: PTH123 - not a file that anybody wrote
            return file.read()

    async def wait_until(self, listens: Callable[[], object]) -> None:
        """Wait until it is so far.  Raises :exc:`ServerEnded` where it ends before, or does not get there."""
        with trio.move_on_after(START_SECONDS):
            while self.process.poll() is None:
                if listens():
                    return
                await trio.sleep(0.02)
        raise ServerEnded(f"{self.name} did not begin to listen; its log:\n{self.last_lines()}")

    async def watch(self) -> None:
        """Raise when it ends."""
        status = await self.process.wait()
        raise ServerEnded(f"{self.name} ended with {status}; the end of its log:\n{self.last_lines()}")

    async def stop(self) -> None:
        for end in (self.process.terminate, self.process.kill):
            if self.process.poll() is None:
                end()
                with trio.move_on_after(STOP_SECONDS, shield=True):
                    await self.process.wait()


S = TypeVar("S", bound=ServerProcess)


@asynccontextmanager
async def running(
    kind: Callable[[str, trio.Process, IO[bytes]], S],
    name: str,
    command: Sequence[str],
    listens: Callable[[S], object],
    **options: Any,
) -> AsyncIterator[S]:
    """The command for as long as the block runs; :exc:`ServerEnded` when it ends by itself.

    ``kind`` is the class to make of it, ``listens`` says when the block may begin; ``options`` are those of
    ``trio.lowlevel.open_process``.  What it prints is its log where they do not say otherwise.
    """
    with tempfile.TemporaryFile() as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **options}
        server = kind(name, await trio.lowlevel.open_process(list(command), **streams), log)
        try:
            await server.wait_until(lambda: listens(server))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.watch)
                yield server
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(3 * STOP_SECONDS, shield=True):
                await server.stop()
