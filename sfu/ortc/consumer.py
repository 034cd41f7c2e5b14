"""From a producer's parameters and a receiver's capabilities to the parameters of one consumer."""

from typing import Final

from attrs import define, evolve, field, frozen

from sfu.capabilities import MID_URI, NACK, TRANSPORT_CC, TRANSPORT_WIDE_URI
from sfu.dataplane.values import ConsumerFormat
from sfu.errors import Unsupported
from sfu.ortc.codecs import can_decode, is_red, repeats, same_codec
from sfu.ortc.producer import ProducerPlan
from sfu.parameters import (
    RtcpParameters,
    RtpCapabilities,
    RtpCodecCapability,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpParameters,
    RtpRtxParameters,
)

# mediasoup-client receives its own probing stream under this SSRC.
PROBATOR_SSRC: Final = 1234
MAX_MID_CHARACTERS: Final = 8
_BANDWIDTH_FEEDBACK: Final = frozenset({"transport-cc", "goog-remb"})
MAX_PLANS: Final = 64
"""A receiver keeps at most this many plans, because a client can publish streams with ever new parameters."""


@frozen(eq=False)
class ConsumerPlan:
    """The part that all consumers of equal streams at equal receivers share.

    ``format`` is for the data plane: it holds the numbers of ``codecs`` and ``header_extensions``.
    """

    codecs: tuple[RtpCodecParameters, ...]
    header_extensions: tuple[RtpHeaderExtensionParameters, ...]
    scalability_mode: str | None
    format: ConsumerFormat

    @property
    def has_rtx(self) -> bool:
        """Whether its consumers answer NACKs with retransmissions, and so need an SSRC for these."""
        return bool(self.format.rtx_payload_types)

    @property
    def has_bandwidth_feedback(self) -> bool:
        """Whether the receiver says what arrives, or what its path carries."""
        return any(feedback.type in _BANDWIDTH_FEEDBACK for feedback in self.codecs[0].rtcp_feedback)

    def parameters(
        self, *, ssrc: int, mid: str, msid: str, cname: str | None, rtx_ssrc: int | None = None
    ) -> RtpParameters:
        """The parameters for the receiver.

        A plan with RTX needs ``rtx_ssrc``, and no other plan may have it.  ``mid`` is decimal and never used twice in a
        transport's life, ``msid`` is ``<stream> <track>`` (RFC 8830), and ``cname`` is the producer's (RFC 3550 section
        6.5.1).

        Raises ``ValueError`` for an SSRC or a MID that no consumer may have.
        """
        for one in (ssrc,) if rtx_ssrc is None else (ssrc, rtx_ssrc):
            if not 1 <= one < 2**32 or one == PROBATOR_SSRC:
                raise ValueError(f"a consumer cannot have the SSRC {one}")
        if self.has_rtx != (rtx_ssrc is not None) or rtx_ssrc == ssrc:
            raise ValueError("a consumer with RTX, and no other, needs a second SSRC")
        if not (mid.isascii() and mid.isdecimal() and len(mid) <= MAX_MID_CHARACTERS):
            raise ValueError(f"a consumer cannot have the MID {mid!r}")
        return RtpParameters(
            codecs=self.codecs,
            mid=mid,
            header_extensions=self.header_extensions,
            encodings=(
                RtpEncodingParameters(
                    ssrc,
                    rtx=None if rtx_ssrc is None else RtpRtxParameters(rtx_ssrc),
                    scalability_mode=self.scalability_mode,
                ),
            ),
            rtcp=RtcpParameters(cname),
            msid=msid,
        )


@define(eq=False)
class Receiver:
    """A client's capabilities, with the plans for the streams that it received so far.

    A plan depends only on the values of both sides, so clients with equal capabilities share a receiver.
    """

    capabilities: RtpCapabilities
    _plans: dict[tuple[str, float], ConsumerPlan] = field(factory=dict)

    def plan(self, producer: ProducerPlan, *, report_interval: float) -> ConsumerPlan:
        """The plan for consumers of this producer's stream, see :func:`plan_consumer`.

        Raises :exc:`Unsupported` if no codec is in common.
        """
        key = (producer.form.key, report_interval)
        plan = self._plans.get(key)
        if plan is None:
            plan = plan_consumer(producer.consumable, self.capabilities, report_interval=report_interval)
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan


def can_consume(consumable: RtpParameters, capabilities: RtpCapabilities) -> bool:
    """Whether a receiver with these capabilities can play a producer's ``consumable`` stream."""
    return bool(_common_codecs(consumable, capabilities, numbered=False))


