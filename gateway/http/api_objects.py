"""The bodies of the HTTP API, with the names and the checks of the protocol. docs/operating.md describes the API."""

from attrs import field, frozen

from gateway.channel.channel import Channel
from gateway.channel.member import Member
from protocol.vocabulary import (
    ChannelId,
    Count,
    MemberLimit,
    MessageData,
    Metadata,
    Participant,
    Recipients,
    UserId,
    Username,
)


@frozen
class PathIds:
    """The ids in the path of a request."""

    channel_id: ChannelId | None = None
    user_id: UserId | None = None


@frozen
class ChannelSummary:
    """An open channel, as of now."""

    channel_id: ChannelId
    members: Count
    locked: bool
    max_members: MemberLimit | None = None


@frozen
class ChannelList:
    """All open channels."""

    channels: tuple[ChannelSummary, ...]


@frozen
class ChannelDetails(ChannelSummary):
    """A channel with the whole list of its participants, as of ``epoch`` and ``revision``."""

    epoch: Count = field(kw_only=True)
    revision: Count = field(kw_only=True)
    participants: tuple[Participant, ...] = field(kw_only=True)


@frozen
class ParticipantDetails:
    """One participant, as of ``epoch`` and ``revision`` of the channel's list."""

    channel_id: ChannelId
    epoch: Count
    revision: Count
    participant: Participant


@frozen
class ParticipantChange:
    """What changes in the list about a participant. A field that is left out stays as it is."""

    username: Username | None = None
    metadata: Metadata | None = None


@frozen
class NewPlace:
    """The channel to which a participant moves."""

    channel_id: ChannelId


@frozen
class NewMessage:
    """A message for all members of a channel, or for those in ``to``. ``from`` is any user id, also of nobody there."""

    from_: UserId
    data: MessageData
    to: Recipients | None = None


@frozen
class MessageDelivered:
    """How many members the gateway sent a message to."""

    delivered: Count


def summary_of(channel: Channel) -> ChannelSummary:
    """The channel as it is now."""
    state = channel.state
    return ChannelSummary(channel.id, len(channel.members), state.locked, state.max_members)


def details_of(channel: Channel) -> ChannelDetails:
    """The channel and its list as they are now."""
    state = channel.state
    return ChannelDetails(
        channel.id,
        len(channel.members),
        state.locked,
        state.max_members,
        epoch=channel.epoch,
        revision=channel.revision,
        participants=channel.snapshot(),
    )


def participant_of(channel: Channel, member: Member) -> ParticipantDetails:
    """The member's entry in the list as it is now."""
    return ParticipantDetails(channel.id, channel.epoch, channel.revision, member.participant)
