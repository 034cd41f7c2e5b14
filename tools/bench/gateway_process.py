"""A gateway in a process of its own, on loopback, for benches: its address, its processor time, its memory, its log."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import IO, Any

import trio
from attrs import define

ARGUMENTS = ("serve", "--port", "0", "--media-port", "0", "--log-format", "json")
START_SECONDS = 20.0
STOP_SECONDS = 15.0
LINES_SHOWN = 12


class GatewayEnded(Exception):
    """It ended before the bench did, or never began; the text has the end of its log."""


@define
class GatewayProcess:
    """Made by :func:`running_gateway`.  Its log goes to a file, so that a gateway never waits for who reads it."""

    process: trio.Process
    _log: IO[bytes]
    url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def socket(self) -> tuple[str, int]:
        """Where its TCP port is."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def cpu_seconds(self) -> float:
        """Processor time so far, in nanoseconds' resolution: the clock of another process (clock_getcpuclockid)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def cpu_split(self) -> tuple[float, float]:
        """User and system time so far, in the resolution of a clock tick."""
        fields = self._proc("stat").rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / tick, int(fields[12]) / tick

    def memory(self) -> int:
        """Resident bytes now."""
        return int(self._proc("statm").split()[1]) * resource.getpagesize()

    def metric(self, name: str) -> float:
        """One sample from ``/metrics``; ``name`` with its labels.  Waits for the answer: not while measuring."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)", answer.read().decode(), re.MULTILINE)
        assert found is not None, f"the gateway has no {name}"
        return float(found[1])

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """The lines of the log with this event, from the first on."""
        for line in os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).splitlines():
            if name.encode() in line and (entry := _entry(line)).get("event") == name:
                yield entry

    def last_lines(self) -> str:
        text = os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")
        return "\n".join(text.splitlines()[-LINES_SHOWN:])

    def _proc(self, name: str) -> str:
        with open(f"/proc/{self.pid}/{name}") as file:  # noqa: PTH123 - not a file that anybody wrote
            return file.read()

    async def wait_listening(self) -> None:
        with trio.move_on_after(START_SECONDS):
            while self.process.poll() is None:
                if (entry := next(self.events("listening"), None)) is not None:
                    self.url = entry["url"]
                    return
                await trio.sleep(0.02)
        raise GatewayEnded(f"the gateway did not begin to listen; its log:\n{self.last_lines()}")

    async def watch(self) -> None:
        """Raise when it ends."""
        status = await self.process.wait()
        raise GatewayEnded(f"the gateway ended with {status}; the end of its log:\n{self.last_lines()}")

    async def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with trio.move_on_after(STOP_SECONDS, shield=True):
                await self.process.wait()
        if self.process.poll() is None:
            self.process.kill()
            with trio.move_on_after(STOP_SECONDS, shield=True):
                await self.process.wait()


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:  # a traceback, or a line that is being written
        return {}
    return entry if isinstance(entry, dict) else {}


@asynccontextmanager
async def running_gateway(
    module: Sequence[str] = ("gateway", *ARGUMENTS), *, pipes: bool = False
) -> AsyncIterator[GatewayProcess]:
    """``python -m module`` for as long as the block runs; :exc:`GatewayEnded` when it ends by itself.

    With ``pipes`` its standard input and output are pipes of the caller's.
    """
    with tempfile.TemporaryFile() as log:
        process: trio.Process = await trio.lowlevel.open_process(
            [sys.executable, "-m", *module],
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stderr=log,
        )
        gateway = GatewayProcess(process, log)
        try:
            await gateway.wait_listening()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(gateway.watch)
                yield gateway
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(3 * STOP_SECONDS, shield=True):
                await gateway.stop()