def plan_consumer(consumable: RtpParameters, capabilities: RtpCapabilities, *, report_interval: float) -> ConsumerPlan:
    """The router's numbers for the stream, reduced to the part that both sides have.

    A receiver gets NACK and RTX only together.  The router answers a NACK with RTX alone, and a receiver that waits for
    such an answer asks late for a key frame.  Transport-wide numbers and the feedback about them (``transport-cc``) go
    together, too: silence about numbered packets looks like a dead network.  Header extensions match by URI alone,
    because clients list an extension of both kinds under only one of them.  ``report_interval`` is the mean time
    between two sender reports, in seconds.

    Raises :exc:`Unsupported` if no codec is in common.
    """
    known = {extension.uri for extension in capabilities.header_extensions}
    ids = {extension.uri: extension.id for extension in consumable.header_extensions if extension.uri in known}
    codecs = _common_codecs(consumable, capabilities, numbered=TRANSPORT_WIDE_URI in ids)
    if not codecs:
        wanted = ", ".join(codec.mime_type for codec in consumable.codecs)
        raise Unsupported(f"the receiver cannot play {wanted}")
    media, *others = codecs
    red = [codec for codec in others if is_red(codec)]
    if TRANSPORT_CC not in media.rtcp_feedback:
        ids.pop(TRANSPORT_WIDE_URI, None)
    extensions = tuple(extension for extension in consumable.header_extensions if extension.uri in ids)
    mid_id, wide_id = ids.pop(MID_URI, None), ids.pop(TRANSPORT_WIDE_URI, None)
    [encoding] = consumable.encodings
    return ConsumerPlan(
        codecs=codecs,
        header_extensions=extensions,
        scalability_mode=encoding.scalability_mode,
        format=ConsumerFormat(
            {media.payload_type},
            set(ids.values()),
            mid_id=mid_id,
            report_interval=report_interval,
            rtx_payload_types={apt: codec.payload_type for codec in others if (apt := repeats(codec)) is not None},
            red_payload_types={media.payload_type: red[0].payload_type} if red else {},
            wide_id=wide_id,
        ),
    )


def _common_codecs(
    consumable: RtpParameters, capabilities: RtpCapabilities, *, numbered: bool
) -> tuple[RtpCodecParameters, ...]:
    """The media codec, and then its retransmissions and its redundant form (RFC 2198) if the receiver has them.

    ``numbered`` says that both sides have transport-wide numbers.  The result is empty if the receiver lacks the media
    codec.
    """
    codec, *others = consumable.codecs
    receiver = _receiver_of(codec, capabilities)
    if receiver is None:
        return ()
    rtx = [other for other in others if repeats(other) == codec.payload_type and _repairs(receiver, capabilities)]
    usable = {NACK: bool(rtx), TRANSPORT_CC: numbered}
    feedback = tuple(one for one in codec.rtcp_feedback if one in receiver.rtcp_feedback and usable.get(one, True))
    # Most receivers have all the feedback.  Then all consumers share the producer's own object of the codec.
    common = codec if feedback == codec.rtcp_feedback else evolve(codec, rtcp_feedback=feedback)
    red = [other for other in others if is_red(other) and _unwraps(other, capabilities)]
    return (common if same_codec(receiver, codec) else _in_mode_1(common), *rtx, *red)


def _unwraps(red: RtpCodecParameters, capabilities: RtpCapabilities) -> bool:
    """Whether the receiver takes redundant audio.

    If so, its own description names the formats of the blocks (RFC 2198 section 4).  A simple client, which plays only
    plain Opus, may send the router's capabilities back.  These name no formats.
    """
    return any(same_codec(candidate, red) and candidate.parameters for candidate in capabilities.codecs)


def _repairs(receiver: RtpCodecCapability, capabilities: RtpCapabilities) -> bool:
    """Whether the receiver asks for missing packets of this codec, and takes them as retransmissions."""
    payload_type = receiver.preferred_payload_type
    has_rtx = payload_type is not None and any(repeats(other) == payload_type for other in capabilities.codecs)
    return has_rtx and NACK in receiver.rtcp_feedback


def _receiver_of(codec: RtpCodecParameters, capabilities: RtpCapabilities) -> RtpCodecCapability | None:
    """The receiver's description of the codec: the same configuration, or else one that can decode it."""
    for matches in (same_codec, can_decode):
        for candidate in capabilities.codecs:
            if matches(candidate, codec):
                return candidate
    return None


def _in_mode_1(codec: RtpCodecParameters) -> RtpCodecParameters:
    return evolve(codec, parameters=codec.parameters | {"packetization-mode": 1})
