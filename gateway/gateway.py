"""The state that all connections of one gateway share."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Never

import structlog
import trio
from attrs import define, evolve, field
from structlog.typing import FilteringBoundLogger

import protocol.media
import sfu
from gateway.channel import quality_watch, speakers, voices
from gateway.channel.channel import Channel, Seat
from gateway.channel.channels import Channels
from gateway.channel.lost_seats import LostSeats
from gateway.config import Config
from gateway.connection import end_reasons
from gateway.connection.accounts import Account, Accounts
from gateway.connection.connection import Connection
from gateway.connection.end_reasons import EndReason
from gateway.connection.outbox import SendBudget
from gateway.connection.rates import TokenBucket
from gateway.connection.unread import UnreadBudget
from gateway.identity.keys import load_keys
from gateway.identity.rights import EVERYBODY, WATCH, Rights, is_secret
from gateway.identity.tokens import TokenRefused, Tokens
from gateway.identity.turn import with_credentials
from gateway.media_objects import convert
from gateway.ops import plane_watch
from gateway.ops.log import new_reference
from gateway.ops.loop_time import payer
from gateway.ops.metrics import Metrics
from gateway.ops.room import Room, RoomLimits
from gateway.presence.durable import JournalFigures
from gateway.presence.feed import Feed
from gateway.presence.journal import Journal
from protocol import limits
from protocol.errors import ErrorCode, RequestError
from protocol.vocabulary import IceServer


def _random_id() -> str:
    """Make an id of 96 random bits, which nobody can guess."""
    return secrets.token_hex(12)


def _random_secret() -> str:
    """The secret of a session: 128 random bits."""
    return secrets.token_urlsafe(16)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def tokens_of(config: Config) -> Tokens | None:
    """What checks tokens, or None if nobody needs one. Raises :exc:`~gateway.identity.keys.KeyFileError`."""
    if not config.token_keys:
        return None
    return Tokens(load_keys(config.token_keys), config.token_audience, config.token_issuer, config.token_leeway)


def _limits_of(config: Config) -> RoomLimits:
    if not config.shed_newcomers:
        return RoomLimits()
    return RoomLimits(
        loop_load=config.max_loop_load,
        loop_delay=config.max_loop_delay,
        plane_load=config.max_plane_load,
        receive_loss=config.max_receive_loss,
    )


@define(eq=False)
class Gateway:
    """The configuration, routers, channels and open connections.

    Each plane has a router, and :meth:`router_of` finds the router of a channel's media. ``connections`` holds the open
    connections by id, oldest first. ``ended_connections`` counts the ended ones. ``seats`` holds the seat of each
    session by its id. ``journal`` has the changes of all channels, and ``feed`` tells them to those who watch.
    ``backend_feed`` tells them to other programs, once no crash can take them back. Tests inject ``new_id`` (ids),
    ``new_secret`` (secrets of sessions), ``new_reference`` (references of failures) and ``utc_now`` (the time of day,
    in UTC), so that a run can be repeated. ``tokens`` checks the tokens of clients. It is None if nobody needs one.
    ``room`` says whether newcomers may join, and ``lost_seats`` who is none.

    Raises :exc:`~gateway.identity.keys.KeyFileError`.
    """

    config: Config
    routers: Sequence[sfu.Router]
    metrics: Metrics
    new_id: Callable[[], str] = _random_id
    new_secret: Callable[[], str] = _random_secret
    new_reference: Callable[[], str] = new_reference
    utc_now: Callable[[], datetime] = _utc_now
    draining: bool = False
    ended_connections: int = 0
    stalled_planes: set[int] = field(factory=set, init=False)
    """The numbers of the planes whose threads do not run."""
    connections: dict[str, Connection] = field(factory=dict, init=False)
    seats: dict[str, Seat] = field(factory=dict, init=False)
    journal: Journal = field(init=False)
    journal_figures: JournalFigures = field(factory=JournalFigures, init=False)
    feed: Feed = field(init=False)
    backend_feed: Feed = field(init=False)
    channels: Channels = field(init=False)
    accounts: Accounts = field(init=False)
    room: Room = field(init=False)
    lost_seats: LostSeats = field(init=False)
    unread: UnreadBudget = field(init=False)
    send_budget: SendBudget = field(factory=SendBudget, init=False)
    capabilities: protocol.media.RtpCapabilities = field(init=False)
    tokens: Tokens | None = field(init=False)
    log: FilteringBoundLogger = field(factory=structlog.get_logger, init=False)

    def __attrs_post_init__(self) -> None:
        self.unread = UnreadBudget(self.config.unread_bytes)
        self.accounts = Accounts(self.config.address_work_share, self.config.address_work_burst)
        self.room = Room(_limits_of(self.config), len(self.routers))
        self.lost_seats = LostSeats(self.config.max_connections)
        self.tokens = tokens_of(self.config)
        config = self.config
        self.journal = Journal(
            config.journal_bytes, config.journal_channel_bytes, self._microseconds(), lambda: self.utc_now().timestamp()
        )
        self.feed = self.backend_feed = self._new_feed()
        self.journal.followers.append(self.feed.take)
        self.channels = Channels(
            config, self.metrics, self.log, self.connections, self._choose_plane, self.journal, self._microseconds
        )
        self.capabilities = convert(self.routers[0].context.capabilities, protocol.media.RtpCapabilities)

    def reconfigure(self, config: Config, tokens: Tokens | None) -> None:
        """Use other settings from now on. Connections and channels that are open keep their own limits."""
        self.config, self.tokens = config, tokens
        self.unread.max_bytes = config.unread_bytes
        self.room.reconfigure(_limits_of(config))
        self.lost_seats.maximum = config.max_connections
        self.accounts.reconfigure(config.address_work_share, config.address_work_burst)
        self.channels.reconfigure(config)
        for feed in self.feeds:
            feed.max_each, feed.max_all = config.max_watched_channels, config.max_watches
        self.journal.max_bytes, self.journal.max_channel_bytes = config.journal_bytes, config.journal_channel_bytes

    def _new_feed(self) -> Feed:
        return Feed(self.config.max_watched_channels, self.config.max_watches, self.metrics.limits.reached)

    @property
    def feeds(self) -> set[Feed]:
        """The one feed, or both."""
        return {self.feed, self.backend_feed}

    def tell_backends_later(self) -> Feed:
        """From now on, other programs are told by a feed of their own. Return it. Only before the gateway runs."""
        self.backend_feed = self._new_feed()
        return self.backend_feed

    @property
    def carries_media(self) -> bool:
        """Whether some plane runs."""
        return len(self.stalled_planes) < len(self.routers)

    def ice_servers_for(self, user_id: str) -> tuple[IceServer, ...]:
        """The STUN and TURN servers for a user, with credentials that last for some hours."""
        config = self.config
        expires = self.utc_now().timestamp() + config.turn_seconds
        return with_credentials(config.ice_servers, config.turn_secret, user_id, expires)

    def rights_to_watch(self, token: str | None) -> Rights:
        """The rights of a client with this token that is in no channel.

        Raises :exc:`RequestError` with ``unauthenticated`` for a wrong token, and with ``forbidden`` without the grant.
        """
        if self.tokens is None:
            if not is_secret(self.config.join_token, token):
                raise RequestError(ErrorCode.UNAUTHENTICATED, "the token is missing or wrong", "data.token")
            return EVERYBODY
        now = self.utc_now().timestamp()
        try:
            rights = self.tokens.read_untrusted(token, now)
        except TokenRefused as refused:
            raise RequestError(ErrorCode.UNAUTHENTICATED, str(refused), "data.token") from None
        rights.require(WATCH, now)
        return rights

    def router_of(self, channel: Channel) -> sfu.Router:
        """The router that carries the media of this channel's members."""
        return self.routers[channel.plane]

    def _choose_plane(self) -> int:
        """The number of the plane with the fewest consumers. Of equal planes, that with the fewest channels.

        Planes without room for newcomers come later, and planes that do not run come last.
        """
        channels = Counter(channel.plane for channel in self.channels.channels.values())
        return min(
            range(len(self.routers)),
            key=lambda plane: (
                plane in self.stalled_planes,
                not self.has_room_on(plane),
                self.routers[plane].counts().consumers,
                channels[plane],
            ),
        )

    def has_room_in(self, channel_id: str) -> bool:
        """Whether there is room for a newcomer to this channel, which may not be open yet."""
        channel = self.channels.channels.get(channel_id)
        return self.has_room_on(self._choose_plane() if channel is None else channel.plane)

    def has_room_on(self, plane: int) -> bool:
        """Whether this plane has room for a newcomer."""
        return self.room.is_on(plane, lambda: self._ages_on(plane))

    def _ages_on(self, plane: int) -> Iterator[float]:
        """For how many seconds each member has been on the plane."""
        now = trio.current_time()
        for channel in self.channels.channels.values():
            if channel.plane == plane:
                yield from (now - member.came_at for member in channel.members.values())

    def _end_members(self, plane: int) -> None:
        """End everybody whose media the plane carries."""
        for channel in list(self.channels.channels.values()):
            if channel.plane == plane:
                for member in list(channel.members.values()):
                    member.connection.end_guarded(end_reasons.PLANE_STALLED)

    @contextmanager
    def register_connection(self, remote: str) -> Iterator[Connection]:
        """Make a connection and keep it in ``connections`` while the block runs. Its account pays for this task and
        for those that the block starts."""
        name = self.new_id()
        log = self.log.bind(connection=name, remote=remote)
        config = self.config
        account = Account(TokenBucket(config.work_share, config.work_burst), self.accounts.of(remote))
        connection = Connection(
            config,
            self.metrics,
            log,
            self.new_reference,
            name=name,
            remote=remote,
            account=account,
            unread=self.unread,
            send_budget=self.send_budget,
        )
        self.connections[name] = connection
        token = payer.set(account)
        try:
            yield connection
        finally:
            self.forget_connection(connection)
            connection.forget_unread()
            payer.reset(token)

    def forget_connection(self, connection: Connection) -> None:
        """Count a connection as ended. The second call does nothing."""
        if self.connections.pop(connection.name, None) is not None:
            self.ended_connections += 1
        if (subscription := self.feed.subscription_of(connection)) is not None:
            self.feed.close(subscription, connection)

    def _microseconds(self) -> int:
        """The time of day, in microseconds since 1970."""
        return round(self.utc_now().timestamp() * 1_000_000)

    @property
    def open_connections(self) -> int:
        """The number of open connections."""
        return len(self.connections)

    async def run(self) -> Never:
        """Run the background tasks of the gateway until cancelled."""
        channels = self.channels.channels.values
        async with trio.open_nursery() as tasks:
            for feed in self.feeds:
                tasks.start_soon(feed.run)
            tasks.start_soon(speakers.watch_speakers, channels)
            tasks.start_soon(quality_watch.watch_quality, channels)
            planes = [router.context.plane for router in self.routers]
            tasks.start_soon(plane_watch.watch_planes, planes, self.stalled_planes, self._end_members)
            if self.config.max_voices is not None:
                tasks.start_soon(voices.watch_voices, channels, self.config.max_voices)
        raise AssertionError("unreachable")

    def end_all(self, end_reason: EndReason = end_reasons.DRAINING) -> None:
        """End every connection. Each closes its media and leaves its channel before its WebSocket closes."""
        for connection in list(self.connections.values()):
            connection.end_guarded(end_reason)

    def end_all_for_restart(self) -> None:
        """End every connection, and spread the return of the clients over a second."""
        for connection in list(self.connections.values()):
            wait = limits.LEAST_RESTART_WAIT_MS + secrets.randbelow(
                limits.MOST_RESTART_WAIT_MS - limits.LEAST_RESTART_WAIT_MS + 1
            )
            connection.end_guarded(evolve(end_reasons.RESTARTING, retry_after_ms=wait))
