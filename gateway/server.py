"""The gateway's life: the ports open, clients come, a signal asks it to stop, clients leave, the ports close."""

import errno
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, NoReturn, Protocol

import structlog
import trio
from attrs import frozen

import sfu
from gateway.config import Config
from gateway.gateway import Gateway
from gateway.http.front_door import FrontDoor
from gateway.http.routes import make_app
from gateway.http.sockets import open_listeners, remote_name, show_address, url_of
from gateway.ops import garbage_collection
from gateway.ops.log_writer import exit_at_once
from gateway.ops.metrics import Metrics
from gateway.session.session import serve_client
from protocol import codec

log = structlog.get_logger(__name__)

_ADDRESS_HINT: Final = (
    "; media-host takes addresses of this machine, and behind NAT media-announce takes the public one"
)
_STATUS_OF_SECOND: Final = {signal.SIGINT: 130, signal.SIGTERM: 1, signal.SIGQUIT: 131}
# They would end the process without a word to anybody.
_ALSO_DRAIN: Final = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class StartError(Exception):
    """The gateway cannot start; the message says in one line why."""


class ServeClient(Protocol):
    """Runs the whole life of one WebSocket client; never raises ``Exception``."""

    async def __call__(self, stream: trio.abc.Stream, *, gateway: Gateway, remote: str) -> None: ...


OpenRouter = Callable[[sfu.MediaSettings], AbstractAsyncContextManager[sfu.Router]]
MakeGateway = Callable[[Config, Sequence[sfu.Router], Metrics], Gateway]


@frozen(eq=False)
class Server:
    """One running gateway.

    ``url`` is where browsers find it (empty without listeners), ``media`` where its media ports are.
    """

    config: Config
    gateway: Gateway
    front_door: FrontDoor
    url: str
    media: tuple[tuple[str, int], ...]

    async def serve_stream(self, stream: trio.abc.Stream, remote: str = "memory") -> None:
        """One client connection that did not come through a listener; returns when it is over."""
        await self.front_door.serve(stream, remote)

    async def drain(self) -> None:
        """Let no new client in, wait for the others to leave by themselves, then end those that stayed.

        HTTP is answered until the end, so that ``/readyz`` can say so.  Takes at most ``drain_timeout`` and the time
        that ending takes; no time at all when nobody is connected.
        """
        self.refuse_new_clients()
        with trio.move_on_after(self.config.drain_timeout):
            await self.front_door.wait_empty()
        self.end_clients()
        await self.wait_ended()

    def refuse_new_clients(self) -> None:
        """Let no new client in."""
        self.front_door.accepts_clients = False
        self.gateway.draining = True

    def end_clients(self) -> None:
        """Begin to end every session."""
        self.refuse_new_clients()
        self.gateway.end_all()

    async def wait_ended(self) -> None:
        """Return when no session is left, or when they take longer than they may."""
        # Each of them is bounded by itself; twice that is for a machine that is busy.
        bound = 2 * (self.config.exit_timeout + self.config.courtesy_timeout + self.config.goodbye_timeout)
        with trio.move_on_after(bound) as scope:
            await self.front_door.wait_empty()
        if scope.cancelled_caught:
            log.warning("clients ended by force", clients=self.front_door.clients)


