"""A gateway in a process of its own, on loopback or at one end of a link, for benches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from attrs import define

from tools.bench.process import ServerEnded, ServerProcess, running

#: The metric of all datagrams that left.
PACKETS_OUT: Final = 'sfu_packets_total{direction="out"}'
ARGUMENTS = ("serve", "--port", "0", "--media-port", "0", "--log-format", "json")

GatewayEnded = ServerEnded


@define
class GatewayProcess(ServerProcess):
    """Made by :func:`running_gateway`."""

    url: str = ""

    @property
    def socket(self) -> tuple[str, int]:
        """Where its TCP port is."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def metric(self, name: str) -> float:
        """One sample from ``/metrics``; ``name`` with its labels.  Waits for the answer: not while measuring."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)", answer.read().decode(), re.MULTILINE)
        assert found is not None, f"the gateway has no {name}"
        return float(found[1])

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """The lines of the log with this event, from the first on."""
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
    except ValueError:  # a traceback, or a line that is being written
        return {}
    return entry if isinstance(entry, dict) else {}


@asynccontextmanager
async def running_gateway(
    module: Sequence[str] = ("gateway", *ARGUMENTS), *, prefix: Sequence[str] = (), pipes: bool = False
) -> AsyncIterator[GatewayProcess]:
    """``python -m module`` for as long as the block runs; :exc:`GatewayEnded` when it ends by itself.

    ``prefix`` comes before the command.  With ``pipes`` its standard input and output are pipes of the caller's.
    """
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if pipes else {}
    command = (*prefix, sys.executable, "-m", *module)
    async with running(GatewayProcess, "the gateway", command, GatewayProcess.listens, **options) as gateway:
        yield gateway
