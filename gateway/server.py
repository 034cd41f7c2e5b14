"""The life of the gateway: open the ports, serve clients, stop on a signal, let clients leave, close the ports."""

import errno
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final, NoReturn, Protocol

import structlog
import trio
from attrs import frozen

import sfu
from gateway.config import Config
from gateway.config.exposure import accidental_exposure
from gateway.gateway import Gateway
from gateway.http.front_door import FrontDoor
from gateway.http.media_streams import MediaStreams
from gateway.http.routes import make_app, make_metrics_app
from gateway.http.sockets import open_listeners, remote_name, show_address, url_of
from gateway.http.tls import CertificateError, Tls, load_certificate
from gateway.identity.keys import KeyFileError, load_keys
from gateway.ops import garbage_collection, loop_time, loop_watch
from gateway.ops.log_writer import exit_at_once
from gateway.ops.metrics import Metrics
from gateway.session.lifecycle import serve_client
from protocol import codec

log = structlog.get_logger(__name__)

_ADDRESS_HINT: Final = "; media-host takes addresses of this machine, media-announce the public address of a NAT"
_STATUS_OF_SECOND_SIGNAL: Final = {signal.SIGINT: 130, signal.SIGTERM: 1, signal.SIGQUIT: 131}
# Unless the gateway catches these signals, they end the process before any client gets a goodbye.
_ALSO_DRAIN: Final = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class StartError(Exception):
    """The gateway cannot start. The message gives the reason in one line."""


class ServeClient(Protocol):
    """Serves one WebSocket client from its handshake to its end. Never raises ``Exception``."""

    async def __call__(self, stream: trio.abc.Stream, *, gateway: Gateway, remote: str) -> None: ...


OpenRouter = Callable[[sfu.MediaSettings], AbstractAsyncContextManager[sfu.Router]]
MakeGateway = Callable[[Config, Sequence[sfu.Router], Metrics], Gateway]


