"""From the parameters of a client's stream to a plan for it in the router's numbers."""

import re
from collections.abc import Sequence
from typing import Final

from attrs import field, frozen

from sfu.capabilities import AUDIO_LEVEL_URI, FIR, MID_URI, PLI, RID_URI
from sfu.dataplane.interface import EncodingSpec, ProducerSpec
from sfu.errors import Unsupported
from sfu.ortc.choice import Choice, choose_codec
from sfu.ortc.codecs import same_codec, split_mime_type
from sfu.ortc.h264 import sender_parameters
from sfu.ortc.validation import recognisable, usable_mid, used_encodings, used_extensions
from sfu.parameters import (
    CodecParameters,
    MediaKind,
    RtcpParameters,
    RtpCapabilities,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpParameters,
)

_SCALABILITY_MODE = re.compile(r"[LS]([1-9])T([1-9])(h|_KEY|_KEY_SHIFT)?")  # as the W3C's webrtc-svc names them
# It ends in other people's SDP, so nothing in it may end a line (RFC 8866 section 5, RFC 3550 section 6.5.1).
_CNAME: Final = re.compile("[!-~]{1,255}")


@frozen
class ProducerPlan:
    """What is known of a producer once its parameters are accepted.

    ``spec`` is for the data plane.  ``pli`` and ``fir`` say how the client takes key frame requests.  ``consumable``
    is what any consumer of it starts from: the router's payload type and extension ids, one encoding, no SSRC.
    ``consumable_key`` is the same for streams whose consumers have the same plans.
    """

    spec: ProducerSpec
    pli: bool
    fir: bool
    cname: str
    consumable: RtpParameters
    consumable_key: str = field(init=False)

    @consumable_key.default
    def _key(self) -> str:
        # All that a consumer's plan depends on: without the CNAME, which differs from client to client.
        told = self.consumable
        return repr((told.codecs, told.header_extensions, told.encodings))


def accept_producer(
    kind: MediaKind,
    parameters: RtpParameters,
    capabilities: RtpCapabilities,
    *,
    default_cname: str,
    paused: bool = False,
) -> ProducerPlan:
    """Match a client's stream with the router's ``capabilities``.

    A producer has one codec: the one its encodings name, else the first that carries media.  RED around it is taken
    off.  Packets of its other payload types, and header extensions that the router does not have or that are encrypted
    (RFC 6904), are dropped.  ``default_cname`` stands in where the client gives none that SDP can hold.

    Raises :exc:`Unsupported` where the router has no such codec, :exc:`InvalidParameters` where what is used of the
    parameters contradicts itself.
    """
    used = _used(kind, parameters, capabilities, default_cname)
    codec = _router_codec(used.choice.codec, capabilities)
    # Every packet of a consumer carries a MID of its own; the rest only what the producer sends.
    forwarded = _forwarded(kind, capabilities)
    forwarded = {uri: id_ for uri, id_ in forwarded.items() if uri in used.extension_ids or uri == MID_URI}
    consumable = RtpParameters(
        codecs=(codec,),
        header_extensions=tuple(RtpHeaderExtensionParameters(uri, id_) for uri, id_ in forwarded.items()),
        encodings=(RtpEncodingParameters(scalability_mode=_scalability_mode(used.encodings)),),
        rtcp=RtcpParameters(used.cname),
    )
    feedback = used.choice.codec.rtcp_feedback
    spec = _spec(used, codec, forwarded, paused=paused)
    return ProducerPlan(spec, PLI in feedback, FIR in feedback, used.cname, consumable)


@frozen
class _Used:
    """What of a client's parameters is used; everything else in them is ignored."""

    kind: MediaKind
    choice: Choice
    encodings: tuple[RtpEncodingParameters, ...]
    extension_ids: dict[str, int]
    mid: str | None
    cname: str


