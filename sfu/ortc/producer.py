"""From the parameters of a client's stream to a plan in the router's numbers."""

import re
from collections.abc import Sequence
from typing import Final
from weakref import WeakValueDictionary

from attrs import frozen

from sfu.capabilities import (
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    FIR,
    MID_URI,
    NACK,
    PLI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC,
    TRANSPORT_WIDE_URI,
)
from sfu.dataplane.values import EncodingSpec, ProducerSpec
from sfu.errors import Unsupported
from sfu.ortc.choice import CodecChoice, choose_codec, choose_rtx
from sfu.ortc.codecs import is_red, repeats, same_codec, split_mime_type
from sfu.ortc.h264 import sender_parameters
from sfu.ortc.validation import recognisable, rtx_ssrcs, usable_mid, used_encodings, used_extensions
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

# As the W3C's webrtc-svc names them.  VP9 and AV1 number at most eight layers of each sort.
_SCALABILITY_MODE: Final = re.compile(r"[LS]([1-8])T([1-8])(h|_KEY|_KEY_SHIFT)?")
# The codecs whose encodings can have spatial layers, and whose layers the data plane reads.
_SCALABLE: Final = frozenset({"vp9", "av1"})
# Receivers write it into their SDP, so it must not end a line (RFC 8866 section 5, RFC 3550 section 6.5.1).
_CNAME: Final = re.compile("[!-~]{1,255}")
# The extensions that the router itself writes into a consumer's packets.
_OF_THE_ROUTER: Final = frozenset({MID_URI, TRANSPORT_WIDE_URI})


@frozen
class ConsumableForm:
    """Everything that a consumer's plan takes from its producer.

    It has no CNAME, which differs from client to client.  Streams with equal ``key`` have consumers with equal plans.
    """

    key: str
    codecs: tuple[RtpCodecParameters, ...]
    header_extensions: tuple[RtpHeaderExtensionParameters, ...]
    encodings: tuple[RtpEncodingParameters, ...]


# Most producers of a router have one of a few forms.  Each form is one object, as long as a producer has it.
_forms: WeakValueDictionary[str, ConsumableForm] = WeakValueDictionary()


@frozen
class ProducerPlan:
    """A producer's parameters, once they are accepted.

    ``spec`` is for the data plane.  ``pli`` and ``fir`` say which key frame requests the client understands.
    ``consumable`` is the basis of all its consumers.  It has the router's codec, with the router's retransmissions and
    redundant form of it if there are any.  It has the router's extension ids, and one encoding without SSRC.  ``form``
    is the part of it that equal streams share.  ``max_bitrates`` has the highest rate of each encoding, in bits a
    second, or None if the client named none.
    """

    spec: ProducerSpec
    pli: bool
    fir: bool
    cname: str
    consumable: RtpParameters
    form: ConsumableForm
    max_bitrates: tuple[float | None, ...]


def accept_producer(
    kind: MediaKind,
    parameters: RtpParameters,
    capabilities: RtpCapabilities,
    *,
    default_cname: str,
    paused: bool = False,
) -> ProducerPlan:
    """Match a client's stream with the router's ``capabilities``.

    A producer has one codec: the one that its encodings name, or else the first that carries media.  The data plane
    unwraps it from RED and RTX, and drops packets of other payload types.  It also drops header extensions that the
    router does not have, and encrypted ones (RFC 6904).  ``default_cname`` replaces a CNAME that is missing or does not
    fit SDP.

    Raises :exc:`Unsupported` if the router does not have the codec, and :exc:`InvalidParameters` if the used parameters
    contradict each other.
    """
    codecs = _codecs(kind, parameters, capabilities)
    used = _used(kind, parameters, capabilities, codecs, default_cname)
    # All extensions that the router does not write itself must come from the producer.
    forwarded = _forwarded(kind, capabilities)
    forwarded = {uri: id_ for uri, id_ in forwarded.items() if uri in used.extension_ids or uri in _OF_THE_ROUTER}
    if not _is_described(codecs.router):
        forwarded.pop(DEPENDENCY_DESCRIPTOR_URI, None)
    form = _consumable_form(
        tuple(codec for codec in (codecs.router, codecs.router_rtx, codecs.router_red) if codec is not None),
        tuple(RtpHeaderExtensionParameters(uri, id_) for uri, id_ in forwarded.items()),
        (RtpEncodingParameters(scalability_mode=_scalability_mode(codecs.router, used.encodings)),),
    )
    consumable = RtpParameters(
        codecs=form.codecs,
        header_extensions=form.header_extensions,
        encodings=form.encodings,
        rtcp=RtcpParameters(used.cname),
    )
    feedback = codecs.choice.codec.rtcp_feedback
    spec = _spec(used, forwarded, paused=paused)
    max_bitrates = tuple(encoding.max_bitrate for encoding in used.encodings)
    return ProducerPlan(spec, PLI in feedback, FIR in feedback, used.cname, consumable, form, max_bitrates)