@frozen(eq=False)
class Server:
    """One running gateway.

    ``url`` is the address for browsers, empty without listeners. ``metrics_url`` is that of the port for metrics, empty
    without one. ``media_addresses`` are the hosts and ports of the media sockets.
    """

    config: Config
    gateway: Gateway
    front_door: FrontDoor
    url: str
    metrics_url: str
    media_addresses: tuple[tuple[str, int], ...]

    async def serve_stream(self, stream: trio.abc.Stream, remote: str = "memory") -> None:
        """Serve a client connection that came through no listener. Return when it has ended."""
        await self.front_door.serve(stream, remote)

    async def drain(self) -> None:
        """Refuse new clients, wait for the others to leave, then end those that stayed.

        The gateway answers HTTP until the end, so that ``/readyz`` reports the drain. This takes at most
        ``drain_timeout`` plus the time to end the sessions. Without clients it returns at once.
        """
        self.refuse_new_clients()
        with trio.move_on_after(self.config.drain_timeout):
            await self.front_door.wait_empty()
        self.end_clients()
        await self.wait_ended()

    def refuse_new_clients(self) -> None:
        """Refuse new clients from now on."""
        self.front_door.accepts_clients = False
        self.gateway.draining = True

    def end_clients(self) -> None:
        """Start to end every session. Does not wait."""
        self.refuse_new_clients()
        self.gateway.end_all()

    async def wait_ended(self) -> None:
        """Wait until every session has ended, for a bounded time."""
        # Each exit has a bound of its own. A busy machine gets twice the sum.
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
    """Run a gateway for as long as the block runs. Leaving the block ends every client in bounded time.

    Without ``listeners``, the gateway opens the TCP port of ``config``. With an empty sequence it has no TCP port for
    clients and serves only :meth:`Server.serve_stream`. The other arguments replace parts of the gateway, for tests and
    other programs.

    Raises :exc:`StartError`.
    """
    metrics = Metrics()
    _check_token_keys(config)
    tls = _open_tls(config)
    async with AsyncExitStack() as stack:
        # Bind first, so that an occupied port raises outside of any nursery. Accept connections last.
        if listeners is None:
            if (exposure := accidental_exposure(config)) is not None:
                raise StartError(exposure)
            listeners = await _open_listeners(config.host, config.port)
        _close_at_exit(stack, listeners)
        for_metrics: Sequence[trio.SocketListener] = ()
        if config.metrics_port is not None:
            for_metrics = await _open_listeners(config.metrics_host, config.metrics_port)
        _close_at_exit(stack, for_metrics)
        routers = [await _enter_router(stack, settings, open_router) for settings in config.media_of_planes]
        gateway = make_gateway(config, routers, metrics)
        metrics.watch(gateway.channels, *routers)
        for router in routers:
            router.use_tcp_listeners([listener.socket.getsockname()[:2] for listener in listeners])
        front_door = _make_front_door(config, gateway, metrics, serve_client, tls)
        url = url_of(listeners[0], "http" if tls is None else "https") if listeners else ""
        metrics_url = url_of(for_metrics[0]) if for_metrics else ""
        media = tuple(address for router in routers for address in router.context.addresses)
        server = Server(config, gateway, front_door, url, metrics_url, media)
        async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
            accepting.start_soon(gateway.run)
            metrics_door = FrontDoor(config, make_metrics_app(metrics, lambda: front_door.is_ready), None, metrics)
            for door, found in ((front_door, listeners), (metrics_door, for_metrics)):
                if found:
                    accept = partial(trio.serve_listeners, handler_nursery=connections)
                    await accepting.start(accept, _serve_socket(door), list(found))
            # Close in this order. End every session, so that each client gets its goodbye. Stop the background tasks
            # and the listeners: until now they have answered /readyz. Finish the begun responses. Cancel every other
            # connection.
            try:
                yield server
            finally:
                server.end_clients()
            await server.wait_ended()
            accepting.cancel_scope.cancel()
            with trio.move_on_after(config.goodbye_timeout):
                await front_door.wait_answered()
            connections.cancel_scope.cancel()


def _check_token_keys(config: Config) -> None:
    """Read the keys before any port opens. The gateway reads them for itself."""
    try:
        load_keys(config.token_keys)
    except KeyFileError as error:
        raise StartError(str(error)) from error


def _open_tls(config: Config) -> Tls | None:
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        return Tls(load_certificate(config.tls_cert, config.tls_key, datetime.now(UTC)))
    except CertificateError as error:
        raise StartError(str(error)) from error


def _close_at_exit(stack: AsyncExitStack, listeners: Sequence[trio.SocketListener]) -> None:
    for listener in listeners:
        stack.push_async_callback(trio.aclose_forcefully, listener)


def _serve_socket(front_door: FrontDoor) -> Callable[[trio.SocketStream], Awaitable[None]]:
    async def serve(stream: trio.SocketStream) -> None:
        await front_door.serve(stream, remote_name(stream))

    return serve


async def _enter_router(stack: AsyncExitStack, settings: sfu.MediaSettings, open_router: OpenRouter) -> sfu.Router:
    try:
        return await stack.enter_async_context(open_router(settings))
    except sfu.BadAnnouncement as error:
        setting = "media-" + error.setting.replace("_", "-")
        raise StartError(f"cannot announce the addresses of {setting}: {error}") from error
    except sfu.BadAddress as error:
        raise StartError(f"cannot listen on the addresses of media-host: {error}") from error
    except (OSError, ValueError) as error:
        hosts = [error.filename] if isinstance(error, OSError) and error.filename else settings.hosts or ()
        where = ", ".join(show_address((host, settings.port)) for host in hosts)
        hint = _ADDRESS_HINT if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL else ""
        raise StartError(f"cannot open the media port on {where} (UDP): {_reason_text(error)}{hint}") from error


