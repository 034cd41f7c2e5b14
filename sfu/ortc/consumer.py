"""From a producer's plan and a receiver's capabilities to the parameters of one consumer."""

from typing import Final

from attrs import evolve

from sfu.capabilities import MID_URI
from sfu.dataplane.interface import ConsumerFormat
from sfu.errors import Unsupported
from sfu.ortc.codecs import can_decode, same_codec
from sfu.parameters import RtpCapabilities, RtpCodecCapability, RtpCodecParameters, RtpParameters

# mediasoup-client receives its own probing stream under this SSRC.
PROBATOR_SSRC: Final = 1234
MAX_MID_CHARACTERS: Final = 8


def can_consume(consumable: RtpParameters, capabilities: RtpCapabilities) -> bool:
    """Whether a receiver with these capabilities can play what :func:`accept_producer` found consumable."""
    return bool(_common_codecs(consumable, capabilities))


def plan_consumer(
    consumable: RtpParameters, capabilities: RtpCapabilities, *, ssrc: int, mid: str, msid: str
) -> RtpParameters:
    """What a receiver is told about a consumer: the router's numbers, reduced to what both sides have.

    Header extensions are matched by URI alone, as clients list one that serves both kinds under either.  ``mid`` is
    decimal and never used twice in a transport's life, ``msid`` is ``<stream> <track>`` (RFC 8830).

    Raises :exc:`Unsupported` where no codec is in common, and ``ValueError`` for an SSRC or a MID that no consumer may
    have.
    """
    if not 1 <= ssrc < 2**32 or ssrc == PROBATOR_SSRC:
        raise ValueError(f"no SSRC for a consumer: {ssrc}")
    if not (mid.isascii() and mid.isdecimal() and len(mid) <= MAX_MID_CHARACTERS):
        raise ValueError(f"no MID for a consumer: {mid!r}")
    codecs = _common_codecs(consumable, capabilities)
    if not codecs:
        wanted = ", ".join(codec.mime_type for codec in consumable.codecs)
        raise Unsupported(f"the receiver cannot play {wanted}")
    uris = {extension.uri for extension in capabilities.header_extensions}
    return evolve(
        consumable,
        codecs=codecs,
        mid=mid,
        header_extensions=tuple(extension for extension in consumable.header_extensions if extension.uri in uris),
        encodings=tuple(evolve(encoding, ssrc=ssrc) for encoding in consumable.encodings),
        msid=msid,
    )


def consumer_format(parameters: RtpParameters, *, report_interval: float) -> ConsumerFormat:
    """What the data plane is told about consumers with the parameters of :func:`plan_consumer`.

    ``report_interval`` is the mean time between two sender reports, in seconds.
    """
    ids = {extension.uri: extension.id for extension in parameters.header_extensions}
    mid_id = ids.pop(MID_URI, None)
    payload_types = {codec.payload_type for codec in parameters.codecs}
    return ConsumerFormat(payload_types, set(ids.values()), mid_id, report_interval)


def _common_codecs(consumable: RtpParameters, capabilities: RtpCapabilities) -> tuple[RtpCodecParameters, ...]:
    common = []
    for codec in consumable.codecs:
        receiver = _receiver_of(codec, capabilities)
        if receiver is not None:
            feedback = tuple(one for one in codec.rtcp_feedback if one in receiver.rtcp_feedback)
            # Most receivers have all of it: then it is the producer's own, which thousands of consumers may share.
            told = codec if feedback == codec.rtcp_feedback else evolve(codec, rtcp_feedback=feedback)
            common.append(told if same_codec(receiver, codec) else _in_mode_1(told))
    return tuple(common)


def _receiver_of(codec: RtpCodecParameters, capabilities: RtpCapabilities) -> RtpCodecCapability | None:
    """How the receiver would describe the codec; the same configuration goes before one that can decode it, too."""
    for matches in (same_codec, can_decode):
        for candidate in capabilities.codecs:
            if matches(candidate, codec):
                return candidate
    return None


def _in_mode_1(codec: RtpCodecParameters) -> RtpCodecParameters:
    return evolve(codec, parameters=codec.parameters | {"packetization-mode": 1})
