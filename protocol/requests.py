"""What a client asks: one class per request type, holding that request's ``data``.

A field with a default may be left out on the wire; where the default is None, it is left out when it is None.
"""

from typing import ClassVar

from attrs import field, frozen

from protocol.media import DtlsParameters, RtpCapabilities, RtpParameters
from protocol.vocabulary import (
    ChannelId,
    Direction,
    Kind,
    Layer,
    MessageData,
    Metadata,
    ObjectId,
    OneOf,
    Recipients,
    Source,
    Token,
    UserId,
    Username,
)


@frozen
class Join:
    """Enter a channel.  The ``username`` is trimmed; the gateway makes up a ``user_id`` where there is none."""

    channel_id: ChannelId
    username: Username
    user_id: UserId | None = None
    token: Token | None = None
    metadata: Metadata = field(factory=dict)


@frozen
class Leave:
    """Leave the channel; the connection stays and may join again."""


@frozen
class CreateTransport:
    """Make a transport in one direction, seen from the client.  One of each at a time."""

    direction: Direction
    rtp_capabilities: RtpCapabilities | None = None


@frozen
class ConnectTransport:
    """Hand over the client's DTLS parameters.  Answered before the handshake."""

    transport_id: ObjectId
    dtls_parameters: DtlsParameters


@frozen
class RestartIce:
    """Change a transport's ICE credentials (RFC 8445 section 2.4)."""

    transport_id: ObjectId


@frozen
class Produce:
    """Start to send a stream over the sending transport."""

    transport_id: ObjectId
    kind: Kind
    rtp_parameters: RtpParameters
    source: Source
    paused: bool = False


@frozen
class Consume:
    """Start to receive somebody's stream over the receiving transport.

    ``rtp_capabilities`` may be None where ``create_transport`` gave them.  Starts paused unless told otherwise.
    """

    transport_id: ObjectId
    producer_id: ObjectId
    rtp_capabilities: RtpCapabilities | None = None
    paused: bool = True


@frozen
class Pause(OneOf):
    """Stop the flow of one's own producer or consumer."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None


@frozen
class Resume(OneOf):
    """Let one's own producer or consumer flow again."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None


@frozen
class Close(OneOf):
    """Close one's own producer, consumer, or transport with all that runs over it."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id", "transport_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None
    transport_id: ObjectId | None = None


@frozen
class SetLayers:
    """Bound the layers that a consumer gets; 0 is the lowest."""

    consumer_id: ObjectId
    spatial: Layer
    temporal: Layer


@frozen
class SendMessage:
    """Send any JSON to the others in the channel, or to the user ids in ``to``."""

    data: MessageData
    to: Recipients | None = None


@frozen
class Ping:
    """Ask for a sign of life, for clients that cannot see WebSocket pings."""


@frozen
class GetStats:
    """Ask what the gateway measures of this session's media."""


RequestData = (
    Join
    | Leave
    | CreateTransport
    | ConnectTransport
    | RestartIce
    | Produce
    | Consume
    | Pause
    | Resume
    | Close
    | SetLayers
    | SendMessage
    | Ping
    | GetStats
)

REQUESTS: dict[str, type[RequestData]] = {
    "join": Join,
    "leave": Leave,
    "create_transport": CreateTransport,
    "connect_transport": ConnectTransport,
    "restart_ice": RestartIce,
    "produce": Produce,
    "consume": Consume,
    "pause": Pause,
    "resume": Resume,
    "close": Close,
    "set_layers": SetLayers,
    "message": SendMessage,
    "ping": Ping,
    "stats": GetStats,
}
REQUEST_TYPES: dict[type[RequestData], str] = {cls: name for name, cls in REQUESTS.items()}


@frozen
class Request:
    """A request as it travels: ``id`` is the client's choice, 0 to 2**53 - 1, and comes back in the response."""

    id: int
    data: RequestData

    @property
    def type(self) -> str:
        """The request's type on the wire."""
        return REQUEST_TYPES[type(self.data)]
