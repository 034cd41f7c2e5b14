"""What a client asks, and what it is answered: one class for the ``data`` of each request, one for each ``ok``.

A field with a default may be left out on the wire; where the default is None, it is left out when it is None.
"""

from typing import Any, ClassVar

from attrs import field, frozen

from protocol.declarations import REQUEST_TYPES, OkData, RequestData, request
from protocol.media import DtlsParameters, IceCandidate, IceParameters, RtpCapabilities, RtpParameters
from protocol.responses import Done
from protocol.stats import Stats
from protocol.vocabulary import (
    ChannelId,
    Count,
    Direction,
    Layer,
    MediaKind,
    MessageData,
    Metadata,
    ObjectId,
    OneOf,
    Participant,
    Recipients,
    Source,
    Text,
    Token,
    UserId,
    Username,
)


@frozen
class IceServer:
    """A STUN or TURN server, as ``RTCPeerConnection`` takes it."""

    urls: tuple[Text, ...]
    username: Text | None = None
    credential: Text | None = None


@frozen
class Joined(OkData):
    """``ok`` of ``join``: who one is now, and the list, oneself included, as of ``revision``."""

    session_id: ObjectId
    user_id: UserId
    channel_id: ChannelId
    participants: tuple[Participant, ...]
    revision: Count
    router_rtp_capabilities: RtpCapabilities
    ice_servers: tuple[IceServer, ...]
    ping_interval_ms: Count


@request("join")
@frozen
class Join(RequestData[Joined]):
    """Enter a channel.  The ``username`` is trimmed; the gateway makes up a ``user_id`` where there is none."""

    channel_id: ChannelId
    username: Username
    user_id: UserId | None = None
    token: Token | None = None
    metadata: Metadata = field(factory=dict)


@request("leave")
@frozen
class Leave(RequestData[Done]):
    """Leave the channel; the connection stays and may join again."""


@frozen
class TransportCreated(OkData):
    """``ok`` of ``create_transport``: all the client needs to connect; there is no trickle."""

    transport_id: ObjectId
    ice_parameters: IceParameters
    ice_candidates: tuple[IceCandidate, ...]
    dtls_parameters: DtlsParameters


@request("create_transport")
@frozen
class CreateTransport(RequestData[TransportCreated]):
    """Make a transport in one direction, seen from the client.  One of each at a time."""

    direction: Direction
    rtp_capabilities: RtpCapabilities | None = None


@request("connect_transport")
@frozen
class ConnectTransport(RequestData[Done]):
    """Hand over the client's DTLS parameters.  Answered before the handshake."""

    transport_id: ObjectId
    dtls_parameters: DtlsParameters


@frozen
class IceRestarted(OkData):
    """``ok`` of ``restart_ice``: the new credentials."""

    ice_parameters: IceParameters


@request("restart_ice")
@frozen
class RestartIce(RequestData[IceRestarted]):
    """Change a transport's ICE credentials (RFC 8445 section 2.4)."""

    transport_id: ObjectId


@frozen
class Produced(OkData):
    """``ok`` of ``produce``."""

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
    """``ok`` of ``consume``: whose stream it is, and how it will come."""

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
    """Start to receive somebody's stream over the receiving transport.

    ``rtp_capabilities`` may be None where ``create_transport`` gave them.  Starts paused unless told otherwise.
    """

    transport_id: ObjectId
    producer_id: ObjectId
    rtp_capabilities: RtpCapabilities | None = None
    paused: bool = True


@request("pause")
@frozen
class Pause(OneOf, RequestData[Done]):
    """Stop the flow of one's own producer or consumer."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None


@request("resume")
@frozen
class Resume(OneOf, RequestData[Done]):
    """Let one's own producer or consumer flow again."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None


@request("close")
@frozen
class Close(OneOf, RequestData[Done]):
    """Close one's own producer, consumer, or transport with all that runs over it."""

    alternatives: ClassVar[tuple[str, ...]] = ("producer_id", "consumer_id", "transport_id")

    producer_id: ObjectId | None = None
    consumer_id: ObjectId | None = None
    transport_id: ObjectId | None = None


@request("set_layers")
@frozen
class SetLayers(RequestData[Done]):
    """Bound the layers that a consumer gets; 0 is the lowest."""

    consumer_id: ObjectId
    spatial: Layer
    temporal: Layer


@frozen
class Delivered(OkData):
    """``ok`` of ``message``: to how many it went."""

    delivered: Count


@request("message")
@frozen
class SendMessage(RequestData[Delivered]):
    """Send any JSON to the others in the channel, or to the user ids in ``to``."""

    data: MessageData
    to: Recipients | None = None


@request("ping")
@frozen
class Ping(RequestData[Done]):
    """Ask for a sign of life, for clients that cannot see WebSocket pings."""


@request("stats")
@frozen
class GetStats(RequestData[Stats]):
    """Ask what the gateway measures of this session's media."""


@frozen
class Request:
    """A request as it travels: ``id`` is the client's choice, 0 to 2**53 - 1, and comes back in the response."""

    id: int
    data: RequestData[Any]

    @property
    def type(self) -> str:
        """The request's type on the wire."""
        return REQUEST_TYPES[type(self.data)]
