"""The data plane without sockets, for simulated networks."""

import math
from collections import deque
from collections.abc import Sequence

import trio

from sfu.dataplane.core import DataPlaneCore, RandomSource, SendDatagram
from sfu.dataplane.interface import Path, ProducerId, TransportId
from sfu.dataplane.values import Event, ProducerSpec

_QUEUE = 4096  # datagrams that wait at most; more are lost, as in a full socket
_BATCH = 64  # datagrams in one poll


class MemoryDataPlane(DataPlaneCore):
    """A data plane whose datagrams come through :meth:`deliver` and leave through ``transmit``."""

    def __init__(self, transmit: SendDatagram, random: RandomSource) -> None:
        super().__init__(transmit, random)
        self._arrived: deque[tuple[bytes, Path]] = deque()
        self._readable = trio.Event()
        self._closed = False

    def deliver(self, datagram: bytes, path: Path) -> bool:
        """Let a datagram arrive.  Return False if the receive queue is full, so that the datagram is lost."""
        if self._closed or len(self._arrived) >= _QUEUE:
            return False
        self._arrived.append((datagram, path))
        self._readable.set()
        return True

    def receive_drops(self) -> int:
        return 0

    async def wait(self) -> None:
        """Raises ``trio.ClosedResourceError`` once closed."""
        timer = self.get_timer()
        with trio.move_on_at(math.inf if timer is None else timer):
            await self._readable.wait()
        if self._closed:
            raise trio.ClosedResourceError

    def poll(self, now: float) -> Sequence[Event]:
        for _ in range(min(_BATCH, len(self._arrived))):
            self.receive(*self._arrived.popleft(), now)
        self.handle_timer(now)
        if not self._arrived and not self._closed:
            self._readable = trio.Event()
        return self.take_events()

    def watch(self, transport: TransportId, heard_at: float, silent_after: float, lost_after: float) -> None:
        super().watch(transport, heard_at, silent_after, lost_after)
        self._readable.set()  # wake the task in `wait`, which sleeps until an older deadline

    def start_reports(self, transport: TransportId, first_at: float, interval: float) -> None:
        super().start_reports(transport, first_at, interval)
        self._readable.set()  # as in `watch`

    def add_producer(self, transport: TransportId, producer: ProducerId, spec: ProducerSpec) -> None:
        super().add_producer(transport, producer, spec)
        self._readable.set()  # as in `watch`

    def aim_bandwidth(self, transport: TransportId, used: float, next_rate: float | None, wanted: float) -> None:
        super().aim_bandwidth(transport, used, next_rate, wanted)
        self._readable.set()  # as in `watch`

    def close(self) -> None:
        super().close()
        self._closed = True
        self._arrived.clear()
        self._readable.set()
