"""A whole gateway in memory: its streams, its media network, its clock and its log are the harness's."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Final

import structlog
import trio
from attrs import define, field
from trio.testing import wait_all_tasks_blocked

import sfu
import sfu.parameters
from gateway.config import Config
from gateway.connection.connection import Connection
from gateway.gateway import Gateway
from gateway.server import Server, open_server
from gateway.session.requests import HANDLERS, Session
from protocol.declarations import OkData
from protocol.requests import Ping
from sfu.dataplane.interface import DropReason, Path
from sfu.dataplane.memory import MemoryDataPlane
from sfu.wire.certificate import generate_certificate
from sfu.wire.demux import Protocol, classify
from tools.harness.client import Client
from tools.harness.endpoint import Endpoint
from tools.harness.faults import Faults
from tools.harness.leaks import Census, check, take_census
from tools.harness.network import CLEAN, Conditions, Network
from tools.harness.steps import name_of_connection, wrapped_steps
from tools.harness.streams import CAPACITY, memory_stream_pair
from tools.harness.trace import Trace
from tools.light.transport import Identity, LightTransport

TODAY: Final = datetime(2026, 11, 1, 9, 30, 0, 250_000, tzinfo=UTC)
MEDIA_ADDRESS: Final = ("192.0.2.1", 40000)
_CLIENT_HOST: Final = "198.51.100.1"
_FIRST_SSRC: Final = 1001
# Virtual seconds: how long those who are left speak on when all has settled, and how often it is looked whether it has.
_SPEAKS_ON: Final = 0.5
_LOOKS_EVERY: Final = 0.25


@cache
def identity() -> Identity:
    """The certificate of all clients; making one for each would be most of what a run costs."""
    return Identity.of(generate_certificate(datetime.now(UTC)))


@define(eq=False)
class World:
    """Made by :func:`open_world`.

    ``clients`` are all that ever connected, by name.  ``excused`` are those that may be closed, since somebody has
    brought that about, and ``dead`` those of them that must be.  ``interrupted`` are the producers whose streams may
    have gaps, ``broken_for`` the clients for whom the gateway's handler of ``ping`` raises.  ``log`` has what the
    gateway logged, ``serving`` the scopes of the tasks that serve clients.
    """

    seed: int
    config: Config
    conditions: Conditions
    server: Server
    plane: MemoryDataPlane
    network: Network
    trace: Trace
    faults: Faults
    log: list[dict[str, Any]]
    tasks: trio.Nursery
    clients: dict[str, Client] = field(factory=dict)
    excused: dict[str, None] = field(factory=dict)
    dead: dict[str, None] = field(factory=dict)
    interrupted: set[str] = field(factory=set)
    broken_for: set[str] = field(factory=set)
    marked: bool = False
    begun: float = field(factory=trio.current_time)
    serving: dict[str, trio.CancelScope] = field(factory=dict)
    before: Census | None = None
    _ports: dict[int, str] = field(factory=dict)
    _ssrcs: itertools.count[int] = field(factory=lambda: itertools.count(_FIRST_SSRC))

    @property
    def gateway(self) -> Gateway:
        return self.server.gateway

    @property
    def port(self) -> sfu.Router:
        return self.gateway.routers[0]

    def new_ssrc(self) -> int:
        return next(self._ssrcs)

    # Clients.

    def client(self, name: str, *, user: str | None = None, capacity: int = CAPACITY) -> Client:
        """A new connection, not yet a WebSocket.  ``user`` is ``name`` up to a ``#``: ``ada#2`` is Ada again."""
        if name in self.clients:
            raise ValueError(f"there was a client {name!r} before")
        ours, theirs = memory_stream_pair(capacity)
        client = Client(self, name, user or name.partition("#")[0], ours, self.tasks)
        self.clients[name] = client
        self.tasks.start_soon(self._serve, name, theirs, name=server_task(name))
        return client

    async def _serve(self, name: str, stream: trio.abc.Stream) -> None:
        with trio.CancelScope() as self.serving[name]:
            await self.server.serve_stream(stream, name)
        del self.serving[name]
        self.trace.note("served", name)

    async def connected(self, *names: str) -> list[Client]:
        """Clients with an open WebSocket."""
        clients = [self.client(name) for name in names]
        for client in clients:
            await client.connect()
        return clients

    async def joined(self, *names: str, channel: str = "lobby") -> list[Client]:
        """Clients that joined one after the other."""
        clients = await self.connected(*names)
        for client in clients:
            await client.join(channel)
        return clients

    async def call(self, *names: str, channel: str = "lobby") -> list[Client]:
        """Clients who all speak, and all hear all others."""
        clients = await self.joined(*names, channel=channel)
        voices = [await client.publish() for client in clients]
        for client in clients:
            for other, voice in zip(clients, voices, strict=True):
                if other is not client:
                    await client.subscribe(voice)
        for client in clients:
            await client.transport("receive")
        return clients

    def connection(self, name: str) -> Connection | None:
        """The gateway's object for a client's connection; None when it is gone."""
        found = [one for one in self.gateway.connections.values() if name_of_connection(one) == name]
        return found[0] if found else None

    def endpoint(self, client: Client, created: Any) -> Endpoint:
        """The client's side of a transport, from the data of ``create_transport``'s ok."""
        ice, dtls = created["iceParameters"], created["dtlsParameters"]
        fingerprints = tuple(sfu.parameters.DtlsFingerprint(**one) for one in dtls["fingerprints"])
        path = Path(_CLIENT_HOST, 1024 + len(self._ports))
        self._ports[path.port] = client.name
        transport = LightTransport(
            identity(),
            sfu.parameters.IceParameters(ice["usernameFragment"], ice["password"]),
            sfu.parameters.DtlsParameters(fingerprints),
            rng=random.Random(f"{self.seed} {path.port}"),
        )
        endpoint = Endpoint(transport, path, self.network)
        endpoint.link = self.network.connect(
            path, self.conditions, partial(self.plane.deliver, path=path), endpoint.receive
        )
        return endpoint

    def excuse(self, name: str, *, dead: bool = True) -> None:
        """Somebody brings about this client's end, now."""
        self.excused[name] = None
        if dead:
            self.dead[name] = None
        self.trace.note("brought to an end", name)

    def mark(self) -> None:
        """From here on checkpoints count, where they are counted from a mark."""
        self.marked = True

    @property
    def seconds(self) -> float:
        """Virtual time since the beginning."""
        return trio.current_time() - self.begun

    def present_in(self, channel: str) -> list[str]:
        """Who is in a channel, in the order of joining, by what clients did and were answered."""
        here = [
            client.present
            for client in self.clients.values()
            if client.name not in self.dead and client.present is not None
        ]
        stays = sorted((stay for stay in here if stay.channel == channel), key=lambda stay: stay.revision)
        return [stay.user for stay in stays]

    def transmit(self, path: Path, datagram: bytes) -> DropReason | None:
        """What the media port sends goes over the network, and is noted."""
        if classify(datagram) is Protocol.RTP:
            self.trace.note_forwarded(self._ports.get(path.port, "nobody"), int.from_bytes(datagram[8:12]))
        return self.network.transmit(path, datagram)

    # The end of a run.

    @property
    def bound(self) -> float:
        """Seconds after which nothing that was brought about may still be going on."""
        config = self.config
        silence = max(
            config.ping_interval + config.ping_timeout,
            config.media_grace,
            config.silence_timeout,
            config.handshake_timeout,
        )
        return silence + config.outbox_age + config.exit_timeout + 2 * config.goodbye_timeout + config.join_timeout + 1

    async def settle(self) -> None:
        """Let everything that is under way come to its end; nobody speaks any more when it has."""
        await self._wait_for(self._has_settled)
        await trio.sleep(_SPEAKS_ON)
        for client in self.clients.values():
            for endpoint in client.endpoints.values():
                endpoint.quiet = True
        await trio.sleep(_SPEAKS_ON)
        await wait_all_tasks_blocked()

    async def empty(self) -> None:
        """Everybody who is left goes."""
        for client in self.clients.values():
            if not client.over.is_set():
                self.tasks.start_soon(client.close)
        await self._wait_for(lambda: not self.serving)
        await wait_all_tasks_blocked()

    def _has_settled(self) -> bool:
        """Whether the dead are gone, whoever else is being closed, and the transports whose media was cut."""
        cut = any(endpoint.link.cut for client in self.clients.values() for endpoint in client.endpoints.values())
        closing = any(connection.end_reason is not None for connection in self.gateway.connections.values())
        return not cut and not closing and not any(name in self.serving for name in self.dead)

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Look again and again, for as long as anything may take; what has not happened then, the judge sees."""
        for _ in range(math.ceil(self.bound / _LOOKS_EVERY)):
            if condition():
                return
            await trio.sleep(_LOOKS_EVERY)

    def check_nothing_is_left(self, *, objects: bool) -> None:
        """Raises :exc:`Leak` where something outlives those who have gone."""
        assert self.before is not None
        check(take_census(self, objects=objects), self.before)


def server_task(name: str) -> str:
    """The name of the task that serves a client."""
    return f"serve {name}"


@contextmanager
def captured_log() -> Iterator[list[dict[str, Any]]]:
    """What is logged in the block, as dictionaries, and nothing is written."""
    lines: list[dict[str, Any]] = []

    def keep(_: Any, level: str, line: Any) -> Any:
        if "exc_info" in line:  # as text: an exception would keep alive what its frames hold
            line = {**line, "exc_info": repr(line["exc_info"])}
        lines.append({**line, "level": level})
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    before = list(processors)
    processors[:] = [keep]
    try:
        yield lines
    finally:
        processors[:] = before


@contextmanager
def breakable_ping(broken_for: set[str]) -> Iterator[None]:
    """In the block the handler of ``ping`` raises for these clients."""
    original = HANDLERS[Ping]

    def ping(session: Session, data: Ping) -> OkData:
        if name_of_connection(session.member.connection) in broken_for:
            raise RuntimeError("made to fail")
        return original(session, data)

    HANDLERS[Ping] = ping
    try:
        yield
    finally:
        HANDLERS[Ping] = original


@asynccontextmanager
async def open_world(*, seed: int = 1, conditions: Conditions = CLEAN, **settings: Any) -> AsyncIterator[World]:
    """A gateway with this configuration for as long as the block runs; run it by :func:`tools.harness.run`.

    ``conditions`` are those of every client's link; everything that is random comes from ``seed``.
    """
    config = Config(planes=1, **settings)
    rng = random.Random(seed)
    numbers = itertools.count(1)
    network, trace, faults = Network(seed), Trace(), Faults()
    transmit: list[Callable[[Path, bytes], DropReason | None]] = [network.transmit]
    plane = MemoryDataPlane(lambda path, datagram: transmit[0](path, datagram), rng)

    def open_router(media: sfu.MediaSettings) -> AbstractAsyncContextManager[sfu.Router]:
        return sfu.serve_router(media, plane, [MEDIA_ADDRESS], rng=rng, today=TODAY)

    make_gateway: Any = partial(
        Gateway,
        new_id=lambda: f"id-{next(numbers)}",
        new_reference=lambda: f"reference-{next(numbers)}",
        today=lambda: TODAY,
    )
    broken_for: set[str] = set()
    with captured_log() as log, wrapped_steps(trace, faults), breakable_ping(broken_for):
        async with (
            trio.open_nursery() as tasks,
            open_server(config, listeners=(), open_router=open_router, make_gateway=make_gateway) as server,
        ):
            tasks.start_soon(network.run, name="network")
            world = World(
                seed, config, conditions, server, plane, network, trace, faults, log, tasks, broken_for=broken_for
            )
            transmit[0] = world.transmit
            await wait_all_tasks_blocked()
            world.before = take_census(world)
            identity()
            yield world
            tasks.cancel_scope.cancel()
