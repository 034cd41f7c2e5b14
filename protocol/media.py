"""The media objects, exactly those of mediasoup-client 3 with snake_case names.

Inside them ``null`` on the wire means absent, and fields that are None are left out.
"""

from typing import Annotated, Literal

from attrs import field, frozen

from protocol import limits
from protocol.constraints import Characters, InvalidValueError, Items, Members, Pattern, Range
from protocol.vocabulary import Kind

ShortText = Annotated[str, Characters(0, limits.MAX_SHORT_TEXT_CHARACTERS)]
MimeType = Annotated[
    str, Pattern(r"(?:[aA][uU][dD][iI][oO]|[vV][iI][dD][eE][oO])/[A-Za-z0-9._+-]{1,64}", "must be audio/… or video/…")
]
PayloadType = Annotated[int, Range(0, 127)]
ClockRate = Annotated[int, Range(1, 2**32 - 1)]
Channels = Annotated[int, Range(1, 255)]
Ssrc = Annotated[int, Range(1, 2**32 - 1)]
ExtensionId = Annotated[int, Range(1, 255)]
Uri = Annotated[str, Characters(1, limits.MAX_SHORT_TEXT_CHARACTERS)]
Mid = Annotated[str, Characters(1, 32)]
Rid = Annotated[str, Pattern("[A-Za-z0-9_-]{1,32}", "must be 1 to 32 letters, digits, _ or -")]
ParameterText = Annotated[str, Characters(0, limits.MAX_CODEC_PARAMETER_CHARACTERS)]
CodecParameters = Annotated[
    dict[str, ParameterText | int | float],
    Members(limits.MAX_CODEC_PARAMETERS, limits.MAX_SHORT_TEXT_CHARACTERS),
]
ExtensionDirection = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Priority = Literal["very-low", "low", "medium", "high"]
DtlsRole = Literal["auto", "client", "server"]
FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}


@frozen
class RtcpFeedback:
    """One ``a=rtcp-fb`` of a codec (RFC 4585 section 4.2)."""

    type: ShortText
    parameter: ShortText = ""


RtcpFeedbacks = Annotated[tuple[RtcpFeedback, ...], Items(0, limits.MAX_RTCP_FEEDBACK)]


@frozen
class RtpCodecCapability:
    """A codec that an endpoint can receive.  ``clock_rate`` in Hz; ``channels`` only for audio."""

    kind: Kind
    mime_type: MimeType
    clock_rate: ClockRate
    preferred_payload_type: PayloadType | None = None
    channels: Channels | None = None
    parameters: CodecParameters = field(factory=dict)
    rtcp_feedback: RtcpFeedbacks = ()


@frozen
class RtpHeaderExtension:
    """A header extension that an endpoint can receive (RFC 8285)."""

    uri: Uri
    preferred_id: ExtensionId
    kind: Kind | None = None
    preferred_encrypt: bool = False
    direction: ExtensionDirection = "sendrecv"


@frozen
class RtpCapabilities:
    """What an endpoint can receive."""

    codecs: Annotated[tuple[RtpCodecCapability, ...], Items(0, limits.MAX_CODECS)] = ()
    header_extensions: Annotated[tuple[RtpHeaderExtension, ...], Items(0, limits.MAX_HEADER_EXTENSIONS)] = ()


@frozen
class RtpCodecParameters:
    """A codec in use in one stream, with its payload type."""

    mime_type: MimeType
    payload_type: PayloadType
    clock_rate: ClockRate
    channels: Channels | None = None
    parameters: CodecParameters = field(factory=dict)
    rtcp_feedback: RtcpFeedbacks = ()


@frozen
class RtpHeaderExtensionParameters:
    """A header extension in use in one stream, with its id (RFC 8285: 1–14 in one-byte headers)."""

    uri: Uri
    id: ExtensionId
    encrypt: bool = False
    parameters: CodecParameters = field(factory=dict)


@frozen
class RtpRtxParameters:
    """Where an encoding's retransmissions go (RFC 4588)."""

    ssrc: Ssrc


