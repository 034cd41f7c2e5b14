"""What the gateway answers: one class for the ``data`` of each request's ``ok``, and the envelopes."""

from attrs import frozen

from protocol.errors import ErrorCode, ProtocolError, RequestError
from protocol.media import DtlsParameters, IceCandidate, IceParameters, RtpCapabilities, RtpParameters, ShortText
from protocol.requests import (
    Close,
    ConnectTransport,
    Consume,
    CreateTransport,
    GetStats,
    Join,
    Leave,
    Pause,
    Ping,
    Produce,
    RequestData,
    RestartIce,
    Resume,
    SendMessage,
    SetLayers,
)
from protocol.stats import Stats
from protocol.vocabulary import ChannelId, Count, Kind, ObjectId, Participant, Source, Text, UserId


@frozen
class IceServer:
    """A STUN or TURN server, as ``RTCPeerConnection`` takes it."""

    urls: tuple[Text, ...]
    username: Text | None = None
    credential: Text | None = None


@frozen
class Done:
    """``ok`` with nothing to say."""


@frozen
class Joined:
    """``ok`` of ``join``: who one is now, and the list, oneself included, as of ``revision``."""

    session_id: ObjectId
    user_id: UserId
    channel_id: ChannelId
    participants: tuple[Participant, ...]
    revision: Count
    router_rtp_capabilities: RtpCapabilities
    ice_servers: tuple[IceServer, ...]
    ping_interval_ms: Count


@frozen
class TransportCreated:
    """``ok`` of ``create_transport``: all the client needs to connect; there is no trickle."""

    transport_id: ObjectId
    ice_parameters: IceParameters
    ice_candidates: tuple[IceCandidate, ...]
    dtls_parameters: DtlsParameters


@frozen
class IceRestarted:
    """``ok`` of ``restart_ice``: the new credentials."""

    ice_parameters: IceParameters


@frozen
class Produced:
    """``ok`` of ``produce``."""

    producer_id: ObjectId


@frozen
class Consumed:
    """``ok`` of ``consume``: whose stream it is, and how it will come."""

    consumer_id: ObjectId
    producer_id: ObjectId
    user_id: UserId
    kind: Kind
    source: Source
    rtp_parameters: RtpParameters
    producer_paused: bool


@frozen
class Delivered:
    """``ok`` of ``message``: to how many it went."""

    delivered: Count


OkData = Done | Joined | TransportCreated | IceRestarted | Produced | Consumed | Delivered | Stats

OK_DATA: dict[type[RequestData], type[OkData]] = {
    Join: Joined,
    Leave: Done,
    CreateTransport: TransportCreated,
    ConnectTransport: Done,
    RestartIce: IceRestarted,
    Produce: Produced,
    Consume: Consumed,
    Pause: Done,
    Resume: Done,
    Close: Done,
    SetLayers: Done,
    SendMessage: Delivered,
    Ping: Done,
    GetStats: Stats,
}


@frozen
class Ok:
    """The answer to a request that was done."""

    id: int
    data: OkData = Done()


@frozen
class ErrorData:
    """Why a request was not done.

    ``path`` names the field at fault as on the wire, such as ``data.rtpParameters.codecs[0].mimeType``;
    ``reference`` finds an internal error in the gateway's log.
    """

    code: ErrorCode
    message: Text
    path: Text | None = None
    reference: ShortText | None = None


@frozen
class Error:
    """The answer to a request that was not done; ``id`` is None where the frame had none that could be used."""

    id: int | None
    data: ErrorData

    @classmethod
    def for_frame(cls, error: ProtocolError) -> "Error":
        """The answer to a frame that could not be read."""
        return cls(error.request_id, ErrorData(error.code, error.message, error.path))

    @classmethod
    def for_request(cls, request_id: int, error: RequestError) -> "Error":
        """The answer to a request that was not done."""
        return cls(request_id, ErrorData(error.code, error.message, error.path, error.reference))
