"""A client of the gateway for Python programs on Trio.

    async with protocol.client.connect("ws://127.0.0.1:8080/ws") as client:
        joined = await client.join("lobby", "Anna")
        async for event in client.events():
            ...

Any number of tasks may send requests at the same time. Each request waits for its answer for ``timeouts.request``
seconds, then raises ``trio.TooSlowError``. The gateway also serves a request that the program cancels after sending it,
and one that was too slow. The client drops the answer to such a request.
"""

import secrets
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
from attrs import evolve

from protocol import client_websocket, limits
from protocol.client_link import AnswerLost, Decode, Link, OpenStream
from protocol.client_websocket import ConnectError, Headers, Timeouts
from protocol.codec import decode_from_gateway
from protocol.declarations import OkData, RequestData
from protocol.errors import RequestError
from protocol.event_buffer import ConnectionClosed, Events, EventsLost, StateLost
from protocol.media import DtlsParameters, IceCredentials, RtpCapabilities, RtpParameters
from protocol.mirror import positions_for
from protocol.moderation import RenewToken, TokenRenewed
from protocol.moderator import Moderator
from protocol.requests import (
    Close,
    ConnectTransport,
    Consume,
    Consumed,
    ConsumedMany,
    ConsumeMany,
    CreateTransport,
    Delivered,
    GetStats,
    IceRestarted,
    Join,
    Joined,
    Leave,
    Move,
    Moved,
    Pause,
    Ping,
    Produce,
    Produced,
    RestartIce,
    Resume,
    SendMessage,
    SetIceParameters,
    SetLayers,
    SetPriority,
    TransportCreated,
    Update,
)
from protocol.stats import Stats
from protocol.vocabulary import Direction, MediaKind, Position, Source
from protocol.watching import Unwatch, Watch, Watched

__all__ = [
    "AnswerLost",
    "Client",
    "ConnectError",
    "ConnectionClosed",
    "Decode",
    "EventsLost",
    "RequestError",
    "StateLost",
    "Timeouts",
    "connect",
    "connect_over",
    "new_session_secret",
]

DEFAULT_EVENT_BUFFER = 4 * 1024 * 1024
DEFAULT_TIMEOUTS = Timeouts()

A = TypeVar("A", bound=OkData)


def new_session_secret() -> str:
    """Make a secret for :meth:`Client.join`, of 128 random bits. Keep it in memory only."""
    return secrets.token_urlsafe(16)