@asynccontextmanager
async def open_server(
    config: Config,
    *,
    listeners: Sequence[trio.SocketListener] | None = None,
    open_router: OpenRouter = sfu.open_router,
    make_gateway: MakeGateway = Gateway,
    serve_client: ServeClient = serve_client,
) -> AsyncIterator[Server]:
    """A gateway that runs as long as the block.  Leaving the block ends every client, bounded in time.

    ``listeners`` are opened as ``config`` says when not given; an empty sequence stands for none, for a gateway that
    lives on :meth:`Server.serve_stream` alone.  The other arguments are its parts, for programs that bring their own.

    Raises :exc:`StartError`.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        # Bound first, so that a port that is taken fails outside of any nursery; served last.
        if listeners is None:
            listeners = await _open_listeners(config)
        for listener in listeners:
            stack.push_async_callback(trio.aclose_forcefully, listener)
        routers = [await _enter_router(stack, settings, open_router) for settings in config.media_of_planes]
        gateway = make_gateway(config, routers, metrics)
        metrics.watch(gateway.channels, *routers)
        front_door = _make_front_door(config, gateway, metrics, serve_client)
        url = url_of(listeners[0]) if listeners else ""
        media = tuple(address for router in routers for address in router.context.addresses)
        server = Server(config, gateway, front_door, url, media)
        async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
            accepting.start_soon(gateway.run)
            if listeners:
                accept = partial(trio.serve_listeners, handler_nursery=connections)
                await accepting.start(accept, _handler(front_door), list(listeners))
            try:
                yield server
            finally:
                server.end_clients()
            await server.wait_ended()
            accepting.cancel_scope.cancel()
            with trio.move_on_after(config.goodbye_timeout):
                await front_door.wait_answered()
            connections.cancel_scope.cancel()


def _handler(front_door: FrontDoor) -> Callable[[trio.SocketStream], Awaitable[None]]:
    async def serve(stream: trio.SocketStream) -> None:
        await front_door.serve(stream, remote_name(stream))

    return serve


async def _enter_router(stack: AsyncExitStack, settings: sfu.MediaSettings, open_router: OpenRouter) -> sfu.Router:
    try:
        return await stack.enter_async_context(open_router(settings))
    except sfu.BadAnnouncement as error:
        raise StartError(f"cannot announce what media-announce says: {error}") from error
    except sfu.BadAddress as error:
        raise StartError(f"cannot listen where media-host says: {error}") from error
    except (OSError, ValueError) as error:
        hosts = [error.filename] if isinstance(error, OSError) and error.filename else settings.hosts or ()
        where = ", ".join(show_address((host, settings.port)) for host in hosts)
        hint = _ADDRESS_HINT if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL else ""
        raise StartError(f"cannot open the media port on {where} (UDP): {_reason_text(error)}{hint}") from error


async def _open_listeners(config: Config) -> Sequence[trio.SocketListener]:
    try:
        return await open_listeners(config.host, config.port)
    except (OSError, UnicodeError) as error:
        where = show_address((config.host, config.port))
        raise StartError(f"cannot listen on {where} (TCP): {_reason_text(error)}") from error


def _reason_text(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _make_front_door(config: Config, gateway: Gateway, metrics: Metrics, serve_client: ServeClient) -> FrontDoor:
    async def serve(stream: trio.abc.Stream, remote: str) -> None:
        await serve_client(stream, gateway=gateway, remote=remote)

    def is_ready() -> bool:
        return front_door.is_ready

    front_door = FrontDoor(config, make_app(config, metrics, gateway.channels, is_ready), serve, metrics)
    return front_door


async def serve(
    config: Config,
    *,
    exit_at_once: Callable[[int], NoReturn] = exit_at_once,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a gateway until a signal asks it to end, then drain.  A second SIGTERM, SIGINT or SIGQUIT ends it at once.

    Raises :exc:`StartError`.
    """
    _allow_many_files(config)
    _self_test()
    with trio.open_signal_receiver(*_ending_signals()) as signals:
        async with open_server(config) as server, garbage_collection.collect_when_idle(server.gateway):
            _warm_up(server.gateway)
            log.info("listening", url=server.url, media=", ".join(map(show_address, server.media)))
            task_status.started(server)
            number = await anext(signals)
            log.info(
                "draining",
                signal=signal.Signals(number).name,
                clients=server.front_door.clients,
                at_most_seconds=config.drain_timeout,
                hint="press Ctrl-C again to exit at once",
            )
            await _drain(server, signals, exit_at_once)
    log.info("stopped")


async def _drain(server: Server, signals: AsyncIterator[int], exit_at_once: Callable[[int], NoReturn]) -> None:
    for number in set(_ending_signals()) - _STATUS_OF_SECOND.keys():
        signal.signal(number, signal.SIG_IGN)  # until the receiver is closed, which puts back what was before
    async with trio.open_nursery() as watch:
        watch.start_soon(_exit_on_second, signals, exit_at_once)
        await server.drain()
        watch.cancel_scope.cancel()


def _warm_up(gateway: Gateway) -> None:
    """What the first client would find cold, some 12 ms of its join."""
    codec.warm_up()
    sfu.warm_up(gateway.routers[0].context)


def _self_test() -> None:
    try:
        sfu.self_test()
    except RuntimeError as error:
        raise StartError(f"the data plane cannot carry calls on this machine: {error}") from error


def _ending_signals() -> list[signal.Signals]:
    """What drains.  A signal that was ignored when we began stays so, as ``nohup`` wants it."""
    others = [number for number in _ALSO_DRAIN if signal.getsignal(number) is not signal.SIG_IGN]
    return [signal.SIGINT, signal.SIGTERM, *others]


async def _exit_on_second(signals: AsyncIterator[int], exit_at_once: Callable[[int], NoReturn]) -> None:
    """Not on SIGHUP: a terminal that closes sends several, and systemd may send one right behind its SIGTERM."""
    async for number in signals:
        if (status := _STATUS_OF_SECOND.get(signal.Signals(number))) is not None:
            log.warning("exiting at once", signal=signal.Signals(number).name)
            exit_at_once(status)


def _allow_many_files(config: Config) -> None:
    """As many open files as the system lets us have; a connection is one each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = config.max_connections + config.max_http_connections
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning("fewer open files allowed than connections", open_files=hard, connections=wanted)