@frozen
class RtpEncodingParameters:
    """One encoding of a stream: its SSRC, or (simulcast) its RID.  ``max_bitrate`` in bit/s."""

    ssrc: Ssrc | None = None
    rid: Rid | None = None
    codec_payload_type: PayloadType | None = None
    rtx: RtpRtxParameters | None = None
    dtx: bool | None = None
    scalability_mode: ShortText | None = None
    max_bitrate: Annotated[int, Range(0, limits.MAX_REQUEST_ID)] | None = None
    max_framerate: Annotated[float, Range(0, 1000)] | None = None
    scale_resolution_down_by: Annotated[float, Range(1, 65535)] | None = None
    active: bool | None = None
    adaptive_ptime: bool | None = None
    priority: Priority | None = None
    network_priority: Priority | None = None


@frozen
class RtcpParameters:
    """RTCP of a stream.  ``mux`` is true where it is left out: there is no other way here."""

    cname: ShortText | None = None
    reduced_size: bool = True
    mux: bool = True


@frozen
class RtpParameters:
    """A stream as it is sent or received."""

    codecs: Annotated[tuple[RtpCodecParameters, ...], Items(1, limits.MAX_CODECS)]
    mid: Mid | None = None
    header_extensions: Annotated[tuple[RtpHeaderExtensionParameters, ...], Items(0, limits.MAX_HEADER_EXTENSIONS)] = ()
    encodings: Annotated[tuple[RtpEncodingParameters, ...], Items(0, limits.MAX_ENCODINGS)] = ()
    rtcp: RtcpParameters = RtcpParameters()
    msid: ShortText | None = None


@frozen
class IceParameters:
    """ICE credentials (RFC 8445 section 5.3)."""

    username_fragment: ShortText
    password: ShortText
    ice_lite: bool | None = None


@frozen
class IceCandidate:
    """An ICE candidate (RFC 8445 section 5.1).  ``ip`` repeats ``address`` for clients older than the rename."""

    foundation: ShortText
    priority: Annotated[int, Range(0, 2**32 - 1)]
    address: ShortText
    ip: ShortText
    port: Annotated[int, Range(1, 65535)]
    protocol: Literal["udp", "tcp"] = "udp"
    type: Literal["host", "srflx", "prflx", "relay"] = "host"
    tcp_type: Literal["active", "passive", "so"] | None = None


@frozen
class DtlsFingerprint:
    """A certificate's hash (RFC 8122 section 5).  Upper and lower case are the same in both fields.

    Raises :exc:`protocol.constraints.InvalidValueError` where the value has another length than the algorithm's.
    """

    algorithm: Annotated[
        str, Pattern("[sS][hH][aA]-(?:256|384|512)", "must be sha-256, sha-384 or sha-512 (in any case)")
    ]
    value: Annotated[
        str, Pattern("[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31,63}", "must be bytes in hex with colons between them")
    ]

    def __attrs_post_init__(self) -> None:
        size = FINGERPRINT_BYTES.get(self.algorithm.lower())
        if size is not None and len(self.value) != 3 * size - 1:
            raise InvalidValueError(f"must hold {size} bytes in hex with colons between them", "value")


@frozen
class DtlsParameters:
    """DTLS role and certificate fingerprints; one that matches is enough.  ``auto`` of a client is ``server``."""

    fingerprints: Annotated[tuple[DtlsFingerprint, ...], Items(1, limits.MAX_FINGERPRINTS)]
    role: DtlsRole = "auto"


MEDIA_CLASSES: tuple[type, ...] = (
    RtcpFeedback,
    RtpCodecCapability,
    RtpHeaderExtension,
    RtpCapabilities,
    RtpCodecParameters,
    RtpHeaderExtensionParameters,
    RtpRtxParameters,
    RtpEncodingParameters,
    RtcpParameters,
    RtpParameters,
    IceParameters,
    IceCandidate,
    DtlsFingerprint,
    DtlsParameters,
)