async def _open_listeners(host: str, port: int) -> Sequence[trio.SocketListener]:
    try:
        return await open_listeners(host, port)
    except (OSError, UnicodeError) as error:
        where = show_address((host, port))
        raise StartError(f"cannot listen on {where} (TCP): {_reason_text(error)}") from error


def _reason_text(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _make_front_door(
    config: Config, gateway: Gateway, metrics: Metrics, serve_client: ServeClient, tls: Tls | None
) -> FrontDoor:
    async def serve(stream: trio.abc.Stream, remote: str) -> None:
        await serve_client(stream, gateway=gateway, remote=remote)

    def is_ready() -> bool:
        return front_door.is_ready and not gateway.stalled_planes

    app = make_app(config, metrics, gateway.channels, is_ready)
    media_streams = MediaStreams(config, gateway.routers, metrics) if config.media_tcp else None
    front_door = FrontDoor(
        config, app, serve, metrics, lambda: gateway.open_connections, media_streams, gateway.accounts, tls
    )
    return front_door


async def serve(
    config: Config,
    *,
    exit_at_once: Callable[[int], NoReturn] = exit_at_once,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a gateway until the first signal, then drain it. A second SIGTERM, SIGINT or SIGQUIT ends the process at
    once.

    Raises :exc:`StartError`.
    """
    _allow_many_files(config)
    _self_test()
    with trio.open_signal_receiver(*_ending_signals()) as signals:
        async with (
            open_server(config) as server,
            garbage_collection.collect_when_idle(server.gateway),
            loop_time.watch_steps(server.gateway.metrics),
            loop_watch.watch_loop([router.context.plane for router in server.gateway.routers], exit_at_once),
        ):
            _warm_up(server.gateway)
            also = {"metrics": server.metrics_url} if server.metrics_url else {}
            log.info("listening", url=server.url, media=", ".join(map(show_address, server.media_addresses)), **also)
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
    for number in set(_ending_signals()) - _STATUS_OF_SECOND_SIGNAL.keys():
        signal.signal(number, signal.SIG_IGN)  # Closing the signal receiver restores the former handler.
    async with trio.open_nursery() as watch:
        watch.start_soon(_exit_on_second, signals, exit_at_once)
        await server.drain()
        watch.cancel_scope.cancel()


def _warm_up(gateway: Gateway) -> None:
    """Prepare decoders and DTLS before the first client, whose join would take some 12 ms longer otherwise."""
    codec.warm_up()
    sfu.warm_up(gateway.routers[0].context)


def _self_test() -> None:
    try:
        sfu.self_test()
    except RuntimeError as error:
        raise StartError(f"the data plane failed its self-test on this machine: {error}") from error


def _ending_signals() -> list[signal.Signals]:
    """The signals that drain. A signal that was ignored at the start stays ignored, as ``nohup`` expects."""
    others = [number for number in _ALSO_DRAIN if signal.getsignal(number) is not signal.SIG_IGN]
    return [signal.SIGINT, signal.SIGTERM, *others]


async def _exit_on_second(signals: AsyncIterator[int], exit_at_once: Callable[[int], NoReturn]) -> None:
    """End the process on the second signal, but not on SIGHUP.

    A closing terminal sends SIGHUP several times, and systemd may send it right after its SIGTERM.
    """
    async for number in signals:
        if (status := _STATUS_OF_SECOND_SIGNAL.get(signal.Signals(number))) is not None:
            log.warning("exiting at once", signal=signal.Signals(number).name)
            exit_at_once(status)


def _allow_many_files(config: Config) -> None:
    """Raise the limit of open files as far as the system allows. Every connection needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    http = config.max_http_connections + config.max_half_open_connections
    doors = 1 if config.metrics_port is None else 2
    wanted = config.max_connections + doors * http + config.max_media_streams * config.media_tcp
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning("the limit of open files is below the limit of connections", open_files=hard, connections=wanted)