class Client(Moderator):
    """A connection to the gateway, made by :func:`connect` or :func:`connect_over`.

    A session survives its connection. If that breaks, the client opens another one, and requests wait meanwhile.

    Every request raises :exc:`RequestError` if the gateway refuses it, and :exc:`ConnectionClosed` if the connection
    ends for good before the answer. It raises ``trio.TooSlowError`` if no answer comes in time.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def join(
        self,
        channel_id: str,
        username: str,
        *,
        user_id: str | None = None,
        token: str | None = None,
        metadata: dict[str, Any] | None = None,
        session_secret: str | None = None,
    ) -> Joined:
        """Enter a channel.

        A program that may join again with the same ``user_id`` gives each ``join`` the same ``session_secret``, made by
        :func:`new_session_secret`. Without it, the gateway refuses the user id with ``conflict`` while it still lists
        the program's lost session.
        """
        return await self.request(Join(channel_id, username, user_id, token, metadata or {}, session_secret))

    async def update(self, *, username: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Change the client's own name or metadata in the list. What is left out stays as it is."""
        await self.request(Update(username, metadata))

    async def leave(self) -> None:
        """Leave the channel. Returns when the gateway has closed this session's media and notified the other
        members."""
        await self.request(Leave())

    async def move(self, channel_id: str) -> Moved:
        """Go to another channel in one step. All consumers close, and without ``media_kept`` all other media."""
        return await self.request(Move(channel_id))

    async def create_transport(
        self, direction: Direction, *, rtp_capabilities: RtpCapabilities | None = None
    ) -> TransportCreated:
        """Create a transport in one direction."""
        return await self.request(CreateTransport(direction, rtp_capabilities))

    async def connect_transport(
        self, transport_id: str, dtls_parameters: DtlsParameters, *, ice_parameters: IceCredentials | None = None
    ) -> None:
        """Set the client's DTLS parameters, and its own ICE credentials. Returns before the handshake."""
        await self.request(ConnectTransport(transport_id, dtls_parameters, ice_parameters))

    async def restart_ice(self, transport_id: str, *, ice_parameters: IceCredentials | None = None) -> IceRestarted:
        """Get new ICE credentials for a transport. ``ice_parameters`` are the client's own new ones."""
        return await self.request(RestartIce(transport_id, ice_parameters))

    async def set_ice_parameters(self, transport_id: str, ice_parameters: IceCredentials) -> None:
        """Set the client's own ICE credentials, if its stack makes them only after the answer to ``restart_ice``."""
        await self.request(SetIceParameters(transport_id, ice_parameters))

    async def produce(
        self,
        transport_id: str,
        kind: MediaKind,
        rtp_parameters: RtpParameters,
        source: Source,
        *,
        paused: bool = False,
    ) -> Produced:
        """Announce a stream that the client sends."""
        return await self.request(Produce(transport_id, kind, rtp_parameters, source, paused))

    async def consume(
        self,
        transport_id: str,
        producer_id: str,
        *,
        rtp_capabilities: RtpCapabilities | None = None,
        paused: bool = True,
    ) -> Consumed:
        """Ask for a stream of another member."""
        return await self.request(Consume(transport_id, producer_id, rtp_capabilities, paused))

    async def consume_many(
        self,
        transport_id: str,
        producer_ids: Iterable[str],
        *,
        rtp_capabilities: RtpCapabilities | None = None,
        paused: bool = True,
    ) -> ConsumedMany:
        """Ask for streams of other members in one request. ``refused`` of the answer has those that cannot be had."""
        return await self.request(ConsumeMany(transport_id, tuple(producer_ids), rtp_capabilities, paused))

    async def pause(self, *, producer_id: str | None = None, consumer_id: str | None = None) -> None:
        """Pause the client's own producer or consumer."""
        await self.request(Pause(producer_id, consumer_id))

    async def resume(self, *, producer_id: str | None = None, consumer_id: str | None = None) -> None:
        """Resume the client's own producer or consumer."""
        await self.request(Resume(producer_id, consumer_id))

    async def close(
        self,
        *,
        producer_id: str | None = None,
        consumer_id: str | None = None,
        transport_id: str | None = None,
    ) -> None:
        """Close the client's own producer, consumer or transport. Leaving ``async with`` closes the connection."""
        await self.request(Close(producer_id, consumer_id, transport_id))

    async def set_layers(self, consumer_id: str, spatial: int, temporal: int) -> None:
        """Limit the layers of a consumer. 0 is the lowest layer."""
        await self.request(SetLayers(consumer_id, spatial, temporal))

    async def set_priority(self, consumer_id: str, priority: int) -> None:
        """Let a consumer get bandwidth before those of a lower priority, 1 to 255."""
        await self.request(SetPriority(consumer_id, priority))

    async def send_message(self, data: Any, *, to: Sequence[str] | None = None) -> Delivered:
        """Send any JSON to all other members, or to the given users."""
        return await self.request(SendMessage(data, None if to is None else tuple(to)))

    async def watch(
        self,
        channel_ids: Iterable[str] = (),
        *,
        prefix: str | None = None,
        after: Mapping[str, Position] | None = None,
        token: str | None = None,
    ) -> Watched:
        """Follow the lists of channels without joining them: of ``channel_ids``, at most 100, or of all with a prefix.

        The changes come as events. :class:`protocol.mirror.Mirror` keeps the lists, and the positions for ``after``.
        """
        given = tuple(channel_ids)
        return await self.request(Watch(given or None, prefix, positions_for(after or {}, given, prefix), token))

    async def unwatch(self, channel_ids: Iterable[str] = (), *, prefix: str | None = None) -> None:
        """Follow these channels, or this prefix, no longer."""
        await self.request(Unwatch(tuple(channel_ids) or None, prefix))

    async def ping(self) -> None:
        """Ask the gateway for a sign of life."""
        await self.request(Ping())

    async def stats(self) -> Stats:
        """Return the gateway's measurements of this session's media."""
        return await self.request(GetStats())

    async def renew_token(self, token: str) -> TokenRenewed:
        """Go on with the grants of a newer token of the same user. Call it before the present token expires."""
        return await self.request(RenewToken(token))

    async def request(self, data: RequestData[A]) -> A:
        """Send a request and return its answer, an object of the class that the request declares."""
        return await self._link.request(data)

    def reconnect(self) -> None:
        """Go on with the session over another WebSocket, because this machine's network changed.

        The client does so by itself when the connection breaks, but it may notice that late. Does nothing without a
        session.
        """
        self._link.reconnect()

    def events(self) -> Events:
        """Return the events in order, for one task at a time.

        Iterating raises :exc:`EventsLost` at a gap, if the buffer was full (``event_buffer`` of :func:`connect`). The
        program may iterate again after that. Iterating raises :exc:`ConnectionClosed` after the last event of a closed
        connection.
        """
        return Events(self._link.events)