def _consumable_form(
    codecs: tuple[RtpCodecParameters, ...],
    header_extensions: tuple[RtpHeaderExtensionParameters, ...],
    encodings: tuple[RtpEncodingParameters, ...],
) -> ConsumableForm:
    """The form with these parts: one object for all equal ones."""
    key = repr((codecs, header_extensions, encodings))
    form = _forms.get(key)
    if form is None:
        form = _forms[key] = ConsumableForm(key, codecs, header_extensions, encodings)
    return form


@frozen
class _Codecs:
    """The codec of a stream: the client's choice and the router's description, each with the codecs that repeat it."""

    choice: CodecChoice
    rtx_payload_types: dict[int, int]
    router: RtpCodecParameters
    router_rtx: RtpCodecParameters | None
    router_red: RtpCodecParameters | None


def _codecs(kind: MediaKind, parameters: RtpParameters, capabilities: RtpCapabilities) -> _Codecs:
    choice = choose_codec(kind, parameters.codecs, parameters.encodings)
    router = _router_codec(choice.codec, capabilities)
    router_rtx = _router_rtx(router, capabilities)
    # If the router has no retransmissions of this codec, it ignores the client's, even contradictory ones.
    rtx_payload_types = {} if router_rtx is None else choose_rtx(kind, choice, parameters.codecs)
    return _Codecs(choice, rtx_payload_types, router, router_rtx, _router_red(kind, router, capabilities))


@frozen
class _Used:
    """The parameters of the client that the router uses.  It ignores all others."""

    kind: MediaKind
    codecs: _Codecs
    encodings: tuple[RtpEncodingParameters, ...]
    extension_ids: dict[str, int]
    mid: str | None
    cname: str


def _used(
    kind: MediaKind, parameters: RtpParameters, capabilities: RtpCapabilities, codecs: _Codecs, default_cname: str
) -> _Used:
    uris = {MID_URI, RID_URI, *_forwarded(kind, capabilities)} - {TRANSPORT_WIDE_URI}
    if codecs.rtx_payload_types:
        uris.add(REPAIRED_RID_URI)
    # A client that names only one of feedback and extension would send no numbers, or take no feedback about them.
    if TRANSPORT_CC in codecs.choice.codec.rtcp_feedback and _has_wide_numbers(kind, capabilities):
        uris.add(TRANSPORT_WIDE_URI)
    ids = used_extensions(parameters.header_extensions, uris)
    mid = usable_mid(parameters.mid)
    encodings = recognisable(
        used_encodings(parameters.encodings),
        has_mid=mid is not None and MID_URI in ids,
        has_rid_extension=RID_URI in ids,
        mid_path="mid" if parameters.mid and mid is None else None,
    )
    cname = parameters.rtcp.cname or ""
    return _Used(kind, codecs, encodings, ids, mid, cname if _CNAME.fullmatch(cname) else default_cname)


def _spec(used: _Used, forwarded: dict[str, int], *, paused: bool) -> ProducerSpec:
    ids, codecs = used.extension_ids, used.codecs
    codec, sent = codecs.router, codecs.choice.codec
    rtx = rtx_ssrcs(used.encodings) if codecs.rtx_payload_types else [None] * len(used.encodings)
    return ProducerSpec(
        kind=used.kind,
        codec=codec.mime_type.lower(),
        clock_rate=codec.clock_rate,
        payload_types={sent.payload_type: codec.payload_type},
        red_payload_types=codecs.choice.red_payload_types,
        rtx_payload_types=codecs.rtx_payload_types,
        nack=NACK in sent.rtcp_feedback and NACK in codec.rtcp_feedback,
        encodings=tuple(
            EncodingSpec(encoding.ssrc, encoding.rid, ssrc) for encoding, ssrc in zip(used.encodings, rtx, strict=True)
        ),
        extension_ids={ids[uri]: id_ for uri, id_ in forwarded.items() if uri not in _OF_THE_ROUTER},
        mid=used.mid,
        mid_id=ids.get(MID_URI),
        rid_id=ids.get(RID_URI),
        repaired_rid_id=ids.get(REPAIRED_RID_URI),
        audio_level_id=ids.get(AUDIO_LEVEL_URI) if used.kind == "audio" else None,
        wide_id=ids.get(TRANSPORT_WIDE_URI),
        descriptor_id=ids.get(DEPENDENCY_DESCRIPTOR_URI) if _is_described(codec) else None,
        cname=used.cname,
        paused=paused,
    )


