"""The requests of those who follow channels from outside."""

from typing import ClassVar

from attrs import field, frozen

from protocol.declarations import OkData, RequestData, request
from protocol.events import VoiceState
from protocol.responses import Done
from protocol.vocabulary import (
    ChannelId,
    ChannelIds,
    ChannelPrefix,
    Count,
    OneOf,
    Participant,
    Positions,
    Token,
)


@frozen
class WatchedChannel:
    """What a watcher needs to know about one channel: its list as of ``epoch`` and ``revision``, or ``events``.

    With ``snapshot``, the list is whole, and replaces whatever the client has. With ``events``, these changes lead from
    the position that the client named to the present list.
    """

    channel_id: ChannelId
    epoch: Count | None = None
    revision: Count | None = None
    participants: tuple[Participant, ...] | None = None
    snapshot: bool | None = None
    events: tuple[VoiceState, ...] | None = None


@frozen
class Watched(OkData):
    """``ok`` of ``watch``: one entry for each named channel, or for each open channel with the prefix."""

    channels: tuple[WatchedChannel, ...]


@request("watch")
@frozen
class Watch(OneOf, RequestData[Watched]):
    """Follow the lists of channels without joining them.

    ``after`` names the positions that the client has. ``token`` is for clients that are in no channel.
    """

    alternatives: ClassVar[tuple[str, ...]] = ("channel_ids", "prefix")

    channel_ids: ChannelIds | None = None
    prefix: ChannelPrefix | None = None
    after: Positions = field(factory=dict)
    token: Token | None = field(default=None, repr=False)


@request("unwatch")
@frozen
class Unwatch(OneOf, RequestData[Done]):
    """Stop following channels, or a prefix, that an earlier ``watch`` named."""

    alternatives: ClassVar[tuple[str, ...]] = ("channel_ids", "prefix")

    channel_ids: ChannelIds | None = None
    prefix: ChannelPrefix | None = None