@asynccontextmanager
async def connect(
    url: str,
    *,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    event_buffer: int = DEFAULT_EVENT_BUFFER,
    headers: Headers = (),
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Client]:
    """Connect to a gateway's ``ws:`` or ``wss:`` URL. Leaving the block closes the connection with 1000.

    ``event_buffer`` limits the events that the program has not taken yet, in characters of JSON. Above this limit, the
    client drops the oldest events. ``headers`` go with the HTTP request. Raises :exc:`ConnectError`, and ``ValueError``
    for another kind of URL. Exceptions of the block leave it unchanged, in no exception group.
    """
    deadline = trio.current_time() + timeouts.connect
    try:
        with trio.fail_at(deadline):
            stream, host, path = await client_websocket.open_stream(url, ssl_context)
    except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
        raise ConnectError(f"cannot connect to {url}: {_reason(error)}") from error

    async def reopen() -> trio.abc.Stream:
        return (await client_websocket.open_stream(url, ssl_context))[0]

    left = evolve(timeouts, connect=max(0.0, deadline - trio.current_time()))
    async with connect_over(
        stream,
        host=host,
        path=path,
        timeouts=left,
        event_buffer=event_buffer,
        headers=headers,
        open_stream=reopen,
    ) as client:
        yield client


def _reason(error: BaseException) -> str:
    # trio puts a TLS error into the cause. If it tried several addresses, the cause is a group of their errors.
    reason = error.__cause__ or error
    while isinstance(reason, BaseExceptionGroup):
        reason = reason.exceptions[0]
    return str(reason) or "it took too long"


@asynccontextmanager
async def connect_over(
    stream: trio.abc.Stream,
    *,
    host: str = "localhost",
    path: str = limits.PATH,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    event_buffer: int = DEFAULT_EVENT_BUFFER,
    headers: Headers = (),
    decode: Decode = decode_from_gateway,
    open_stream: OpenStream | None = None,
) -> AsyncIterator[Client]:
    """Connect like :func:`connect`, over an open stream, and close this stream on every path.

    ``open_stream`` opens another stream to the same gateway. With it, a session goes on after its connection broke. It
    may raise ``OSError`` or ``trio.BrokenResourceError``.

    A program with many clients may pass its own ``decode``. If all clients get the same frame, it can decode this frame
    only once.
    """
    link = Link(timeouts, event_buffer, decode, open_stream)
    body_error: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run, stream, host, path, headers)
            nursery.start_soon(link.acknowledge)
            try:
                await link.opened()
                yield Client(link)
            except BaseException as error:
                body_error = error
                raise
            finally:
                with trio.move_on_after(timeouts.goodbye, shield=True):
                    await link.say_goodbye()
                link.end()
    except BaseExceptionGroup as group:
        if body_error is None or not _only_cancelled_beside(body_error, group):
            raise
    if body_error is not None:
        raise body_error  # unchanged, not inside the nursery's exception group


def _only_cancelled_beside(error: BaseException, group: BaseExceptionGroup[BaseException]) -> bool:
    return all(
        other is error
        or isinstance(other, trio.Cancelled)
        or (isinstance(other, BaseExceptionGroup) and _only_cancelled_beside(error, other))  # of tasks with nurseries
        for other in group.exceptions
    )
