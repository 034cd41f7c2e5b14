"""The types of fields that several messages share."""

from typing import Annotated, Any, ClassVar, Literal

from attrs import field, frozen

from protocol import limits
from protocol.constraints import (
    Characters,
    EncodedSize,
    InvalidValueError,
    Items,
    Normalised,
    Pattern,
    Range,
    Trimmed,
    Visible,
    wire_name,
)

MediaKind = Literal["audio", "video"]
Source = Literal["microphone", "camera", "screen", "screen_audio", "other"]
Direction = Literal["send", "receive"]

_NAME = Pattern(f"[A-Za-z0-9_.:-]{{1,{limits.MAX_ID_CHARACTERS}}}", "must be 1 to 128 of A-Z a-z 0-9 _ . : -")

ChannelId = Annotated[str, _NAME]
UserId = Annotated[str, _NAME]
ChannelIds = Annotated[tuple[ChannelId, ...], Items(1, limits.MAX_WATCHED_CHANNELS)]
# The beginning of channel ids. The empty one begins every id.
ChannelPrefix = Annotated[
    str, Pattern(f"[A-Za-z0-9_.:-]{{0,{limits.MAX_ID_CHARACTERS}}}", "must be at most 128 of A-Z a-z 0-9 _ . : -")
]
# The gateway makes these ids. A client that asks for an impossible one gets `not_found`, not `invalid`.
ObjectId = Annotated[str, Characters(1, limits.MAX_ID_CHARACTERS)]
ProducerIds = Annotated[tuple[ObjectId, ...], Items(1, limits.MAX_CONSUMED_AT_ONCE)]
Username = Annotated[
    str,
    Visible(),
    Trimmed(),
    Normalised(limits.MAX_DECOMPOSED_USERNAME_CHARACTERS),
    Characters(1, limits.MAX_USERNAME_CHARACTERS),
    Pattern(r"[^\u0000-\u001f\u007f-\u009f]*", "must hold no control characters"),
]
Token = Annotated[str, Characters(0, limits.MAX_TOKEN_CHARACTERS)]
SessionSecret = Annotated[
    str,
    Pattern(
        f"[A-Za-z0-9_-]{{{limits.MIN_SECRET_CHARACTERS},{limits.MAX_ID_CHARACTERS}}}",
        "must be 22 to 128 characters of base64url",
    ),
]
Metadata = Annotated[dict[str, Any], EncodedSize(limits.MAX_METADATA_BYTES)]
MessageData = Annotated[Any, EncodedSize(limits.MAX_MESSAGE_BYTES)]
Recipients = Annotated[tuple[UserId, ...], Items(0, limits.MAX_RECIPIENTS)]
Count = Annotated[int, Range(0, limits.MAX_REQUEST_ID)]
Layer = Annotated[int, Range(0, limits.MAX_LAYER)]
Priority = Annotated[int, Range(1, limits.MAX_PRIORITY)]
KeptSeconds = Annotated[int, Range(1, limits.MAX_MODERATION_SECONDS)]
MemberLimit = Annotated[int, Range(1, limits.MAX_MEMBERS_LIMIT)]
Text = Annotated[str, Characters(0, 4096)]
Instant = Annotated[
    str,
    Pattern(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z",
        "must be a date and time of ISO 8601 in UTC, such as 2026-11-01T09:30:00.250Z",
    ),
]


@frozen
class IceServer:
    """A STUN or TURN server, in the form that ``RTCPeerConnection`` takes."""

    urls: tuple[Text, ...]
    username: Text | None = None
    credential: Text | None = None


@frozen(order=True)
class Position:
    """A version of the list of one channel. Positions are ordered by ``epoch`` and then by ``revision``."""

    epoch: Count
    revision: Count


Positions = Annotated[dict[ChannelId, Position], Items(0, limits.MAX_WATCHED_CHANNELS)]


@frozen
class Layers:
    """A spatial and a temporal layer. 0 is the lowest."""

    spatial: Layer
    temporal: Layer


@frozen
class ParticipantProducer:
    """One stream that a participant sends, as an entry of the participant list shows it."""

    producer_id: ObjectId
    kind: MediaKind
    source: Source
    paused: bool


@frozen
class Participant:
    """A member of a channel. ``joined_at`` is ISO 8601 in UTC, with a ``Z``.

    ``muted_sources`` are those that a moderator muted. It is None if there are none. ``deafened`` is True while the
    member receives no media because a moderator decided so, and None otherwise.
    """

    user_id: UserId
    username: Username
    joined_at: Instant
    metadata: dict[str, Any] = field(factory=dict)
    producers: tuple[ParticipantProducer, ...] = ()
    muted_sources: tuple[Source, ...] | None = None
    deafened: bool | None = None


@frozen(weakref_slot=False)
class OneOf:
    """A request about exactly one of several objects: only one of the ``alternatives`` is not None.

    Raises :exc:`protocol.constraints.InvalidValueError` otherwise.
    """

    alternatives: ClassVar[tuple[str, ...]] = ()

    def __attrs_post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in self.alternatives) != 1:
            raise InvalidValueError("must name exactly one of " + ", ".join(map(wire_name, self.alternatives)))