def _router_codec(codec: RtpCodecParameters, capabilities: RtpCapabilities) -> RtpCodecParameters:
    """The router's description of the codec, with the sender's own parameters that receivers need."""
    for candidate in capabilities.codecs:
        if candidate.preferred_payload_type is not None and same_codec(codec, candidate):
            return RtpCodecParameters(
                mime_type=candidate.mime_type,
                payload_type=candidate.preferred_payload_type,
                clock_rate=candidate.clock_rate,
                channels=candidate.channels,
                parameters=candidate.parameters | _sender_parameters(codec),
                rtcp_feedback=candidate.rtcp_feedback,
            )
    raise Unsupported(f"the router does not have this {codec.mime_type}")


def _router_rtx(codec: RtpCodecParameters, capabilities: RtpCapabilities) -> RtpCodecParameters | None:
    """The router's description of its retransmissions of one of its codecs (RFC 4588 section 8.1)."""
    for candidate in capabilities.codecs:
        if repeats(candidate) == codec.payload_type and candidate.preferred_payload_type is not None:
            return RtpCodecParameters(
                mime_type=candidate.mime_type,
                payload_type=candidate.preferred_payload_type,
                clock_rate=candidate.clock_rate,
                parameters={"apt": codec.payload_type},
            )
    return None


def _router_red(kind: MediaKind, codec: RtpCodecParameters, capabilities: RtpCapabilities) -> RtpCodecParameters | None:
    """The router's description of the redundant form of its audio (RFC 2198).

    RFC 2198 section 4 writes the formats of the blocks into SDP without a name: ``a=fmtp:63 100/100``.  Chromium plays
    RED only if it finds them there.  mediasoup-client always writes a name and ``=``, so the name is empty.  Chromium
    reads that as no name.
    """
    for candidate in capabilities.codecs if kind == "audio" else ():
        payload_type = candidate.preferred_payload_type
        if is_red(candidate) and candidate.clock_rate == codec.clock_rate and payload_type is not None:
            return RtpCodecParameters(
                mime_type=candidate.mime_type,
                payload_type=payload_type,
                clock_rate=candidate.clock_rate,
                channels=candidate.channels,
                parameters={"": f"{codec.payload_type}/{codec.payload_type}"},
            )
    return None


def _sender_parameters(codec: RtpCodecParameters) -> CodecParameters:
    """The producer's parameters that receivers need.

    Without Opus' ``sprop-stereo`` (RFC 7587 section 6.1) receivers decode to mono.  H.264 has its level and parameter
    sets.  All others are the router's own.

    So one payload type may mean two levels in one receiver's consumers, against RFC 8843 section 9.1.  Browsers accept
    that: they use each consumer's own parameters, and mediasoup relies on it too.
    """
    match split_mime_type(codec.mime_type):
        case ("audio", "opus"):
            return {"sprop-stereo": 1} if codec.parameters.get("sprop-stereo") in (1, "1") else {}
        case ("video", "h264"):
            return sender_parameters(codec.parameters)
        case _:
            return {}


def _forwarded(kind: MediaKind, capabilities: RtpCapabilities) -> dict[str, int]:
    """The router's ids, by URI, of the extensions that consumers of this kind may carry."""
    return {
        extension.uri: extension.preferred_id
        for extension in capabilities.header_extensions
        if extension.kind == kind and extension.direction in ("sendrecv", "sendonly")
        if extension.preferred_id is not None
    }


def _has_wide_numbers(kind: MediaKind, capabilities: RtpCapabilities) -> bool:
    """Whether the router reads transport-wide sequence numbers of this kind."""
    return any(
        extension.uri == TRANSPORT_WIDE_URI
        for extension in capabilities.header_extensions
        if extension.kind == kind and extension.direction in ("sendrecv", "recvonly")
    )


def _is_described(codec: RtpCodecParameters) -> bool:
    """Whether the dependency descriptor says which layer a packet of this codec belongs to.

    Receivers get the descriptor with these codecs alone.  The frame numbers in it would contradict the picture ids of
    VP8, which the router continues across a switch between encodings.
    """
    return split_mime_type(codec.mime_type) == ("video", "av1")


def _scalability_mode(codec: RtpCodecParameters, encodings: Sequence[RtpEncodingParameters]) -> str | None:
    """The layers that a consumer can choose from, written as mediasoup does.

    Each of several encodings is a spatial layer, and a consumer gets all spatial layers inside it.  A single encoding
    may have spatial layers of its own, if its codec has any.
    """
    matches = (_SCALABILITY_MODE.fullmatch(encoding.scalability_mode or "") for encoding in encodings)
    mode = next((match for match in matches if match), None)
    if len(encodings) > 1:
        return f"L{len(encodings)}T{mode[2] if mode else 1}"
    if mode is None:
        return None
    return mode[0] if split_mime_type(codec.mime_type)[1] in _SCALABLE else f"L1T{mode[2]}"
