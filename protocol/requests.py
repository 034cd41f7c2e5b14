"""The requests of clients and their answers: one class for the ``data`` of each request and of each ``ok``.

A field with a default is optional on the wire. If the default is None, encoding leaves out a field that is None.
"""

from typing import Any, ClassVar

from attrs import field, frozen

from protocol.declarations import REQUEST_TYPES, OkData, RequestData, request
from protocol.errors import ErrorCode
from protocol.media import DtlsParameters, IceCandidate, IceCredentials, IceParameters, RtpCapabilities, RtpParameters
from protocol.responses import Done
from protocol.stats import Stats, TransportStatsState
from protocol.vocabulary import (
    ChannelId,
    Count,
    Direction,
    IceServer,
    Layer,
    MediaKind,
    MessageData,
    Metadata,
    ObjectId,
    OneOf,
    Participant,
    ParticipantProducer,
    Priority,
    ProducerIds,
    Recipients,
    SessionSecret,
    Source,
    Text,
    Token,
    UserId,
    Username,
)


@frozen
class Joined(OkData):
    """``ok`` of ``join``: the client's ids, and the list of the channel with itself in it, as of ``revision``.

    ``grants`` are those of the client's token, or those of everybody.
    """

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
    grants: tuple[Text, ...] = ()


@request("join")
@frozen
class Join(RequestData[Joined]):
    """Enter a channel. The ``username`` is trimmed. The gateway makes a missing ``user_id`` or ``session_secret``."""

    channel_id: ChannelId
    username: Username
    user_id: UserId | None = None
    token: Token | None = field(default=None, repr=False)
    metadata: Metadata = field(factory=dict)
    session_secret: SessionSecret | None = field(default=None, repr=False)


@frozen
class Moved(Joined):
    """``ok`` of ``move``. ``media_kept`` tells whether transports and producers live on. Consumers never do."""

    media_kept: bool = field(kw_only=True)


@request("move")
@frozen
class Move(RequestData[Moved]):
    """Go to another channel in one step. A moderator may move somebody else: ``user_id``."""

    channel_id: ChannelId
    user_id: UserId | None = None


@frozen
class TransportEntry:
    """A transport of a session, as of the answer that has it."""

    transport_id: ObjectId
    direction: Direction
    state: TransportStatsState


@frozen
class ConsumerEntry:
    """A consumer of a session, as of the answer that has it."""

    consumer_id: ObjectId
    producer_id: ObjectId
    user_id: UserId
    kind: MediaKind
    source: Source
    paused: bool
    producer_paused: bool
    starved: bool


@frozen
class SessionResumed(OkData):
    """``ok`` of ``resume_session``.

    ``last_request`` is the highest id of a request that the gateway has received in this session. ``last_event`` is the
    ``seq`` of the newest event. Usually the gateway sends all unacknowledged answers and events again after this
    answer. If ``lost``, some of them are gone. Then the gateway sends none again, and the other fields have the whole
    state: the channel, its list as of ``revision``, and the session's own objects.
    """

    lost: bool
    last_request: Count
    last_event: Count
    epoch: Count
    participants: tuple[Participant, ...] | None = None
    revision: Count | None = None
    transports: tuple[TransportEntry, ...] | None = None
    producers: tuple[ParticipantProducer, ...] | None = None
    consumers: tuple[ConsumerEntry, ...] | None = None
    channel_id: ChannelId | None = None


@request("resume_session")
@frozen
class ResumeSession(RequestData[SessionResumed]):
    """Go on with a session over a new WebSocket.

    ``last_event`` is the ``seq`` of the newest event that the client has, and ``last_answer`` the highest id of a
    request whose answer it has. Each is 0 for none.
    """

    session_id: ObjectId
    session_secret: SessionSecret = field(repr=False)
    last_event: Count = 0
    last_answer: Count = 0


@request("update")
@frozen
class Update(RequestData[Done]):
    """Change the client's own name or metadata in the list. What is left out stays as it is."""

    username: Username | None = None
    metadata: Metadata | None = None


@request("leave")
@frozen
class Leave(RequestData[Done]):
    """Leave the channel. The connection stays and may join again."""


@frozen
class TransportCreated(OkData):
    """``ok`` of ``create_transport``: everything that the client needs to connect, since there is no trickle ICE."""

    transport_id: ObjectId
    ice_parameters: IceParameters
    ice_candidates: tuple[IceCandidate, ...]
    dtls_parameters: DtlsParameters


@request("create_transport")
@frozen
class CreateTransport(RequestData[TransportCreated]):
    """Create a transport in one direction, seen from the client. A session has at most one in each direction."""

    direction: Direction
    rtp_capabilities: RtpCapabilities | None = None


