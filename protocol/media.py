"""The media objects of mediasoup-client 3, with snake_case names.

Inside them, ``null`` on the wire means that a field is absent, encoding leaves out fields that are None, and 5.0 is the
integer 5. A field that the gateway does not depend on is :data:`protocol.constraints.IGNORABLE`.
"""

import re
from typing import Annotated, Literal

from attrs import field, frozen

from protocol import limits
from protocol.constraints import (
    IGNORABLE,
    Characters,
    InvalidValueError,
    Items,
    Json,
    Members,
    Pattern,
    Range,
    Skipping,
    Whole,
)
from protocol.vocabulary import MediaKind

ShortText = Annotated[str, Characters(0, limits.MAX_SHORT_TEXT_CHARACTERS)]
MimeType = Annotated[
    str, Pattern(r"(?:[aA][uU][dD][iI][oO]|[vV][iI][dD][eE][oO])/[A-Za-z0-9._+-]{1,64}", "must be audio/… or video/…")
]
PayloadType = Annotated[int, Whole(), Range(0, 127)]
ClockRate = Annotated[int, Whole(), Range(1, 2**32 - 1)]
AudioChannels = Annotated[int, Whole(), Range(1, 255)]
Ssrc = Annotated[int, Whole(), Range(1, 2**32 - 1)]
ExtensionId = Annotated[int, Whole(), Range(1, 255)]
Uri = Annotated[str, Characters(1, limits.MAX_SHORT_TEXT_CHARACTERS)]
# A RID that identifies a stream (RFC 8851 section 10, RFC 8852 section 3.1).
Rid = Annotated[str, Pattern("[A-Za-z0-9_-]{1,255}", "must be 1 to 255 letters, digits, _ or -")]
ParameterText = Annotated[str, Characters(0, limits.MAX_CODEC_PARAMETER_CHARACTERS)]
CodecParameters = Annotated[
    dict[str, Annotated[ParameterText | int | float, Whole()]],
    Members(limits.MAX_CODEC_PARAMETERS, limits.MAX_SHORT_TEXT_CHARACTERS),
]
# Unreadable parameters of a receiver's codec count as absent.
CapabilityParameters = Annotated[CodecParameters, Skipping()]
ExtensionDirection = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Priority = Literal["very-low", "low", "medium", "high"]
DtlsRole = Literal["auto", "client", "server"]
_APT = re.compile("[0-9]{1,3}")  # the payload type that RTX repeats (RFC 4588 section 8.1), which some write as text
_BESIDE_MEDIA = frozenset({"rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"})
_HEX = re.compile("[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")
FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}


@frozen
class RtcpFeedback:
    """One ``a=rtcp-fb`` of a codec (RFC 4585 section 4.2)."""

    type: ShortText
    parameter: ShortText = field(default="", metadata=IGNORABLE)


RtcpFeedbacks = Annotated[tuple[RtcpFeedback, ...], Items(0, limits.MAX_RTCP_FEEDBACK), Skipping()]


@frozen
class RtpCodecCapability:
    """A codec that an endpoint can receive. ``clock_rate`` is in Hz. Only audio has ``channels``.

    ``mime_type`` says whether the codec is audio or video. The gateway ignores a codec of any other kind.
    """

    mime_type: ShortText
    clock_rate: Annotated[int, Whole(), Range(0, 2**32 - 1)]
    kind: MediaKind | None = field(default=None, metadata=IGNORABLE)
    preferred_payload_type: PayloadType | None = field(default=None, metadata=IGNORABLE)
    channels: AudioChannels | None = field(default=None, metadata=IGNORABLE)
    parameters: CapabilityParameters = field(factory=dict, metadata=IGNORABLE)
    rtcp_feedback: RtcpFeedbacks = field(default=(), metadata=IGNORABLE)


