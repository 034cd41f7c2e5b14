"""All channels of a gateway. The first member opens a channel, and the last one closes it."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sized
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from attrs import define, field
from structlog.typing import FilteringBoundLogger

from gateway.channel.channel import Channel, Seat, Welcome
from gateway.channel.member import Member
from gateway.channel.moderation import Moderation
from gateway.config import Config
from gateway.ops.metrics import ChannelCounts, Metrics
from gateway.presence.journal import Journal
from gateway.presence.store import Record
from protocol.codec import encode, encode_value
from protocol.errors import ErrorCode, RequestError
from protocol.watching import WatchedChannel

_MOST_TEXT: Final = 16 * 1024 * 1024
"""Most characters of all lists that are kept as JSON. Beyond it, forget all texts. Each is made again on request."""


@define(eq=False)
class Channels:
    """The open channels by id.

    This class only counts the ``connections``, the open ones. ``choose_plane`` returns the number of the plane for a
    new channel's media. ``journal`` gets each change of each channel. ``microseconds`` returns the time of day, in
    microseconds since 1970. ``moderation`` has what moderators decided.
    """

    config: Config
    metrics: Metrics
    log: FilteringBoundLogger
    connections: Sized
    choose_plane: Callable[[], int]
    journal: Journal
    microseconds: Callable[[], int]
    _channels: dict[str, Channel] = field(factory=dict)
    # By channel, the revision of its list and the list as JSON. The size also counts texts that a newer one replaced.
    _texts: dict[str, tuple[int, str]] = field(factory=dict)
    _texts_size: int = 0
    moderation: Moderation = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.moderation = Moderation(self.config, self.metrics, self.log, self._channels)

    def reconfigure(self, config: Config) -> None:
        """Use other settings for the channels that open from now on."""
        self.config = config
        self.moderation.reconfigure(config)

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The open channels, in the order of opening."""
        return self._channels

    def state_of(self, channel_id: str) -> WatchedChannel:
        """The whole list of a channel, which is empty if the channel is not open."""
        channel = self._channels.get(channel_id)
        if channel is None:
            return WatchedChannel(channel_id, *self.journal.position_of(channel_id), (), snapshot=True)
        return WatchedChannel(channel_id, channel.epoch, channel.revision, channel.snapshot(), snapshot=True)

    def state_text(self, channel_id: str) -> str:
        """The same list as JSON. Until it changes, all who ask for it get the same text."""
        channel = self._channels.get(channel_id)
        if channel is None:
            # Thousands of these may be in one answer, so they do not go through the encoder. An id needs no escapes.
            epoch, revision = self.journal.position_of(channel_id)
            place = f'"channelId":"{channel_id}","epoch":{epoch},"revision":{revision}'
            return f'{{{place},"participants":[],"snapshot":true}}'
        known = self._texts.get(channel_id)
        if known is None or known[0] != channel.revision:
            known = self._texts[channel_id] = channel.revision, encode_value(self.state_of(channel_id))
            self._texts_size += len(known[1])
            if self._texts_size > _MOST_TEXT:
                self._texts, self._texts_size = {}, 0
        return known[1]

    def records(self) -> list[Record]:
        """Who is where, in the form in which the journal on disk keeps it."""
        found = []
        for channel in self._channels.values():
            at = (channel.epoch, channel.revision)
            for member in channel.members.values():
                text = encode(channel.change("user_updated", member))
                found.append(
                    Record(self.journal.number, channel.id, "user_updated", *at, user=member.user_id, text=text)
                )
            found.append(Record(self.journal.number, channel.id, "channel_opened", *at))
        return found

    def counts(self) -> ChannelCounts:
        """Count connections, channels and members."""
        members = sum(len(channel.members) for channel in self._channels.values())
        return ChannelCounts(len(self.connections), len(self._channels), members)

    @asynccontextmanager
    async def seat(self, channel_id: str, member: Member, welcome: Welcome) -> AsyncIterator[Seat]:
        """Be a member of a channel for as long as the block runs, as :meth:`Channel.seat` says.

        Raises :exc:`RequestError` as that method does, if there are too many channels, and with ``forbidden`` if a
        moderator keeps the user out for a time.
        """
        self.moderation.require_welcome(channel_id, member)
        channel = self._open(channel_id)
        try:
            async with channel.seat(member, welcome) as seat:
                try:
                    yield seat
                finally:
                    channel = seat.channel  # It may have moved.
        finally:
            self._close_if_empty(channel)

    @contextmanager
    def place_for(self, seat: Seat, channel_id: str) -> Iterator[Channel]:
        """Open a channel that has a place for the member in this seat. The seat may change to it within the block.

        The block has no checkpoint, so nobody else can take the place. Raises :exc:`RequestError` as :meth:`seat` does.
        """
        self.moderation.require_welcome(channel_id, seat.member)
        source, target = seat.channel, self._open(channel_id)
        try:
            target.require_place(seat.member)
            yield target
        finally:
            self._close_if_empty(source)
            self._close_if_empty(target)

    def _close_if_empty(self, channel: Channel) -> None:
        if not channel.occupants:
            del self._channels[channel.id]
            self._texts.pop(channel.id, None)
            self.moderation.channel_closed(channel)
            self.journal.append(channel.id, "channel_closed", (channel.epoch, channel.revision))
            channel.log.info("channel closed")

    def _open(self, channel_id: str) -> Channel:
        channel = self._channels.get(channel_id)
        if channel is None:
            if len(self._channels) >= self.config.max_channels:
                self.metrics.limits.reached("max_channels")
                raise RequestError(ErrorCode.LIMIT_EXCEEDED, f"there are {self.config.max_channels} channels already")
            log = self.log.bind(channel=channel_id)
            channel = Channel(
                channel_id,
                self.journal,
                self.metrics,
                self.config.max_members,
                log,
                plane=self.choose_plane(),
                # A clock that goes back must not bring an old epoch again.
                epoch=max(self.journal.epoch + 1, self.microseconds()),
                duplicate_users=self.config.duplicate_users,
            )
            self.moderation.channel_opens(channel)
            self._channels[channel_id] = channel
            self.journal.append(channel_id, "channel_opened", (channel.epoch, 0))
            log.info("channel opened")
        return channel