def _used(kind: MediaKind, parameters: RtpParameters, capabilities: RtpCapabilities, default_cname: str) -> _Used:
    choice = choose_codec(kind, parameters.codecs, parameters.encodings)
    uris = {MID_URI, RID_URI, *_forwarded(kind, capabilities)}
    ids = used_extensions(parameters.header_extensions, uris)
    mid = usable_mid(parameters.mid)
    encodings = recognisable(
        used_encodings(parameters.encodings),
        has_mid=mid is not None and MID_URI in ids,
        has_rid_extension=RID_URI in ids,
        mid_path="mid" if parameters.mid and mid is None else None,
    )
    cname = parameters.rtcp.cname or ""
    return _Used(kind, choice, encodings, ids, mid, cname if _CNAME.fullmatch(cname) else default_cname)


def _spec(used: _Used, codec: RtpCodecParameters, forwarded: dict[str, int], *, paused: bool) -> ProducerSpec:
    ids = used.extension_ids
    return ProducerSpec(
        kind=used.kind,
        codec=codec.mime_type.lower(),
        clock_rate=codec.clock_rate,
        payload_types={used.choice.codec.payload_type: codec.payload_type},
        red_payload_types=used.choice.red_payload_types,
        encodings=tuple(EncodingSpec(encoding.ssrc, encoding.rid) for encoding in used.encodings),
        extension_ids={ids[uri]: id_ for uri, id_ in forwarded.items() if uri != MID_URI},
        mid=used.mid,
        mid_id=ids.get(MID_URI),
        rid_id=ids.get(RID_URI),
        audio_level_id=ids.get(AUDIO_LEVEL_URI) if used.kind == "audio" else None,
        cname=used.cname,
        paused=paused,
    )


def _router_codec(codec: RtpCodecParameters, capabilities: RtpCapabilities) -> RtpCodecParameters:
    """The router's description of the codec, under its payload type, with what only the sender can know."""
    for candidate in capabilities.codecs:
        if candidate.preferred_payload_type is not None and same_codec(codec, candidate):
            return RtpCodecParameters(
                mime_type=candidate.mime_type,
                payload_type=candidate.preferred_payload_type,
                clock_rate=candidate.clock_rate,
                channels=candidate.channels,
                parameters=candidate.parameters | _of_the_sender(codec),
                rtcp_feedback=candidate.rtcp_feedback,
            )
    raise Unsupported(f"the router does not have this {codec.mime_type}")


def _of_the_sender(codec: RtpCodecParameters) -> CodecParameters:
    """What of the producer's parameters receivers are told.

    Opus' ``sprop-stereo`` (RFC 7587 section 6.1), without which receivers decode to mono, and H.264's level and
    parameter sets.  All else is the router's own.  So a payload type may mean two levels in one receiver's consumers,
    which RFC 8843 section 9.1 does not like; browsers look at each consumer's own, as they have to for mediasoup.
    """
    match split_mime_type(codec.mime_type):
        case ("audio", "opus"):
            return {"sprop-stereo": 1} if codec.parameters.get("sprop-stereo") in (1, "1") else {}
        case ("video", "h264"):
            return sender_parameters(codec.parameters)
        case _:
            return {}


def _forwarded(kind: MediaKind, capabilities: RtpCapabilities) -> dict[str, int]:
    """The router's ids, by URI, of the extensions that consumers of this kind may get."""
    return {
        extension.uri: extension.preferred_id
        for extension in capabilities.header_extensions
        if extension.kind == kind and extension.direction in ("sendrecv", "sendonly")
        if extension.preferred_id is not None
    }


def _scalability_mode(encodings: Sequence[RtpEncodingParameters]) -> str | None:
    """The layers that a consumer can choose from, as mediasoup writes them: simulcast's count as spatial layers.

    Spatial layers within one encoding are not switched: all of them are forwarded, so there is one to choose from.
    """
    matches = (_SCALABILITY_MODE.fullmatch(encoding.scalability_mode or "") for encoding in encodings)
    mode = next((match for match in matches if match), None)
    if mode is None and len(encodings) == 1:
        return None
    return f"L{len(encodings)}T{mode[2] if mode else 1}"
