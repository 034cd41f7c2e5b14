"""A router and light clients on a network in memory, for virtual time."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal

import trio
from attrs import define, field

import sfu
from sfu.dataplane.interface import DropReason, Path
from sfu.dataplane.memory import MemoryDataPlane
from tools.light.transport import Identity, LightTransport

ADDRESS = ("192.0.2.1", 40000)


@define
class Client:
    """A light client at one address.  If ``reachable`` is False, all datagrams from it and to it are lost."""

    transport: LightTransport
    path: Path
    deliver: Callable[[bytes, Path], bool]
    rng: random.Random
    loss: float = 0.0
    reachable: bool = True

    def lost(self) -> bool:
        return not self.reachable or (self.loss > 0 and self.rng.random() < self.loss)

    def receive(self, datagram: bytes) -> None:
        if not self.lost():
            self.transport.receive(datagram, trio.current_time())
            self.flush()

    def flush(self) -> None:
        for datagram in self.transport.datagrams_to_send():
            if not self.lost():
                self.deliver(datagram, self.path)

    async def run(self) -> None:
        self.transport.start(trio.current_time())
        while True:
            self.flush()
            await trio.sleep_until(self.transport.get_timer())
            self.transport.handle_timer(trio.current_time())


@define
class Network:
    """A router, and its clients by address."""

    router: sfu.Router
    nursery: trio.Nursery
    rng: random.Random
    plane: MemoryDataPlane
    clients: dict[Path, Client] = field(factory=dict)

    def client(
        self,
        transport: sfu.Transport,
        identity: Identity,
        *,
        dtls_role: Literal["client", "server"] = "client",
        loss: float = 0.0,
    ) -> Client:
        """A client that begins at once.  The caller does ``connect_transport``."""
        light = LightTransport(
            identity, transport.ice_parameters, transport.dtls_parameters, dtls_role=dtls_role, rng=self.rng
        )
        path = Path("198.51.100.1", 1024 + len(self.clients))
        client = self.clients[path] = Client(light, path, self.plane.deliver, self.rng, loss)
        self.nursery.start_soon(client.run)
        return client


@asynccontextmanager
async def open_network(
    settings: sfu.MediaSettings, *, seed: int = 1, plane_class: type[MemoryDataPlane] = MemoryDataPlane
) -> AsyncIterator[Network]:
    rng = random.Random(seed)
    clients: dict[Path, Client] = {}

    def transmit(path: Path, datagram: bytes) -> DropReason | None:
        if path in clients:
            clients[path].receive(datagram)
        return None

    plane = plane_class(transmit, rng)
    async with (
        trio.open_nursery() as nursery,
        sfu.serve_router(settings, plane, [ADDRESS], rng=rng, today=datetime(2026, 1, 1, tzinfo=UTC)) as router,
    ):
        yield Network(router, nursery, rng, plane, clients)
        nursery.cancel_scope.cancel()
