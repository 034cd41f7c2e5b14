"""A process that a tool starts: its log, and its end on every path."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any, Final, TypeVar

import trio
from attrs import define

#: Seconds after SIGTERM and after SIGKILL in which a process may end.
STOP_SECONDS: Final = 3.0
_LINES: Final = 12


@define(eq=False)
class ChildProcess:
    """Made by :func:`open_child`.  Its log is a file, so that the process never waits for a reader."""

    name: str
    process: trio.Process
    _log: IO[bytes]

    def log(self) -> bytes:
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0)

    def last_lines(self) -> str:
        return "\n".join(self.log().decode(errors="replace").splitlines()[-_LINES:])

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Send SIGTERM, and SIGKILL after ``seconds``."""
        for end in (self.process.terminate, self.process.kill):
            if self.process.poll() is None:
                end()
                with trio.move_on_after(seconds, shield=True):
                    await self.process.wait()


C = TypeVar("C", bound=ChildProcess)


@asynccontextmanager
async def open_child(
    kind: Callable[[str, trio.Process, IO[bytes]], C],
    name: str,
    command: Sequence[str],
    *,
    stop_seconds: float = STOP_SECONDS,
    **options: Any,
) -> AsyncIterator[C]:
    """Run ``command`` for as long as the block runs, and make a ``kind`` of it.

    ``options`` are those of ``trio.lowlevel.open_process``.  Standard output and standard error go to the log, unless
    an option says otherwise.
    """
    with tempfile.TemporaryFile() as log:
        streams = {"stdout": log, "stderr": log, **options}
        process: trio.Process = await trio.lowlevel.open_process(list(command), **streams)
        child = kind(name, process, log)
        try:
            yield child
        finally:
            with trio.move_on_after(3 * stop_seconds, shield=True):
                await child.stop(stop_seconds)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with trio.move_on_after(1, shield=True):
                        await stream.aclose()
