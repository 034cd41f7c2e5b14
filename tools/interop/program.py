"""A client's program as the runner sees it: settings go in, lines of JSON come out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from attrs import define, field

LEAVES_WITHIN: Final = 10.0
_LONGEST_LINE: Final = 1024 * 1024
_ERRORS_KEPT: Final = 4096

Line = dict[str, Any]


class ProgramFailed(Exception):
    """A program ended too early, took too long, or printed nonsense.  The text includes its last line of errors."""


@define(eq=False)
class Program:
    """Made by :func:`running_program`.  ``states`` has the transport's states that the program printed."""

    process: trio.Process
    states: list[str] = field(factory=list)
    _lines: list[Line] = field(factory=list)
    _changed: trio.Event = field(factory=trio.Event)
    _errors: bytes = b""
    _ended: bool = False

    async def until(self, event: str, seconds: float) -> Line:
        """Wait for the line of this event.  Raises :exc:`ProgramFailed` if it does not come within ``seconds``."""
        with trio.move_on_after(seconds):
            while True:
                found = next((line for line in self._lines if line.get("event") == event), None)
                if found is not None:
                    return found
                if self._ended:
                    raise ProgramFailed(self._last_words())
                await self._changed.wait()
        raise ProgramFailed(f"it did not report {event!r} within {seconds:g} s; {self._last_words()}")

    async def leave(self) -> None:
        """Tell it to leave by closing its standard input, and wait until it has ended.

        Raises :exc:`ProgramFailed` if it does not end, or ends with an error.
        """
        assert self.process.stdin is not None
        await self.process.stdin.aclose()
        with trio.move_on_after(LEAVES_WITHIN):
            if await self.process.wait() != 0:
                raise ProgramFailed(self._last_words())
            return
        raise ProgramFailed("it did not end when asked to")

    def _last_words(self) -> str:
        words = self._errors.decode(errors="replace").strip().splitlines()
        return (
            words[-1] if words else f"it ended with {self.process.returncode}" if self._ended else "it printed no error"
        )

    async def _read(self) -> None:
        assert self.process.stdout is not None
        rest = b""
        async for piece in self.process.stdout:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > _LONGEST_LINE:
                raise ProgramFailed("a line of its output is too long")
        self._ended = True
        self._wake()

    def _take(self, text: bytes) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            return  # printed by a library
        if not isinstance(line, dict):
            return
        if line.get("event") == "state":
            self.states.append(str(line.get("state")))
        else:
            self._lines.append(line)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        async for piece in self.process.stderr:
            self._errors = (self._errors + piece)[-_ERRORS_KEPT:]


@asynccontextmanager
async def running_program(command: Sequence[str], settings: Mapping[str, Any]) -> AsyncIterator[Program]:
    """Run a program for the time of the block.  If it has not ended by then, it is killed."""
    process = await trio.lowlevel.open_process(
        [*command, json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    program = Program(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(program._read)
            nursery.start_soon(program._read_errors)
            yield program
            nursery.cancel_scope.cancel()
    finally:
        if process.poll() is None:
            process.kill()
        with trio.move_on_after(LEAVES_WITHIN, shield=True):
            await process.wait()