@frozen
class RtpHeaderExtension:
    """A header extension that an endpoint can receive (RFC 8285)."""

    uri: Uri
    preferred_id: ExtensionId | None = field(default=None, metadata=IGNORABLE)
    kind: MediaKind | None = field(default=None, metadata=IGNORABLE)
    preferred_encrypt: bool = field(default=False, metadata=IGNORABLE)
    direction: ExtensionDirection = field(default="sendrecv", metadata=IGNORABLE)


@frozen
class RtpCapabilities:
    """The codecs and header extensions that an endpoint can receive."""

    codecs: Annotated[tuple[RtpCodecCapability, ...], Items(0, limits.MAX_CODECS)] = ()
    header_extensions: Annotated[tuple[RtpHeaderExtension, ...], Items(0, limits.MAX_HEADER_EXTENSIONS)] = ()


@frozen
class RtpCodecParameters:
    """A codec in use in one stream, with its payload type."""

    mime_type: MimeType
    payload_type: PayloadType
    clock_rate: ClockRate
    channels: AudioChannels | None = None
    parameters: CodecParameters = field(factory=dict)
    rtcp_feedback: RtcpFeedbacks = field(default=(), metadata=IGNORABLE)

    @staticmethod
    def used_members(members: Json) -> Json:
        """Return the members of an object on the wire that count.

        Video has no channels, so this drops ``channels`` of a video codec. Parameters of codecs that accompany media
        (RTX, RED, FEC) instruct a sender or a decoder, and the gateway is neither. It only reads which codec RTX
        repeats. Some languages write missing parameters as an empty array.
        """
        kind, _, name = str(members.get("mimeType")).lower().partition("/")
        used = {name: value for name, value in members.items() if name != "channels" or kind == "audio"}
        if name in _BESIDE_MEDIA or used.get("parameters") == []:
            parameters = used.pop("parameters", None)
            apt = parameters.get("apt") if name == "rtx" and isinstance(parameters, dict) else None
            if type(apt) in (int, float) or (type(apt) is str and _APT.fullmatch(apt)):
                used["parameters"] = {"apt": apt}
        return used


@frozen
class RtpHeaderExtensionParameters:
    """A header extension in use in one stream, with its id (RFC 8285: 1–14 in one-byte headers)."""

    uri: Uri
    id: ExtensionId
    encrypt: bool = False
    parameters: CapabilityParameters = field(factory=dict, metadata=IGNORABLE)


@frozen
class RtpRtxParameters:
    """The stream of an encoding's retransmissions (RFC 4588). SSRC 0 means that there is none."""

    ssrc: Annotated[int, Whole(), Range(0, 2**32 - 1)]


@frozen
class RtpEncodingParameters:
    """One encoding of a stream, with its SSRC or (simulcast) its RID. ``max_bitrate`` is in bit/s."""

    ssrc: Ssrc | None = None
    rid: ShortText | None = None
    codec_payload_type: PayloadType | None = None
    rtx: RtpRtxParameters | None = None
    dtx: bool | None = field(default=None, metadata=IGNORABLE)
    scalability_mode: ShortText | None = field(default=None, metadata=IGNORABLE)
    max_bitrate: Annotated[float, Range(0, limits.MAX_REQUEST_ID)] | None = field(default=None, metadata=IGNORABLE)
    max_framerate: Annotated[float, Range(0, 1000)] | None = field(default=None, metadata=IGNORABLE)
    scale_resolution_down_by: Annotated[float, Range(1, 65535)] | None = field(default=None, metadata=IGNORABLE)
    active: bool | None = field(default=None, metadata=IGNORABLE)
    adaptive_ptime: bool | None = field(default=None, metadata=IGNORABLE)
    priority: Priority | None = field(default=None, metadata=IGNORABLE)
    network_priority: Priority | None = field(default=None, metadata=IGNORABLE)


@frozen
class RtcpParameters:
    """The RTCP of a stream. The gateway always multiplexes RTP and RTCP, whatever ``mux`` says (RFC 5761)."""

    cname: ShortText | None = None
    reduced_size: bool = field(default=True, metadata=IGNORABLE)
    mux: bool = field(default=True, metadata=IGNORABLE)


