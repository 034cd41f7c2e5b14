"""The media objects that a client and the router agree on, as mediasoup-client 3 names them.

The field names are the snake_case of those on the wire; the gateway converts by name.  The gateway also checks ranges
and sizes.  :mod:`sfu.ortc` checks that the values do not contradict each other.
"""

from typing import Literal

from attrs import field, frozen

MediaKind = Literal["audio", "video"]
CodecParameters = dict[str, str | int | float]


@frozen
class RtcpFeedback:
    """One ``a=rtcp-fb`` (RFC 4585 section 4.2), for example type ``nack``, parameter ``pli``."""

    type: str
    parameter: str = ""


@frozen
class RtpCodecCapability:
    """A codec that a side can send or receive.  ``clock_rate`` is in Hz.  Only audio has ``channels``.

    Clients may leave ``kind`` out, because only the kind in ``mime_type`` counts.
    """

    kind: MediaKind | None
    mime_type: str
    clock_rate: int
    preferred_payload_type: int | None = None
    channels: int | None = None
    parameters: CodecParameters = field(factory=dict)
    rtcp_feedback: tuple[RtcpFeedback, ...] = ()


@frozen
class RtpHeaderExtension:
    """A header extension (RFC 8285) that a side can send, receive or both.  The router ignores a client's id."""

    uri: str
    preferred_id: int | None = None
    kind: MediaKind | None = None
    preferred_encrypt: bool = False
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] = "sendrecv"


@frozen
class RtpCapabilities:
    codecs: tuple[RtpCodecCapability, ...] = ()
    header_extensions: tuple[RtpHeaderExtension, ...] = ()


@frozen
class RtpCodecParameters:
    """A codec as one stream uses it.  ``payload_type`` is 0–127."""

    mime_type: str
    payload_type: int
    clock_rate: int
    channels: int | None = None
    parameters: CodecParameters = field(factory=dict)
    rtcp_feedback: tuple[RtcpFeedback, ...] = ()


@frozen
class RtpHeaderExtensionParameters:
    uri: str
    id: int
    encrypt: bool = False
    parameters: CodecParameters = field(factory=dict)


@frozen
class RtpRtxParameters:
    ssrc: int


@frozen
class RtpEncodingParameters:
    """One encoding of a stream: an SSRC, or a RID (RFC 8852) whose SSRC the first packets show."""

    ssrc: int | None = None
    rid: str | None = None
    codec_payload_type: int | None = None
    rtx: RtpRtxParameters | None = None
    dtx: bool | None = None
    scalability_mode: str | None = None
    max_bitrate: float | None = None


@frozen
class RtcpParameters:
    """``cname`` is that of RFC 3550.  ``mux`` always counts as true, since Chromium leaves it out."""

    cname: str | None = None
    reduced_size: bool = True
    mux: bool = True


@frozen
class RtpParameters:
    codecs: tuple[RtpCodecParameters, ...]
    mid: str | None = None
    header_extensions: tuple[RtpHeaderExtensionParameters, ...] = ()
    encodings: tuple[RtpEncodingParameters, ...] = ()
    rtcp: RtcpParameters = RtcpParameters()
    msid: str | None = None


@frozen
class IceParameters:
    username_fragment: str
    password: str
    ice_lite: bool = True

    @property
    def pair(self) -> tuple[str, str]:
        return self.username_fragment, self.password


@frozen
class IceCredentials:
    """A client's own credentials (RFC 8445 section 5.3)."""

    username_fragment: str
    password: str = field(repr=False)

    @property
    def pair(self) -> tuple[str, str]:
        return self.username_fragment, self.password


@frozen
class IceCandidate:
    """A host candidate.  ``ip`` repeats ``address`` for old clients, which know only that name.

    A TCP candidate is passive: the client opens the connection (RFC 6544 section 4.1).
    """

    foundation: str
    priority: int
    address: str
    ip: str
    port: int
    protocol: Literal["udp", "tcp"] = "udp"
    type: Literal["host"] = "host"
    tcp_type: Literal["passive"] | None = None


@frozen
class DtlsFingerprint:
    """``algorithm`` is ``sha-256``, ``sha-384`` or ``sha-512``.  ``value`` is hexadecimal with colons, in any case."""

    algorithm: str
    value: str


@frozen
class DtlsParameters:
    fingerprints: tuple[DtlsFingerprint, ...]
    role: Literal["auto", "client", "server"] = "auto"
