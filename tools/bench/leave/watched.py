"""The bench's end of the pipes of :mod:`tools.bench.leave.watched_gateway`."""

from __future__ import annotations

import json
from typing import Final

import trio
from attrs import define

from tools.bench import BenchError
from tools.bench.gateway_process import GatewayProcess
from tools.bench.leave.watched_gateway import Report

MODULE: Final = ("tools.bench.leave.watched_gateway",)
ANSWER_SECONDS: Final = 30.0


@define(eq=False)
class Watched:
    """Controls a gateway that was started from :data:`MODULE`, with pipes."""

    gateway: GatewayProcess

    async def begin(self) -> None:
        await self._send(b"begin\n")

    async def report(self) -> Report:
        """Raises :exc:`BenchError` where no report comes."""
        await self._send(b"report\n")
        assert self.gateway.process.stdout is not None
        line = b""
        with trio.move_on_after(ANSWER_SECONDS):
            while not line.endswith(b"\n"):
                line += await self.gateway.process.stdout.receive_some()
            return Report(**json.loads(line))
        raise BenchError("the watched gateway gave no report")

    async def _send(self, line: bytes) -> None:
        assert self.gateway.process.stdin is not None
        with trio.fail_after(ANSWER_SECONDS):
            await self.gateway.process.stdin.send_all(line)
