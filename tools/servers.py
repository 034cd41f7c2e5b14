"""A server in a process of its own, such as our gateway: its processor time, its memory, its log."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import trio
from attrs import define

from tools import namespaces
from tools.loadtest.child import ChildProcess, open_child
from tools.loadtest.gateway_figures import cpu_seconds, resident_bytes, scrape

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 15.0
#: The metric that counts sent datagrams.
PACKETS_OUT: Final = 'sfu_packets_total{direction="out"}'
ARGUMENTS = ("serve", "--port", "0", "--media-port", "0", "--log-format", "json", "--no-shed-newcomers")


class ServerEnded(Exception):
    """A server ended too early, or did not start. The text has the end of its log."""


@define(eq=False)
class ServerProcess(ChildProcess):
    """A running server. :func:`running` makes it."""

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


@define(eq=False)
class GatewayProcess(ServerProcess):
    """A running gateway. :func:`running_gateway` makes it."""

    url: str = ""

    @property
    def socket(self) -> tuple[str, int]:
        """Address of its TCP port."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def metric(self, name: str) -> float:
        """Return one sample of ``/metrics``. ``name`` includes its labels. Blocks, so call it in a thread."""
        return scrape(f"{self.url}/metrics")[name]

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the log's entries with this event name, the oldest first."""
        for line in self.log().splitlines():
            if name.encode() in line and (entry := _entry(line)).get("event") == name:
                yield entry

    def listens(self) -> bool:
        if (entry := next(self.events("listening"), None)) is not None:
            self.url = entry["url"]
        return entry is not None


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:  # a traceback, or half a line
        return {}
    return entry if isinstance(entry, dict) else {}


S = TypeVar("S", bound=ServerProcess)


@asynccontextmanager
async def running(
    kind: Callable[[str, trio.Process, IO[bytes]], S],
    name: str,
    command: Sequence[str],
    listens: Callable[[S], object],
    stop_seconds: float = STOP_SECONDS,
) -> AsyncIterator[S]:
    """Run ``command`` for as long as the block runs.

    The block begins once ``listens`` returns true. Raises :exc:`ServerEnded`, also if the server does not listen after
    :data:`START_SECONDS`.  ``stop_seconds`` after SIGTERM it gets SIGKILL.
    """

    async def watch() -> None:
        status = await server.process.wait()
        raise ServerEnded(f"{name} ended with {status}; the end of its log:\n{server.last_lines()}")

    command = (*namespaces.here(), *command)
    async with open_child(kind, name, command, stop_seconds=stop_seconds, stdin=subprocess.DEVNULL) as server:
        with trio.move_on_after(START_SECONDS) as starting:
            while not listens(server):
                if server.process.poll() is not None:
                    starting.cancel()
                await trio.sleep(0.02)
        if starting.cancelled_caught:
            raise ServerEnded(f"{name} did not begin to listen; its log:\n{server.last_lines()}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            yield server
            nursery.cancel_scope.cancel()


def accepts(address: tuple[str, int]) -> bool:
    """Whether a server accepts TCP connections at this address."""
    try:
        with socket.create_connection(address, timeout=1):
            return True
    except OSError:
        return False


@asynccontextmanager
async def running_gateway(
    module: Sequence[str] = ("gateway", *ARGUMENTS), *, prefix: Sequence[str] = ()
) -> AsyncIterator[GatewayProcess]:
    """Run ``python -m module`` for as long as the block runs. ``prefix`` comes before the command.

    Raises :exc:`ServerEnded`.
    """
    command = (*prefix, sys.executable, "-m", *module)
    async with running(GatewayProcess, "the gateway", command, GatewayProcess.listens) as gateway:
        yield gateway
