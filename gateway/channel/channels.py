"""All channels of a gateway. The first member opens a channel, and the last one closes it."""

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sized
from contextlib import asynccontextmanager

import trio
from attrs import define, field
from structlog.typing import FilteringBoundLogger

from gateway.channel.channel import Channel, Welcome
from gateway.channel.member import Member
from gateway.channel.removals import Removals
from gateway.config import Config
from gateway.connection.accounts import site_of
from gateway.ops.metrics import ChannelCounts, Metrics
from protocol.errors import ErrorCode, RequestError


@define(eq=False)
class Channels:
    """The open channels by id.

    This class only counts the ``connections``, the open ones. ``choose_plane`` returns the number of the plane for a
    new channel's media. ``microseconds`` returns the time of day, in microseconds since 1970.
    """

    config: Config
    metrics: Metrics
    log: FilteringBoundLogger
    connections: Sized
    choose_plane: Callable[[], int]
    microseconds: Callable[[], int]
    # The newest epoch of any channel.
    _epoch: int = 0
    _channels: dict[str, Channel] = field(factory=dict)
    _removals: Removals = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._removals = Removals(self.config.max_removals)

    def reconfigure(self, config: Config) -> None:
        """Use other settings for the channels that open from now on."""
        self.config = config
        self._removals.maximum = config.max_removals

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The open channels, in the order of opening."""
        return self._channels

    def counts(self) -> ChannelCounts:
        """Count connections, channels and members."""
        members = sum(len(channel.members) for channel in self._channels.values())
        return ChannelCounts(len(self.connections), len(self._channels), members)

    def expel(self, channel_id: str, user_id: str, seconds: float | None = None) -> bool:
        """End a user's session on behalf of a moderator (close code 4403). Return whether the channel had this user.

        With ``seconds``, also keep the user id and the user's address out of this channel for this time, unless the
        address is loopback.
        """
        channel = self._channels.get(channel_id)
        expelled = () if channel is None else channel.expel(user_id)
        if seconds is not None:
            now = trio.current_time()
            sites = {site_of(connection.remote) for connection in expelled}
            for name in (user_id, *(site for site in sites if site is not None)):
                self._removals.add(channel_id, name, now + seconds, now)
        return bool(expelled)

    def _require_welcome(self, channel_id: str, member: Member) -> None:
        left = self._removals.seconds_left(channel_id, member.user_id, member.connection.remote, trio.current_time())
        if left > 0:
            raise RequestError(
                ErrorCode.FORBIDDEN, f"a moderator removed this user; joining is possible again in {math.ceil(left)} s"
            )

    @asynccontextmanager
    async def seat(self, channel_id: str, member: Member, welcome: Welcome) -> AsyncIterator[Channel]:
        """Be a member of a channel for as long as the block runs, as :meth:`Channel.seat` says.

        Raises :exc:`RequestError` as that method does, if there are too many channels, and with ``forbidden`` if a
        moderator keeps the user out for a time.
        """
        self._require_welcome(channel_id, member)
        channel = self._open(channel_id)
        try:
            async with channel.seat(member, welcome):
                yield channel
        finally:
            if not channel.occupants:
                del self._channels[channel_id]
                channel.log.info("channel closed")

    def _open(self, channel_id: str) -> Channel:
        channel = self._channels.get(channel_id)
        if channel is None:
            if len(self._channels) >= self.config.max_channels:
                raise RequestError(ErrorCode.LIMIT_EXCEEDED, f"there are {self.config.max_channels} channels already")
            log = self.log.bind(channel=channel_id)
            # A clock that goes back must not bring an old epoch again.
            self._epoch = max(self._epoch + 1, self.microseconds())
            channel = Channel(
                channel_id,
                self.metrics,
                self.config.max_members,
                log,
                plane=self.choose_plane(),
                epoch=self._epoch,
                duplicate_users=self.config.duplicate_users,
            )
            self._channels[channel_id] = channel
            log.info("channel opened")
        return channel