@request("connect_transport")
@frozen
class ConnectTransport(RequestData[Done]):
    """Set the client's DTLS parameters. The answer precedes the handshake.

    With ``ice_parameters``, the client's own credentials, the gateway's checks of other paths are full ICE checks.
    """

    transport_id: ObjectId
    dtls_parameters: DtlsParameters
    ice_parameters: IceCredentials | None = None


@frozen
class IceRestarted(OkData):
    """``ok`` of ``restart_ice``: the new credentials."""

    ice_parameters: IceParameters


@request("restart_ice")
@frozen
class RestartIce(RequestData[IceRestarted]):
    """Change a transport's ICE credentials (RFC 8445 section 2.4).

    ``ice_parameters`` are the client's new ones, if it knows them already.
    """

    transport_id: ObjectId
    ice_parameters: IceCredentials | None = None


@request("set_ice_parameters")
@frozen
class SetIceParameters(RequestData[Done]):
    """Set the client's own ICE credentials, which it made after the answer to ``restart_ice``."""

    transport_id: ObjectId
    ice_parameters: IceCredentials


@frozen
class Produced(OkData):
    """``ok`` of ``produce``: the id of the new producer."""

    producer_id: ObjectId


@request("produce")
@frozen
class Produce(RequestData[Produced]):
    """Start to send a stream over the sending transport."""

    transport_id: ObjectId
    kind: MediaKind
    rtp_parameters: RtpParameters
    source: Source
    paused: bool = False


@frozen
class Consumed(OkData):
    """``ok`` of ``consume``: the owner of the stream, and the parameters for receiving it."""

    consumer_id: ObjectId
    producer_id: ObjectId
    user_id: UserId
    kind: MediaKind
    source: Source
    rtp_parameters: RtpParameters
    producer_paused: bool


@request("consume")
@frozen
class Consume(RequestData[Consumed]):
    """Start to receive another member's stream over the receiving transport.

    ``rtp_capabilities`` may be None if ``create_transport`` had them. The consumer starts paused by default.
    """

    transport_id: ObjectId
    producer_id: ObjectId
    rtp_capabilities: RtpCapabilities | None = None
    paused: bool = True


@frozen
class NotConsumed:
    """A producer of ``consume_many`` that the client cannot consume. The fields are those of an error."""

    producer_id: ObjectId
    code: ErrorCode
    message: Text


@frozen
class ConsumedMany(OkData):
    """``ok`` of ``consume_many``: each named producer is in one of the lists, in the order of the request."""

    refused: tuple[NotConsumed, ...]
    consumers: tuple[Consumed, ...]


@request("consume_many")
@frozen
class ConsumeMany(RequestData[ConsumedMany]):
    """Start to receive several streams over the receiving transport, as with ``consume`` for each of them."""

    transport_id: ObjectId
    producer_ids: ProducerIds
    rtp_capabilities: RtpCapabilities | None = None
    paused: bool = True

    @property
    def weight(self) -> int:
        return len(self.producer_ids) // 8


@request("pause")
@frozen
class Pause(OneOf, RequestData[Done]):
    """Pause the client's own producer or consumer."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None


@request("resume")
@frozen
class Resume(OneOf, RequestData[Done]):
    """Resume the client's own producer or consumer."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None


@request("close")
@frozen
class Close(OneOf, RequestData[Done]):
    """Close the client's own producer or consumer, or its transport with every stream on it."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id", "transport_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None
    transport_id: ObjectId | None = None


@request("set_layers")
@frozen
class SetLayers(RequestData[Done]):
    """Limit the layers of a consumer. 0 is the lowest layer."""

    consumer_id: ObjectId
    spatial: Layer
    temporal: Layer


@request("set_priority")
@frozen
class SetPriority(RequestData[Done]):
    """Let a consumer get bandwidth before those of a lower priority. Each begins with priority 1."""

    consumer_id: ObjectId
    priority: Priority


@frozen
class Delivered(OkData):
    """``ok`` of ``message``: the number of members that get it."""

    delivered: Count


@request("message")
@frozen
class SendMessage(RequestData[Delivered]):
    """Send any JSON to all other members of the channel, or to the user ids in ``to``."""

    data: MessageData
    to: Recipients | None = None


@request("ping")
@frozen
class Ping(RequestData[Done]):
    """Ask whether the gateway is alive. This is for clients that cannot see WebSocket pings.

    ``last_event`` and ``last_answer`` acknowledge what the client has received, as in :class:`ResumeSession`.
    """

    last_event: Count | None = None
    last_answer: Count | None = None


@request("stats")
@frozen
class GetStats(RequestData[Stats]):
    """Ask for the gateway's measurements of this session's media."""


@frozen
class Request:
    """The envelope of a request. The client chooses ``id``, from 0 to 2**53 - 1, and the response repeats it."""

    id: int
    data: RequestData[Any]

    @property
    def type(self) -> str:
        """The request's type on the wire."""
        return REQUEST_TYPES[type(self.data)]
