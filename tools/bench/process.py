"""A server in a process of its own: its processor time and its memory."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import trio
from attrs import define

from tools.bench import BenchError
from tools.loadtest.child import ChildProcess, open_child
from tools.loadtest.gateway_figures import cpu_seconds, resident_bytes

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 15.0


class ServerEnded(BenchError):
    """A server ended too early, or did not start; the text holds the end of its log."""


@define(eq=False)
class ServerProcess(ChildProcess):
    """Made by :func:`running`."""

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """Processor time of all threads so far."""
        return cpu_seconds(self.pid)

    def memory(self) -> int:
        """Resident memory now, in bytes."""
        return resident_bytes(self.pid)

    def threads(self) -> int:
        found = re.search(r"^Threads:\s*(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])

    async def wait_until(self, listens: Callable[[], object]) -> None:
        """Wait until the server listens.  Raises :exc:`ServerEnded`, also after :data:`START_SECONDS`."""
        with trio.move_on_after(START_SECONDS):
            while self.process.poll() is None:
                if listens():
                    return
                await trio.sleep(0.02)
        raise ServerEnded(f"{self.name} did not begin to listen; its log:\n{self.last_lines()}")

    async def watch(self) -> None:
        """Raise :exc:`ServerEnded` when it ends."""
        status = await self.process.wait()
        raise ServerEnded(f"{self.name} ended with {status}; the end of its log:\n{self.last_lines()}")


S = TypeVar("S", bound=ServerProcess)


@asynccontextmanager
async def running(
    kind: Callable[[str, trio.Process, IO[bytes]], S],
    name: str,
    command: Sequence[str],
    listens: Callable[[S], object],
    **options: Any,
) -> AsyncIterator[S]:
    """Run ``command`` for as long as the block runs; enter the block when ``listens`` returns true.

    ``options`` are those of :func:`tools.loadtest.child.open_child`.  Raises :exc:`ServerEnded`.
    """
    options = {"stdin": subprocess.DEVNULL, **options}
    async with open_child(kind, name, command, stop_seconds=STOP_SECONDS, **options) as server:
        await server.wait_until(lambda: listens(server))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.watch)
            yield server
            nursery.cancel_scope.cancel()
