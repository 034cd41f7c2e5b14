"""The doors of a gateway: its TCP port for clients, and perhaps another one for metrics."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio
from attrs import define, field
from starlette.types import ASGIApp

from gateway.channel.channel import Channel
from gateway.channel.member import Member
from gateway.channel.moderation import ADMIN
from gateway.config import Config
from gateway.gateway import Gateway
from gateway.http.front_door import FrontDoor
from gateway.http.media_streams import MediaStreams
from gateway.http.presence import PresenceStreams
from gateway.http.routes import make_app, make_metrics_app
from gateway.http.sockets import remote_name
from gateway.http.tls import Tls
from gateway.session.moving import move_participant


class ServeClient(Protocol):
    """Serves one WebSocket client from its handshake to its end. Never raises ``Exception``."""

    async def __call__(self, stream: trio.abc.Stream, *, gateway: Gateway, remote: str) -> None: ...


@define(eq=False)
class Doors:
    """The ``front`` door and that of the ``metrics``, and the streams of the front door that tell the ``presence``.

    ``make_app`` makes the application that answers HTTP at the front door.
    """

    front: FrontDoor
    metrics: FrontDoor
    presence: PresenceStreams
    make_app: Callable[[Config], ASGIApp]
    # The listeners of each door, with the scope of the task that accepts.
    _listening: list[tuple[trio.CancelScope, Sequence[trio.SocketListener]]] = field(factory=list)

    async def listen(  # noqa: ASYNC114, ASYNC128: trio.serve_listeners says that it has started
        self,
        connections: trio.Nursery,
        door: FrontDoor,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[list[trio.SocketListener]],
    ) -> None:
        """Accept connections, which ``connections`` serves, until :meth:`stop_listening`."""
        with trio.CancelScope() as scope:
            self._listening.append((scope, listeners))
            serve = _serve_socket(door)
            await trio.serve_listeners(serve, list(listeners), handler_nursery=connections, task_status=task_status)

    def reconfigure(self, config: Config) -> None:
        """Use other settings from the next connection on."""
        self.front.reconfigure(config, self.make_app(config))
        self.metrics.reconfigure(config)

    def stop_listening(self) -> None:
        """Close the TCP listeners in this step, so that another process can have the ports."""
        for scope, listeners in self._listening:
            scope.cancel()
            for listener in listeners:
                listener.socket.close()


def make_doors(gateway: Gateway, serve_client: ServeClient, tls: Tls | None) -> Doors:
    """Make the doors of a gateway. None of them listens yet."""
    config, metrics = gateway.config, gateway.metrics

    async def serve(stream: trio.abc.Stream, remote: str) -> None:
        await serve_client(stream, gateway=gateway, remote=remote)

    def is_ready() -> bool:
        return front.is_ready and not gateway.stalled_planes and gateway.room.is_anywhere

    def move(source: Channel, user_id: str, channel_id: str) -> Member:
        move_participant(gateway, source, user_id, channel_id, by=ADMIN)
        return gateway.channels.channels[channel_id].members[user_id]

    def make(config: Config) -> ASGIApp:
        return make_app(config, metrics, gateway.channels, is_ready, move)

    presence = PresenceStreams(gateway)
    front = FrontDoor(
        config,
        make(config),
        serve,
        metrics,
        count_sessions=lambda: gateway.open_connections,
        media_streams=MediaStreams(config, gateway.routers, metrics) if config.media_tcp else None,
        accounts=gateway.accounts,
        tls=tls,
        presence=presence,
    )
    doors = Doors(front, FrontDoor(config, make_metrics_app(metrics, is_ready), None, metrics), presence, make)
    _export_use(gateway, doors)
    return doors


def _export_use(gateway: Gateway, doors: Doors) -> None:
    """Export how much of the limits is in use."""
    metrics, moderation, front = gateway.metrics, gateway.channels.moderation, doors.front
    metrics.limits.export(
        gateway.config,
        {
            "max_connections": lambda: gateway.open_connections,
            "max_http_connections": lambda: front.http_connections,
            "max_half_open_connections": lambda: len(front.half_open),
            "max_media_streams": lambda: sum(router.stream_counts()[0] for router in gateway.routers),
            "max_channels": lambda: len(gateway.channels.channels),
            "max_removals": lambda: moderation.removals,
            "max_kept_rules": lambda: moderation.kept_rules,
            "max_watches": lambda: sum(feed.count for feed in gateway.feeds),
            "max_presence_streams": lambda: doors.presence.open,
            "unread_bytes": lambda: gateway.unread.size,
        },
    )
    metrics.watch_gauge("sfu_stalled_planes", "Threads for media that do not run.", lambda: len(gateway.stalled_planes))
    metrics.watch_journal(gateway.journal_figures)
    metrics.watch_gauge("sfu_journal_bytes", "Bytes of changes in memory.", lambda: gateway.journal.size)
    metrics.watch_gauge("sfu_addresses", "Addresses of clients that have an account.", lambda: len(gateway.accounts))
    metrics.watch_gauge("sfu_addresses_in_debt", "Those that have used too much time.", gateway.accounts.in_debt)


def _serve_socket(front_door: FrontDoor) -> Callable[[trio.SocketStream], Awaitable[None]]:
    async def serve(stream: trio.SocketStream) -> None:
        await front_door.serve(stream, remote_name(stream))

    return serve
