"""The life of the gateway: open the ports, serve clients, stop on a signal, let clients leave, close the ports."""

import resource
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Final, NoReturn

import structlog
import trio
from attrs import frozen

import sfu
from gateway.config import Config
from gateway.config.open_files import open_files_wanted
from gateway.doors import Doors, ServeClient, make_doors
from gateway.gateway import Gateway
from gateway.http.front_door import FrontDoor
from gateway.http.sockets import show_address, url_of
from gateway.http.tls import Tls
from gateway.identity.tokens import Tokens
from gateway.ops import garbage_collection, loop_time, loop_watch, supervisor
from gateway.ops.log_writer import exit_at_once
from gateway.ops.metrics import Metrics
from gateway.ops.room import watch_room
from gateway.place import Place, enter_place
from gateway.presence.durable import Durable
from gateway.reload import Reread, reload
from gateway.session.lifecycle import serve_client
from gateway.start import (
    OpenRouter,
    StartError,
    check,
    check_exposure,
    check_token_keys,
    check_webhook_keys,
    enter_routers,
    keep_journal,
    open_tcp,
    open_tls,
    send_webhooks,
)
from protocol import codec

if TYPE_CHECKING:
    from gateway.presence.webhook_service import Webhooks

__all__ = ["Server", "StartError", "open_server", "serve"]

log = structlog.get_logger(__name__)

