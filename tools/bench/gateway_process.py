"""A gateway in a process of its own, on loopback or at one end of a link."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from attrs import define

from tools.bench.process import ServerProcess, running
from tools.loadtest.gateway_figures import scrape

#: The metric that counts sent datagrams.
PACKETS_OUT: Final = 'sfu_packets_total{direction="out"}'
ARGUMENTS = ("serve", "--port", "0", "--media-port", "0", "--log-format", "json")


@define(eq=False)
class GatewayProcess(ServerProcess):
    """Made by :func:`running_gateway`."""

    url: str = ""

    @property
    def socket(self) -> tuple[str, int]:
        """Address of its TCP port."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def metric(self, name: str) -> float:
        """Return one sample of ``/metrics``; ``name`` includes its labels.  Blocks, so call it in a thread."""
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


@asynccontextmanager
async def running_gateway(
    module: Sequence[str] = ("gateway", *ARGUMENTS), *, prefix: Sequence[str] = (), pipes: bool = False
) -> AsyncIterator[GatewayProcess]:
    """Run ``python -m module`` for as long as the block runs.  Raises :exc:`tools.bench.process.ServerEnded`.

    ``prefix`` comes before the command.  With ``pipes`` its standard input and output are pipes.
    """
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if pipes else {}
    command = (*prefix, sys.executable, "-m", *module)
    async with running(GatewayProcess, "the gateway", command, GatewayProcess.listens, **options) as gateway:
        yield gateway
