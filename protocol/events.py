"""The events that the gateway sends on its own: one class for each type, with that event's ``data``."""

from typing import Annotated, Any, Literal

from attrs import frozen

from protocol import limits
from protocol.constraints import InvalidValueError, Range
from protocol.declarations import Event, event
from protocol.vocabulary import ChannelId, Count, Layers, MemberLimit, ObjectId, Participant, Text, UserId, Username

VoiceStateType = Literal["user_joined", "user_left", "user_updated"]
LeaveReason = Literal[
    "left", "disconnected", "timed_out", "replaced", "removed", "ended", "moved", "failed", "draining", "node_lost"
]
ConsumerClosedReason = Literal["producer_closed", "user_left", "failed"]
TransportState = Literal["connected", "disconnected", "failed", "closed"]
ConnectionQuality = Literal["excellent", "good", "poor", "lost"]


@event("voice_state")
@frozen
class VoiceState(Event):
    """A change of a channel's list.

    ``epoch`` and ``revision`` order the changes of a channel. ``participant`` is the changed entry, or in ``user_left``
    the removed one. ``count`` is the number of members after the change. ``participants`` is the new list, or None if
    the gateway left it out. Only ``user_left`` has a ``reason``, and always has one. Only the reason ``moved`` has
    ``to``, the channel to which the member moved, and always has it. Raises
    :exc:`protocol.constraints.InvalidValueError` otherwise.
    """

    type: VoiceStateType
    channel_id: ChannelId
    user_id: UserId
    username: Username
    epoch: Count
    revision: Count
    participant: Participant
    count: Count
    participants: tuple[Participant, ...] | None = None
    reason: LeaveReason | None = None
    to: ChannelId | None = None

    def __attrs_post_init__(self) -> None:
        if (self.type == "user_left") != (self.reason is not None):
            raise InvalidValueError("must be present in user_left and absent from every other change", "reason")
        if (self.reason == "moved") != (self.to is not None):
            raise InvalidValueError("must be present with the reason moved and absent otherwise", "to")


@event("consumer_closed")
@frozen
class ConsumerClosed(Event):
    """A consumer of this session closed, although the session did not ask for it."""

    consumer_id: ObjectId
    reason: ConsumerClosedReason


@event("consumer_updated")
@frozen
class ConsumerUpdated(Event):
    """A consumer's producer paused or resumed, or the forwarded layers changed.

    ``starved`` is true while the gateway has paused this video because the client's path cannot carry it.
    """

    consumer_id: ObjectId
    producer_paused: bool
    layers: Layers | None
    starved: bool


@event("producer_layers")
@frozen
class ProducerLayers(Event):
    """The encodings of a producer of this session that somebody wants, in rising quality."""

    producer_id: ObjectId
    active: tuple[bool, ...]


@event("transport_state")
@frozen
class TransportStateChanged(Event):
    """A transport of this session connected, fell silent, failed or closed."""

    transport_id: ObjectId
    state: TransportState


@event("active_speakers")
@frozen
class ActiveSpeakers(Event):
    """The present speakers, loudest first."""

    user_ids: tuple[UserId, ...]


@event("connection_quality")
@frozen
class ConnectionQualityChanged(Event):
    """How good the connection between a member and the gateway is now."""

    user_id: UserId
    quality: ConnectionQuality


@event("channel_state")
@frozen
class ChannelState(Event):
    """What a moderator decided about the channel. ``max_members`` is None without a limit."""

    locked: bool
    max_members: MemberLimit | None = None


@event("message")
@frozen
class MessageReceived(Event):
    """A message that another member sent with ``message``."""

    from_: UserId
    data: Any


@event("closing")
@frozen
class Closing(Event):
    """The last message before the gateway closes the connection with ``code`` (see ``CloseCode``).

    After 1012, ``url`` is the WebSocket's address for the next ``join``. Without it, the address stays.
    """

    reason: Text
    code: Annotated[int, Range(1000, 4999)]
    retry_after_ms: Annotated[int, Range(0, limits.MAX_REQUEST_ID)] | None = None
    url: Text | None = None
