"""The tool's own processes: started, listened to, and ended on every path."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import IO, Final

import trio
from attrs import define, field

from tools.loadtest import messages
from tools.loadtest.messages import Command, Receiver

#: Longest wait for a process to end by itself before it is killed.
STOP_SECONDS: Final = 3.0
#: Longest wait for a worker to take a command.
COMMAND_SECONDS: Final = 30.0
_LINES: Final = 12


class ProcessEnded(Exception):
    """One of the tool's own processes ended that should not have: the text says which, and the end of what it said."""


@define(eq=False)
class Child:
    """A process of the tool's.  Its standard error goes to a file, so that it never waits for who reads it."""

    name: str
    process: trio.Process
    _said: IO[bytes]

    def last_lines(self) -> str:
        text = os.pread(self._said.fileno(), os.fstat(self._said.fileno()).st_size, 0).decode(errors="replace")
        return "\n".join(text.splitlines()[-_LINES:])

    def ended(self) -> ProcessEnded:
        return ProcessEnded(f"{self.name} ended with {self.process.poll()}:\n{self.last_lines()}")

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help."""
        if self.process.poll() is None:
            self.process.terminate()
            with trio.move_on_after(STOP_SECONDS, shield=True):
                await self.process.wait()
        if self.process.poll() is None:
            self.process.kill()
            with trio.move_on_after(STOP_SECONDS, shield=True):
                await self.process.wait()


@asynccontextmanager
async def open_child(
    name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """``python arguments…`` with pipes to it and from it, for as long as the block runs.

    In a session of its own, so that Ctrl-C reaches the conductor alone.
    """
    with tempfile.TemporaryFile() as said:
        process: trio.Process = await trio.lowlevel.open_process(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        child = Child(name, process, said)
        try:
            yield child
        finally:
            with trio.move_on_after(3 * STOP_SECONDS, shield=True):
                await child.stop()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with trio.move_on_after(1, shield=True):
                        await stream.aclose()


@define(eq=False)
class WorkerProcess:
    number: int
    child: Child
    reports: Receiver
    _commands: trio.abc.SendStream
    _sending: trio.Lock = field(factory=trio.Lock)

    async def tell(self, command: Command) -> None:
        """Raises :exc:`ProcessEnded`."""
        try:
            async with self._sending:
                with trio.fail_after(COMMAND_SECONDS):
                    await messages.send(self._commands, command)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            raise self.child.ended() from error

    async def listen(self) -> messages.Report:
        """The next report.  Raises :exc:`ProcessEnded`."""
        report: messages.Report | None = await self.reports.receive()
        if report is None:
            with trio.move_on_after(STOP_SECONDS):
                await self.child.process.wait()
            raise self.child.ended()
        return report


@asynccontextmanager
async def open_workers(count: int) -> AsyncIterator[list[WorkerProcess]]:
    """So many workers, for as long as the block runs."""
    async with AsyncExitStack() as stack:
        workers = []
        for number in range(count):
            child = await stack.enter_async_context(open_child(f"worker {number}", ["-m", "tools.loadtest.worker"]))
            assert child.process.stdin is not None
            assert child.process.stdout is not None
            workers.append(WorkerProcess(number, child, Receiver(child.process.stdout), child.process.stdin))
        yield workers
