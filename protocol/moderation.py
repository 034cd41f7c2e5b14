"""The requests of moderators, and the one that renews a token. Moderators need the grant ``moderate``."""

from attrs import field, frozen

from protocol.declarations import Event, OkData, RequestData, event, request
from protocol.media import RtpCapabilities
from protocol.responses import Done
from protocol.vocabulary import (
    ChannelId,
    Count,
    IceServer,
    KeptSeconds,
    MemberLimit,
    ObjectId,
    Participant,
    SessionSecret,
    Source,
    Text,
    Token,
    UserId,
)


@request("remove_participant")
@frozen
class RemoveParticipant(RequestData[Done]):
    """End the session of a member. With ``seconds``, also keep the user out of the channel for this time."""

    user_id: UserId
    seconds: KeptSeconds | None = None


@request("readmit_participant")
@frozen
class ReadmitParticipant(RequestData[Done]):
    """Let a user in again before the end of its removal."""

    user_id: UserId


@request("mute")
@frozen
class Mute(RequestData[Done]):
    """Pause a member's producers of one source, so that the member cannot resume them."""

    user_id: UserId
    source: Source


@request("unmute")
@frozen
class Unmute(RequestData[Done]):
    """Let a user resume its producers of one source. They stay paused until it does."""

    user_id: UserId
    source: Source


@request("deafen")
@frozen
class Deafen(RequestData[Done]):
    """Stop all media to a member. The member cannot change this."""

    user_id: UserId


@request("undeafen")
@frozen
class Undeafen(RequestData[Done]):
    """Let a user receive media again. Consumers that the user has paused stay paused."""

    user_id: UserId


@request("lock_channel")
@frozen
class LockChannel(RequestData[Done]):
    """Let no newcomer in. The lock ends with the channel, or ``seconds`` after that."""

    seconds: KeptSeconds | None = None


@request("unlock_channel")
@frozen
class UnlockChannel(RequestData[Done]):
    """Let newcomers in again."""


@request("limit_members")
@frozen
class LimitMembers(RequestData[Done]):
    """Let at most ``max_members`` in. None ends the limit. It ends with the channel, or ``seconds`` after that."""

    max_members: MemberLimit | None = None
    seconds: KeptSeconds | None = None


@request("end_channel")
@frozen
class EndChannel(RequestData[Done]):
    """End the session of every member, also one's own."""


@event("channel_changed")
@frozen
class ChannelChanged(Event):
    """A moderator has moved the client to another channel. The fields are those of the answer to ``move``."""

    session_id: ObjectId
    user_id: UserId
    channel_id: ChannelId
    participants: tuple[Participant, ...]
    revision: Count
    router_rtp_capabilities: RtpCapabilities
    ice_servers: tuple[IceServer, ...]
    ping_interval_ms: Count
    session_secret: SessionSecret = field(repr=False)
    epoch: Count
    grants: tuple[Text, ...]
    media_kept: bool


@frozen
class TokenRenewed(OkData):
    """``ok`` of ``renew_token``: the grants of the new token."""

    grants: tuple[Text, ...]


@request("renew_token")
@frozen
class RenewToken(RequestData[TokenRenewed]):
    """Go on with the grants of a newer token of the same user for the same channel."""

    token: Token = field(repr=False)
