"""The processes of a load test: workers with light clients, and full clients."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from tools.loadtest import messages
from tools.loadtest.child import STOP_SECONDS, ChildProcess, open_child
from tools.loadtest.messages import ConductorMessage, MessageReader

#: Longest wait for a worker to take a command, in seconds.
COMMAND_SECONDS: Final = 30.0


class ProcessEnded(Exception):
    """A process of the tool ended too early.  The text names it and has the end of its log."""

    @classmethod
    def of(cls, child: ChildProcess) -> ProcessEnded:
        return cls(f"{child.name} ended with {child.process.poll()}:\n{child.last_lines()}")


def open_python(
    name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> AbstractAsyncContextManager[ChildProcess]:
    """Run ``python arguments…``, with pipes to it and from it, for as long as the block runs.

    It has a session of its own, so that Ctrl-C reaches the conductor alone.
    """
    return open_child(
        ChildProcess,
        name,
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **(environment or {})},
    )


@define(eq=False)
class WorkerProcess:
    """The conductor's end of a worker."""

    number: int
    child: ChildProcess
    reports: MessageReader
    _commands: trio.abc.SendStream
    _sending: trio.Lock = field(factory=trio.Lock)

    async def send(self, command: ConductorMessage) -> None:
        """Send a command.  Raises :exc:`ProcessEnded`."""
        try:
            async with self._sending:
                with trio.fail_after(COMMAND_SECONDS):
                    await messages.send(self._commands, command)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            raise ProcessEnded.of(self.child) from error

    async def listen(self) -> messages.WorkerMessage:
        """Return the next report.  Raises :exc:`ProcessEnded`."""
        report: messages.WorkerMessage | None = await self.reports.receive()
        if report is None:
            with trio.move_on_after(STOP_SECONDS):
                await self.child.process.wait()
            raise ProcessEnded.of(self.child)
        return report


@asynccontextmanager
async def open_workers(count: int) -> AsyncIterator[list[WorkerProcess]]:
    """Run ``count`` workers for as long as the block runs."""
    async with AsyncExitStack() as stack:
        workers = []
        for number in range(count):
            child = await stack.enter_async_context(open_python(f"worker {number}", ["-m", "tools.loadtest.worker"]))
            assert child.process.stdin is not None
            assert child.process.stdout is not None
            workers.append(WorkerProcess(number, child, MessageReader(child.process.stdout), child.process.stdin))
        yield workers
