"""The processor time that a gateway spends on one thing, while it does others as well."""

from __future__ import annotations

from typing import Final

import trio
from attrs import define

from tools.bench.channel import now
from tools.servers import GatewayProcess

IDLE_SECONDS: Final = 2.0


@define
class CpuMeter:
    """The gateway's processor time without ``idle_share``, the part of a core that it uses anyway."""

    gateway: GatewayProcess
    idle_share: float = 0.0
    _at: float = 0.0
    _cpu: float = 0.0

    async def note_idle(self) -> None:
        """Measure for some seconds what the gateway uses anyway."""
        self.idle_share = 0.0
        self.take()
        await trio.sleep(IDLE_SECONDS)
        self.idle_share = self.take() / IDLE_SECONDS

    def take(self) -> float:
        """Return the seconds since the last call. The first call only begins."""
        at, cpu = self._at, self._cpu
        self._at, self._cpu = now(), self.gateway.cpu_seconds()
        return self._cpu - cpu - self.idle_share * (self._at - at)
