"""A whole gateway in memory.  The harness provides its streams, its media network, its clock and its log."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Final

import trio
from attrs import define, field
from trio.testing import wait_all_tasks_blocked

import sfu
import sfu.parameters
from gateway.config import Config
from gateway.connection.connection import Connection
from gateway.gateway import Gateway
from gateway.server import Server, open_server
from sfu.dataplane.interface import DropReason, Path
from sfu.dataplane.memory import MemoryDataPlane
from tools.harness.client import HarnessClient
from tools.harness.endpoint import Endpoint
from tools.harness.faults import Faults
from tools.harness.leaks import ResourceCounts, check, count_resources
from tools.harness.network import CLEAN, Conditions, Network
from tools.harness.outsiders import Outsiders
from tools.harness.patches import breakable_ping, captured_log
from tools.harness.steps import SOCKET_MARK, name_of_connection, wrapped_steps
from tools.harness.streams import CAPACITY, MemoryStream, memory_stream_pair
from tools.harness.trace import Trace
from tools.light.transport import Identity, LightTransport
from tools.light.wire.demux import Protocol, classify

TODAY: Final = datetime(2026, 11, 1, 9, 30, 0, 250_000, tzinfo=UTC)
MEDIA_ADDRESS: Final = ("192.0.2.1", 40000)
_CLIENT_HOST: Final = "198.51.100.1"
_FIRST_SSRC: Final = 1001
# Virtual seconds for which the remaining clients send media after all exits, and between two looks at the exits.
_KEEP_SENDING: Final = 0.5
_POLL_INTERVAL: Final = 0.25


@cache
def identity() -> Identity:
    """The certificate of all clients.  Making one for each client would be most of the cost of a run."""
    return Identity.new()


@define(eq=False)
class World:
    """A gateway, its network and its clients.  Made by :func:`open_world`.

    ``clients`` has all clients that ever connected, by name.  ``may_end`` has the clients whose end the test causes, so
    the judge accepts their end.  The clients in ``must_end`` must be gone in the end.  ``interrupted`` has the
    producers whose streams may have gaps.  The gateway's handler of ``ping`` raises for the clients in
    ``ping_fails_for``.  ``log`` has the gateway's log events.  ``outsiders`` read who is where.  ``serving`` has the
    cancel scopes of the tasks that serve clients.
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
    outsiders: Outsiders
    tasks: trio.Nursery
    clients: dict[str, HarnessClient] = field(factory=dict)
    may_end: dict[str, None] = field(factory=dict)
    must_end: dict[str, None] = field(factory=dict)
    interrupted: set[str] = field(factory=set)
    ping_fails_for: set[str] = field(factory=set)
    marked: bool = False
    started_at: float = field(factory=trio.current_time)
    serving: dict[str, trio.CancelScope] = field(factory=dict)
    initial_counts: ResourceCounts | None = None
    _ports: dict[int, str] = field(factory=dict)
    _ssrcs: itertools.count[int] = field(factory=lambda: itertools.count(_FIRST_SSRC))

    @property
    def gateway(self) -> Gateway:
        return self.server.gateway

    @property
    def router(self) -> sfu.Router:
        return self.gateway.routers[0]

    def new_ssrc(self) -> int:
        return next(self._ssrcs)

    # Clients.

    def client(self, name: str, *, user: str | None = None, capacity: int = CAPACITY) -> HarnessClient:
        """A client with a new connection, before its WebSocket handshake.

        ``user`` is the user id.  It is ``name`` up to a ``#`` if not given, so ``ada#2`` is the user ``ada`` again.
        ``capacity`` is the size of the connection's buffers in bytes.  Raises ``ValueError`` if the name is taken.
        """
        if name in self.clients:
            raise ValueError(f"a client {name!r} exists already")
        stream = self.new_stream(name, capacity)
        client = self.clients[name] = HarnessClient(self, name, user or name.partition("#")[0], stream, self.tasks)
        return client

    def new_stream(self, name: str, capacity: int = CAPACITY) -> MemoryStream:
        """The client's end of a new connection to the gateway, whose task is called ``name``."""
        ours, theirs = memory_stream_pair(capacity)
        self.tasks.start_soon(self._serve, name, theirs, name=server_task_name(name))
        return ours

    async def _serve(self, name: str, stream: trio.abc.Stream) -> None:
        with trio.CancelScope() as self.serving[name]:
            await self.server.serve_stream(stream, name)
        del self.serving[name]
        self.trace.note("served", name)

    async def connected(self, *names: str) -> list[HarnessClient]:
        """New clients with an open WebSocket."""
        clients = [self.client(name) for name in names]
        for client in clients:
            await client.connect()
        return clients

    async def joined(self, *names: str, channel: str = "lobby") -> list[HarnessClient]:
        """New clients that joined a channel one after the other."""
        clients = await self.connected(*names)
        for client in clients:
            await client.join(channel)
        return clients

    async def call(self, *names: str, channel: str = "lobby") -> list[HarnessClient]:
        """New clients in a channel that all send audio and all receive the audio of the others."""
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
        """The gateway's object for a client's connection, or None if it is gone."""
        found = [one for one in self.gateway.connections.values() if name_of_connection(one) == name]
        return found[0] if found else None

    def endpoint(self, client: HarnessClient, created: Any) -> Endpoint:
        """Make the client's end of a transport from the data of the answer to ``create_transport``."""
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

    def expect_end(self, name: str, *, must: bool = True) -> None:
        """Say that the test causes this client's end now.

        The judge then accepts that end.  With ``must`` the client has to be gone in the end.
        """
        self.may_end[name] = None
        if must:
            self.must_end[name] = None
        self.trace.note("expect end", name)

    def mark(self) -> None:
        """Begin counting checkpoints here, in runs with ``from_mark``."""
        self.marked = True

    @property
    def seconds(self) -> float:
        """Virtual seconds since the beginning of the run."""
        return trio.current_time() - self.started_at

    def present_in(self, channel: str) -> list[str]:
        """The users in a channel, in the order of joining, by the clients' requests and the answers."""
        here = [
            client.current_stay
            for client in self.clients.values()
            if client.name not in self.must_end and client.current_stay is not None
        ]
        stays = sorted((stay for stay in here if stay.channel == channel), key=lambda stay: stay.revision)
        return [stay.user for stay in stays]

    def transmit(self, path: Path, datagram: bytes) -> DropReason | None:
        """Send a datagram from the media port over the network, and record media packets in the trace."""
        if classify(datagram) is Protocol.RTP:
            self.trace.note_forwarded(self._ports.get(path.port, "nobody"), int.from_bytes(datagram[8:12]))
        return self.network.transmit(path, datagram)

    async def let_others_read(self) -> None:
        """Let the programs outside the channels read who is where, until :meth:`empty`."""
        self.tasks.start_soon(self.outsiders.run, self.server, self.seed, name="programs outside")
        await wait_all_tasks_blocked()

    # The end of a run.

    @property
    def longest_exit(self) -> float:
        """Virtual seconds after which every exit must be over, whatever caused it."""
        config = self.config
        # Add up the limits of all parts of an exit.  The gateway notices silence, an outbox stalls, and media and
        # WebSocket say goodbye.  A client that has only left its channel must also join again in time.
        silence = max(
            config.ping_interval + config.ping_timeout,
            config.media_grace,
            config.silence_timeout,
            config.handshake_timeout,
        )
        return silence + config.outbox_age + config.exit_timeout + 2 * config.goodbye_timeout + config.join_timeout + 1

    async def settle(self) -> None:
        """Wait until all exits are over.  Then the remaining clients stop sending media."""
        await self._wait_for(self._has_settled)
        await trio.sleep(_KEEP_SENDING)
        for client in self.clients.values():
            for endpoint in client.endpoints.values():
                endpoint.quiet = True
        await trio.sleep(_KEEP_SENDING)
        await wait_all_tasks_blocked()

    async def empty(self) -> None:
        """Disconnect all remaining clients.  Then the readers outside the channels learn the rest, and stop."""
        for client in self.clients.values():
            if not client.over.is_set():
                self.tasks.start_soon(client.close)
        await self._wait_for(lambda: not self.serving)
        await wait_all_tasks_blocked()
        await self.outsiders.finish(self.gateway)

    def _has_settled(self) -> bool:
        """Whether no exit is going on, and no transport with a cut link is left."""
        cut = any(endpoint.link.cut for client in self.clients.values() for endpoint in client.endpoints.values())
        closing = any(connection.end_reason is not None for connection in self.gateway.connections.values())
        serving = {name.partition(SOCKET_MARK)[0] for name in self.serving}
        return not cut and not closing and serving.isdisjoint(self.must_end)

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for the condition, but no longer than any exit may take.  The judge notices if it does not hold."""
        for _ in range(math.ceil(self.longest_exit / _POLL_INTERVAL)):
            if condition():
                return
            await trio.sleep(_POLL_INTERVAL)

    def check_nothing_is_left(self, *, objects: bool) -> None:
        """Raises :exc:`Leak` if anything outlives the clients.  With ``objects`` this includes Python objects."""
        assert self.initial_counts is not None
        check(count_resources(self, objects=objects), self.initial_counts)


def server_task_name(name: str) -> str:
    """The name of the task in which the gateway serves a client."""
    return f"serve {name}"


@asynccontextmanager
async def open_world(*, seed: int = 1, conditions: Conditions = CLEAN, **settings: Any) -> AsyncIterator[World]:
    """A gateway in memory for the time of the block.  It must run in :func:`tools.harness.run`.

    ``conditions`` apply to every client's link.  Everything random comes from ``seed``.  ``settings`` are those of
    ``gateway.config.Config``.
    """
    config = Config(planes=1, **settings)
    rng = random.Random(seed)
    numbers = itertools.count(1)
    network, trace, faults = Network(seed), Trace(), Faults()
    transmit: list[Callable[[Path, bytes], DropReason | None]] = [network.transmit]
    plane = MemoryDataPlane(lambda path, datagram: transmit[0](path, datagram), rng)

    def open_router(media: sfu.MediaSettings) -> AbstractAsyncContextManager[sfu.Router]:
        return sfu.serve_router(media, plane, [MEDIA_ADDRESS], rng=rng, today=TODAY)

    outsiders: list[Outsiders] = []

    def make_gateway(*arguments: Any) -> Gateway:
        gateway: Gateway = new_gateway(*arguments)
        outsiders.append(Outsiders.of(gateway, seed))
        return gateway

    new_gateway: Any = partial(
        Gateway,
        new_id=lambda: f"id-{next(numbers)}",
        new_reference=lambda: f"reference-{next(numbers)}",
        utc_now=lambda: TODAY,
    )
    ping_fails_for: set[str] = set()
    with captured_log() as log, wrapped_steps(trace, faults), breakable_ping(ping_fails_for):
        async with (
            trio.open_nursery() as tasks,
            open_server(config, listeners=(), open_router=open_router, make_gateway=make_gateway) as server,
        ):
            tasks.start_soon(network.run, name="network")
            world = World(
                seed,
                config,
                conditions,
                server,
                plane,
                network,
                trace,
                faults,
                log,
                outsiders[0],
                tasks,
                ping_fails_for=ping_fails_for,
            )
            transmit[0] = world.transmit
            await wait_all_tasks_blocked()
            world.initial_counts = count_resources(world)
            identity()
            yield world
            tasks.cancel_scope.cancel()