_STATUS_OF_SECOND_SIGNAL: Final = {signal.SIGINT: 130, signal.SIGTERM: 1, signal.SIGQUIT: 131}
# Unless the gateway catches these signals, they end the process before any client gets a goodbye.
_ALSO_DRAIN: Final = (signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_LOOK_EVERY: Final = 0.02
"""Seconds between two looks at a state that no event announces."""


MakeGateway = Callable[[Config, Sequence[sfu.Router], Metrics], Gateway]


@frozen(eq=False)
class Server:
    """One running gateway.

    ``url`` is the address for browsers, empty without listeners. ``metrics_url`` is that of the port for metrics, empty
    without one. ``media_addresses`` are the hosts and ports of the media sockets. ``tls`` is None without TLS,
    ``durable`` without ``state_dir``, and ``webhooks`` without receivers.
    """

    gateway: Gateway
    doors: Doors
    url: str
    metrics_url: str
    media_addresses: tuple[tuple[str, int], ...]
    tls: Tls | None
    durable: Durable | None = None
    webhooks: "Webhooks | None" = None

    @property
    def front_door(self) -> FrontDoor:
        """The entrance of clients."""
        return self.doors.front

    @property
    def config(self) -> Config:
        """The configuration now."""
        return self.gateway.config

    def reconfigure(self, config: Config, tokens: Tokens | None, certificate: ssl.SSLContext | None) -> None:
        """Use other settings from now on. Connections and channels that are open keep their own limits."""
        self.gateway.reconfigure(config, tokens)
        self.gateway.metrics.limits.export(config)
        self.doors.reconfigure(config)
        if self.tls is not None and certificate is not None:
            self.tls.context = certificate

    async def serve_stream(self, stream: trio.abc.Stream, remote: str = "memory") -> None:
        """Serve a client connection that came through no listener. Return when it has ended."""
        await self.front_door.serve(stream, remote)

    async def drain(self) -> None:
        """Refuse new clients, wait for the others to leave, then end those that stayed.

        The gateway answers HTTP until the end, so that ``/readyz`` reports the drain. This takes at most
        ``drain_timeout`` plus the time to end the sessions. Without clients it returns at once.
        """
        self.refuse_new_clients()
        await self.wait_drained()
        self.end_clients()
        await self.wait_ended()

    async def wait_drained(self) -> None:
        """Wait until no client is left, for at most ``drain_timeout``."""
        with trio.move_on_after(self.config.drain_timeout):
            await self.front_door.wait_empty()

    async def hand_over(self, release: Callable[[], None]) -> None:
        """Give way to a successor: close the listeners, and end every session with 1012.

        Call ``release`` when nobody is on a list any more and the journal is closed, or after a bounded time. Then
        finish the goodbyes.
        """
        self.refuse_new_clients()
        self.doors.stop_listening()
        self.gateway.end_all_for_restart()
        with trio.move_on_after(2 * (self.config.exit_timeout + self.config.courtesy_timeout)) as bounded:
            while self.gateway.seats:  # noqa: ASYNC110: no event announces it
                await trio.sleep(_LOOK_EVERY)
        if self.webhooks is not None:  # both would deliver, and what this one delivers late could undo a change
            left = bounded.deadline - trio.current_time()  # none, if a session was stuck
            await self.webhooks.finish(max(0.0, min(self.config.goodbye_timeout, left)))
        if self.durable is not None:
            # The successor opens the file as soon as it has the lock.
            await self.durable.finish(max(0.0, bounded.deadline - trio.current_time()))
        release()
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
    check_token_keys(config)
    check_webhook_keys(config)
    tls = open_tls(config)
    async with AsyncExitStack() as stack:
        # Bind first, so that an occupied port raises outside of any nursery. Accept connections last.
        listeners, for_metrics = await _open_ports(stack, config, listeners)
        routers = await enter_routers(stack, config, open_router)
        gateway = make_gateway(config, routers, metrics)
        metrics.watch(gateway.channels, *routers)
        metrics.watch_room(gateway.room)
        for router in routers:
            router.use_tcp_listeners([listener.socket.getsockname()[:2] for listener in listeners])
        durable = await keep_journal(stack, gateway)
        webhooks = await send_webhooks(stack, gateway, durable)
        doors = make_doors(gateway, serve_client, tls)
        url = url_of(listeners[0], "http" if tls is None else "https") if listeners else ""
        metrics_url = url_of(for_metrics[0]) if for_metrics else ""
        media = tuple(address for router in routers for address in router.context.addresses)
        server = Server(gateway, doors, url, metrics_url, media, tls, durable, webhooks)
        async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
            accepting.start_soon(gateway.run)
            if webhooks is not None:
                accepting.start_soon(webhooks.run)
            for door, found in ((doors.front, listeners), (doors.metrics, for_metrics)):
                if found:
                    await accepting.start(doors.listen, connections, door, found)
            # Close in this order. End every session, so that each client gets its goodbye. Stop the background tasks
            # and the listeners: until now they have answered /readyz. Finish the begun responses. Cancel every other
            # connection.
            try:
                yield server
            finally:
                server.end_clients()
            await server.wait_ended()
            with trio.move_on_after(config.goodbye_timeout):
                await doors.presence.finish()
            if webhooks is not None:
                await webhooks.finish(config.goodbye_timeout)
            accepting.cancel_scope.cancel()
            with trio.move_on_after(config.goodbye_timeout):
                await doors.front.wait_answered()
            connections.cancel_scope.cancel()


async def _open_ports(
    stack: AsyncExitStack, config: Config, listeners: Sequence[trio.SocketListener] | None
) -> tuple[Sequence[trio.SocketListener], Sequence[trio.SocketListener]]:
    """Open the TCP port for clients, unless ``listeners`` are given, and the one for metrics, if there is one."""
    if listeners is None:
        check_exposure(config)
        listeners = await open_tcp(config.host, config.port)
    _close_at_exit(stack, listeners)
    for_metrics: Sequence[trio.SocketListener] = ()
    if config.metrics_port is not None:
        for_metrics = await open_tcp(config.metrics_host, config.metrics_port)
    _close_at_exit(stack, for_metrics)
    return listeners, for_metrics


def _close_at_exit(stack: AsyncExitStack, listeners: Sequence[trio.SocketListener]) -> None:
    for listener in listeners:
        stack.push_async_callback(trio.aclose_forcefully, listener)


async def serve(
    config: Config,
    *,
    reread: Reread | None = None,
    exit_at_once: Callable[[int], NoReturn] = exit_at_once,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a gateway until the first signal that ends it, then drain it. A second SIGTERM, SIGINT or SIGQUIT ends the
    process at once. SIGHUP only reloads the configuration, with ``reread``.

    Raises :exc:`StartError`.
    """
    _allow_many_files(config)
    _self_test()
    check(config)
    with ExitStack() as stack:
        signals = stack.enter_context(trio.open_signal_receiver(signal.SIGHUP, *_ending_signals()))
        place = await _take_place(stack, config, signals)
        if place is None:
            log.info("stopped")
            return
        async with (
            open_server(config, listeners=place.listeners) as server,
            garbage_collection.collect_when_idle(server.gateway),
            loop_time.watch_steps(server.gateway.metrics) as steps,
            _watched_room(server.gateway, steps),
            loop_watch.watch_loop([router.context.plane for router in server.gateway.routers], exit_at_once),
        ):
            _warm_up(server.gateway)
            also = {"metrics": server.metrics_url} if server.metrics_url else {}
            log.info("listening", url=server.url, media=", ".join(map(show_address, server.media_addresses)), **also)
            async with supervisor.tell_supervisor():
                task_status.started(server)
                while (number := await anext(signals)) == signal.SIGHUP:
                    await reload(server, reread or (lambda: config))
                    _allow_many_files(server.config)
                supervisor.notify("STOPPING=1")
                log.info(
                    "draining",
                    signal=signal.Signals(number).name,
                    clients=server.front_door.clients,
                    at_most_seconds=server.config.drain_timeout,
                    hint="press Ctrl-C again to exit at once",
                )
                await _drain(server, place, signals, exit_at_once)
    log.info("stopped")


@asynccontextmanager
async def _watched_room(gateway: Gateway, steps: loop_time.LoopTime) -> AsyncIterator[None]:
    """Refuse newcomers while the machine is overloaded, as long as the block runs."""
    planes = [router.context.plane for router in gateway.routers]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_room, gateway.room, steps, planes, perf_counter, name="room for newcomers")
        yield
        nursery.cancel_scope.cancel()


async def _take_place(stack: ExitStack, config: Config, signals: AsyncIterator[int]) -> Place | None:
    """Wait until this gateway may listen. Return None if a signal ends it before. Raises :exc:`StartError`."""
    outcome: Place | StartError | None = None
    async with trio.open_nursery() as nursery:

        async def take() -> None:
            nonlocal outcome
            outcome = await enter_place(stack, config)
            nursery.cancel_scope.cancel()

        nursery.start_soon(take)
        async for number in signals:
            if number != signal.SIGHUP:  # the gateway reads its files at the start anyway
                nursery.cancel_scope.cancel()
                break
    if isinstance(outcome, StartError):
        raise outcome
    return outcome


async def _drain(
    server: Server, place: Place, signals: AsyncIterator[int], exit_at_once: Callable[[int], NoReturn]
) -> None:
    for number in {signal.SIGHUP, *_ending_signals()} - _STATUS_OF_SECOND_SIGNAL.keys():
        signal.signal(number, signal.SIG_IGN)  # Closing the signal receiver restores the former handler.
    async with trio.open_nursery() as watch:
        watch.start_soon(_exit_on_second, signals, exit_at_once)
        await _leave(server, place)
        watch.cancel_scope.cancel()


async def _leave(server: Server, place: Place) -> None:
    """Drain, or give way to a successor as soon as there is one."""
    server.refuse_new_clients()
    async with trio.open_nursery() as waiting:

        async def drain() -> None:
            await server.wait_drained()
            waiting.cancel_scope.cancel()

        waiting.start_soon(drain)
        await place.wait_successor()
        waiting.cancel_scope.cancel()
    if place.successor_waits:
        log.info("handing over", clients=server.front_door.clients)
        await server.hand_over(place.release)
    else:
        server.end_clients()
        await server.wait_ended()


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
    """End the process on the second signal, but not on SIGHUP, which systemd may send right after its SIGTERM."""
    async for number in signals:
        if (status := _STATUS_OF_SECOND_SIGNAL.get(signal.Signals(number))) is not None:
            log.warning("exiting at once", signal=signal.Signals(number).name)
            exit_at_once(status)


def _allow_many_files(config: Config) -> None:
    """Raise the limit of open files as far as the system allows. Every connection needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = open_files_wanted(config)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning("the limit of open files is below the limit of connections", open_files=hard, connections=wanted)