@frozen
class RtpParameters:
    """A stream as it is sent or received."""

    codecs: Annotated[tuple[RtpCodecParameters, ...], Items(1, limits.MAX_CODECS)]
    mid: ShortText | None = None
    header_extensions: Annotated[tuple[RtpHeaderExtensionParameters, ...], Items(0, limits.MAX_HEADER_EXTENSIONS)] = ()
    encodings: Annotated[tuple[RtpEncodingParameters, ...], Items(0, limits.MAX_ENCODINGS)] = ()
    rtcp: RtcpParameters = RtcpParameters()
    msid: ShortText | None = field(default=None, metadata=IGNORABLE)


@frozen
class IceParameters:
    """ICE credentials (RFC 8445 section 5.3)."""

    username_fragment: ShortText
    password: ShortText
    ice_lite: bool | None = None


@frozen
class IceCredentials:
    """A client's own ICE credentials (RFC 8445 section 5.3)."""

    username_fragment: Annotated[
        str,
        Pattern(
            f"[A-Za-z0-9+/]{{{limits.MIN_UFRAG_CHARACTERS},{limits.MAX_ICE_CHARACTERS}}}",
            "must be 4 to 256 letters, digits, + or /",
        ),
    ]
    password: Annotated[
        str,
        Pattern(
            f"[A-Za-z0-9+/]{{{limits.MIN_ICE_PASSWORD_CHARACTERS},{limits.MAX_ICE_CHARACTERS}}}",
            "must be 22 to 256 letters, digits, + or /",
        ),
    ] = field(repr=False)


@frozen
class IceCandidate:
    """An ICE candidate (RFC 8445 section 5.1). ``ip`` repeats ``address`` for clients older than the rename."""

    foundation: ShortText
    priority: Annotated[int, Whole(), Range(0, 2**32 - 1)]
    address: ShortText
    ip: ShortText
    port: Annotated[int, Whole(), Range(1, 65535)]
    protocol: Literal["udp", "tcp"] = "udp"
    type: Literal["host", "srflx", "prflx", "relay"] = "host"
    tcp_type: Literal["active", "passive", "so"] | None = None


@frozen
class DtlsFingerprint:
    """A certificate's hash (RFC 8122 section 5). Both fields ignore case.

    The value of an unknown hash function may be anything, since the gateway does not use it. For a hash function in
    :data:`FINGERPRINT_BYTES`, raises :exc:`protocol.constraints.InvalidValueError` if the value has another form or
    length.
    """

    algorithm: Annotated[
        str, Pattern(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}", "must be the name of a hash function, such as sha-256")
    ]
    value: ShortText = field(default="", metadata=IGNORABLE)

    def __attrs_post_init__(self) -> None:
        size = FINGERPRINT_BYTES.get(self.algorithm.lower())
        if size is not None and not (_HEX.fullmatch(self.value) and len(self.value) == 3 * size - 1):
            raise InvalidValueError(f"must hold {size} bytes in hex with colons between them", "value")


@frozen
class DtlsParameters:
    """DTLS role and certificate fingerprints, of which one must match. A client's ``auto`` means ``server``.

    Raises :exc:`protocol.constraints.InvalidValueError` if no fingerprint has a known hash function.
    """

    fingerprints: Annotated[tuple[DtlsFingerprint, ...], Items(1, limits.MAX_FINGERPRINTS)]
    role: DtlsRole = "auto"

    def __attrs_post_init__(self) -> None:
        if not any(one.algorithm.lower() in FINGERPRINT_BYTES for one in self.fingerprints):
            known = " or ".join(FINGERPRINT_BYTES)
            raise InvalidValueError(f"must be {known} in at least one fingerprint", "fingerprints", 0, "algorithm")


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
    IceCredentials,
    IceCandidate,
    DtlsFingerprint,
    DtlsParameters,
)
