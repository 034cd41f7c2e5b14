"""From the parameters of a client's stream to a plan for it in the router's numbers."""

import re
from typing import Final

from attrs import frozen

from sfu.capabilities import AUDIO_LEVEL_URI, FIR, MID_URI, PLI, RID_URI
from sfu.dataplane.interface import EncodingSpec, ProducerSpec
from sfu.errors import InvalidParameters, Unsupported
from sfu.ortc.codecs import is_media, same_codec
from sfu.ortc.validation import check_codecs, check_encodings, check_header_extensions
from sfu.parameters import (
    CodecParameters,
    Kind,
    RtcpParameters,
    RtpCapabilities,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpParameters,
)

_MAX_MID_CHARACTERS: Final = 32
_SCALABILITY_MODE = re.compile(r"[LS]([1-9])T([1-9])(h|_KEY|_KEY_SHIFT)?")  # as the W3C's webrtc-svc names them
# It ends in other people's SDP, so nothing in it may end a line (RFC 8866 section 5, RFC 3550 section 6.5.1).
_CNAME = re.compile("[!-~]{1,255}")


@frozen
class ProducerPlan:
    """What is known of a producer once its parameters are accepted.

    ``spec`` is for the data plane.  ``pli`` and ``fir`` say how the client takes key frame requests.  ``consumable``
    is what any consumer of it starts from: the router's payload type and extension ids, one encoding, no SSRC.
    """

    spec: ProducerSpec
    pli: bool
    fir: bool
    cname: str
    consumable: RtpParameters


def accept_producer(
    kind: Kind, parameters: RtpParameters, capabilities: RtpCapabilities, *, default_cname: str, paused: bool = False
) -> ProducerPlan:
    """Match a client's stream with the router's ``capabilities``.

    A producer has one codec: the one its encodings name, else the first that carries media.  Packets of its other
    payload types, and header extensions that the router does not have or that are encrypted (RFC 6904), are dropped.
    ``default_cname`` stands in where the client gives none.

    Raises :exc:`Unsupported` where the router has no such codec, :exc:`InvalidParameters` where the parameters
    contradict themselves.
    """
    check_codecs(kind, parameters.codecs)
    check_header_extensions(parameters.header_extensions)
    check_encodings(parameters.encodings)
    codec = _used_codec(parameters)
    router_codec = _router_codec(codec, capabilities)
    ids = {extension.uri: extension.id for extension in parameters.header_extensions if not extension.encrypt}
    encodings = parameters.encodings or (RtpEncodingParameters(),)
    _check_recognisable(encodings, parameters.mid, ids)
    cname = _cname(parameters.rtcp, default_cname)
    # Every packet of a consumer carries a MID of its own; the rest only what the producer sends.
    forwarded = {uri: id_ for uri, id_ in _forwarded(kind, capabilities).items() if uri in ids or uri == MID_URI}
    spec = ProducerSpec(
        kind=kind,
        codec=router_codec.mime_type.lower(),
        clock_rate=router_codec.clock_rate,
        payload_types={codec.payload_type: router_codec.payload_type},
        encodings=tuple(EncodingSpec(encoding.ssrc, encoding.rid) for encoding in encodings),
        extension_ids={ids[uri]: id_ for uri, id_ in forwarded.items() if uri != MID_URI},
        mid=parameters.mid,
        mid_id=ids.get(MID_URI),
        rid_id=ids.get(RID_URI),
        audio_level_id=ids.get(AUDIO_LEVEL_URI) if kind == "audio" else None,
        cname=cname,
        paused=paused,
    )
    consumable = RtpParameters(
        codecs=(router_codec,),
        header_extensions=tuple(RtpHeaderExtensionParameters(uri, id_) for uri, id_ in forwarded.items()),
        encodings=(RtpEncodingParameters(scalability_mode=_scalability_mode(encodings)),),
        rtcp=RtcpParameters(cname),
    )
    return ProducerPlan(spec, PLI in codec.rtcp_feedback, FIR in codec.rtcp_feedback, cname, consumable)


def _used_codec(parameters: RtpParameters) -> RtpCodecParameters:
    media = {codec.payload_type: codec for codec in parameters.codecs if is_media(codec)}
    used = None
    for index, encoding in enumerate(parameters.encodings):
        named = encoding.codec_payload_type
        if named is None:
            continue
        if named not in media:
            raise InvalidParameters("no media codec has this payload type", f"encodings[{index}].codecPayloadType")
        if used not in (None, named):
            raise Unsupported("the encodings of one stream must have the same codec")
        used = named
    return next(iter(media.values())) if used is None else media[used]


def _router_codec(codec: RtpCodecParameters, capabilities: RtpCapabilities) -> RtpCodecParameters:
    """The router's description of the codec, under its payload type.

    Of the producer's parameters only Opus' ``sprop-stereo`` (RFC 7587 section 6.1) stays: without it receivers decode
    to mono.  All else is the router's own, as a payload type must mean the same in all of a receiver's consumers
    (RFC 8843 section 9.1).
    """
    for candidate in capabilities.codecs:
        if candidate.preferred_payload_type is not None and same_codec(codec, candidate):
            stereo: CodecParameters = {"sprop-stereo": 1} if str(codec.parameters.get("sprop-stereo")) == "1" else {}
            return RtpCodecParameters(
                mime_type=candidate.mime_type,
                payload_type=candidate.preferred_payload_type,
                clock_rate=candidate.clock_rate,
                channels=candidate.channels,
                parameters=candidate.parameters | stereo,
                rtcp_feedback=candidate.rtcp_feedback,
            )
    raise Unsupported(f"the router does not have this {codec.mime_type}")


def _forwarded(kind: Kind, capabilities: RtpCapabilities) -> dict[str, int]:
    """The router's ids, by URI, of the extensions that consumers of this kind may get."""
    return {
        extension.uri: extension.preferred_id
        for extension in capabilities.header_extensions
        if extension.kind == kind and extension.direction in ("sendrecv", "sendonly")
    }


def _check_recognisable(encodings: tuple[RtpEncodingParameters, ...], mid: str | None, ids: dict[str, int]) -> None:
    """Without SSRC, packets must say in extensions whose they are (RFC 8843 section 9.2, RFC 8852 section 3.2)."""
    if mid is not None and not (1 <= len(mid) <= _MAX_MID_CHARACTERS and mid.isascii() and mid.isprintable()):
        raise InvalidParameters(f"a MID has 1 to {_MAX_MID_CHARACTERS} printable characters", "mid")
    for index, encoding in enumerate(encodings):
        if encoding.ssrc is None and (mid is None or MID_URI not in ids):
            raise InvalidParameters("without SSRC there must be a MID and its header extension", f"encodings[{index}]")
        if encoding.ssrc is None and encoding.rid is not None and RID_URI not in ids:
            raise InvalidParameters("without SSRC a RID needs its header extension", f"encodings[{index}]")


def _cname(rtcp: RtcpParameters, default: str) -> str:
    cname = rtcp.cname or default
    if not _CNAME.fullmatch(cname):
        raise InvalidParameters("a CNAME has 1 to 255 visible ASCII characters", "rtcp.cname")
    return cname


def _scalability_mode(encodings: tuple[RtpEncodingParameters, ...]) -> str | None:
    """The layers that a consumer can choose from, as mediasoup writes them: simulcast's count as spatial layers."""
    matches = (_SCALABILITY_MODE.fullmatch(encoding.scalability_mode or "") for encoding in encodings)
    mode = next((match for match in matches if match), None)
    if len(encodings) > 1:
        return f"L{len(encodings)}T{mode[2] if mode else 1}"
    return mode[0] if mode else None
