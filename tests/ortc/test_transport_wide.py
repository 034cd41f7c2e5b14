"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): for senders that have both of its
parts, and from receivers of video that have both.
"""

import pytest
from attrs import evolve

from sfu.capabilities import NACK, ROUTER_CAPABILITIES, TRANSPORT_CC, TRANSPORT_WIDE_URI, VIDEO_ORIENTATION_URI
from sfu.errors import InvalidParameters
from sfu.ortc import ConsumerPlan, accept_producer, plan_consumer
from sfu.parameters import (
    MediaKind,
    RtcpFeedback,
    RtpCapabilities,
    RtpHeaderExtension,
    RtpHeaderExtensionParameters,
    RtpParameters,
)
from tests.ortc.mediasoup import run_mediasoup
from tests.ortc.plans import DEFAULT_CNAME, accept
from tests.ortc.recorded import CHROMIUM, to_wire

STREAMS: list[tuple[MediaKind, str]] = [
    ("audio", "opus"),
    ("video", "vp8"),
    ("video", "h264"),
    ("video", "vp8Simulcast"),
]
NUMBERS = RtpHeaderExtensionParameters(TRANSPORT_WIDE_URI, 13)


def sent(
    name: str,
    *feedback: RtcpFeedback,
    extensions: tuple[RtpHeaderExtensionParameters, ...] = (),
) -> RtpParameters:
    """One of Chromium's streams with exactly this feedback, and with these extensions of congestion control alone."""
    stream = CHROMIUM.produced[name]
    [codec, *others] = stream.codecs
    kept = tuple(one for one in stream.header_extensions if one.uri != TRANSPORT_WIDE_URI)
    return evolve(
        stream,
        codecs=(evolve(codec, rtcp_feedback=feedback), *others),
        header_extensions=(*kept, *extensions),
    )


@pytest.mark.parametrize(("kind", "name"), STREAMS)
def test_a_sender_with_feedback_and_numbers_gets_feedback(kind: MediaKind, name: str) -> None:
    both = accept(sent(name, NACK, TRANSPORT_CC, extensions=(NUMBERS,)), kind)
    assert both.spec.wide_id == 13


@pytest.mark.parametrize(("kind", "name"), STREAMS)
@pytest.mark.parametrize(
    "parameters",
    [
        ((TRANSPORT_CC,), ()),
        ((NACK,), (NUMBERS,)),
        ((RtcpFeedback("goog-remb"),), (NUMBERS,)),
        ((RtcpFeedback("transport-cc", "other"),), (NUMBERS,)),
        ((TRANSPORT_CC,), (evolve(NUMBERS, encrypt=True),)),
        ((TRANSPORT_CC,), (evolve(NUMBERS, uri=TRANSPORT_WIDE_URI.replace("-01", "-02")),)),
    ],
)
def test_a_sender_with_one_of_feedback_and_numbers_gets_none(
    kind: MediaKind,
    name: str,
    parameters: tuple[tuple[RtcpFeedback, ...], tuple[RtpHeaderExtensionParameters, ...]],
) -> None:
    feedback, extensions = parameters
    assert accept(sent(name, *feedback, extensions=extensions), kind).spec.wide_id is None


def test_the_feedback_of_an_unused_codec_does_not_count() -> None:
    camera = sent("vp8", NACK, extensions=(NUMBERS,))
    unused = evolve(camera.codecs[0], mime_type="video/VP9", payload_type=98, rtcp_feedback=(TRANSPORT_CC,))
    assert accept(evolve(camera, codecs=(*camera.codecs, unused))).spec.wide_id is None


def test_numbers_under_the_id_of_another_extension_are_refused_only_if_they_are_used() -> None:
    orientation = next(one for one in CHROMIUM.produced["vp8"].header_extensions if one.uri == VIDEO_ORIENTATION_URI)
    twice = (evolve(NUMBERS, id=orientation.id),)
    with pytest.raises(InvalidParameters, match="identifier"):
        accept(sent("vp8", TRANSPORT_CC, extensions=twice))
    other = RtpHeaderExtensionParameters("urn:example:unknown", 13)
    assert accept(sent("vp8", NACK, extensions=(NUMBERS, other))).spec.wide_id is None


@pytest.mark.parametrize(("kind", "name"), STREAMS)
def test_a_router_that_reads_no_numbers_gives_no_feedback(kind: MediaKind, name: str) -> None:
    extensions = tuple(one for one in ROUTER_CAPABILITIES.header_extensions if one.uri != TRANSPORT_WIDE_URI)
    without = RtpCapabilities(ROUTER_CAPABILITIES.codecs, extensions)
    stream = sent(name, TRANSPORT_CC, extensions=(NUMBERS,))
    assert accept_producer(kind, stream, without, default_cname=DEFAULT_CNAME).spec.wide_id is None


def receiver(*feedback: RtcpFeedback, numbers: bool = True) -> RtpCapabilities:
    """Chromium as a receiver with this feedback of congestion control, and perhaps with numbers."""
    others = [[one for one in codec.rtcp_feedback if one != TRANSPORT_CC] for codec in CHROMIUM.capabilities.codecs]
    codecs = tuple(
        evolve(codec, rtcp_feedback=(*other, *feedback))
        for codec, other in zip(CHROMIUM.capabilities.codecs, others, strict=True)
    )
    kept = [one for one in CHROMIUM.capabilities.header_extensions if one.uri != TRANSPORT_WIDE_URI]
    extension = RtpHeaderExtension(TRANSPORT_WIDE_URI, 5, "video")
    return RtpCapabilities(codecs, (*kept, extension) if numbers else tuple(kept))


def is_numbered(consumer: ConsumerPlan) -> bool:
    """Whether the consumer's packets have numbers; if not, its receiver gives no feedback either."""
    numbered = consumer.format.wide_id is not None
    assert numbered == (TRANSPORT_WIDE_URI in {extension.uri for extension in consumer.header_extensions})
    assert numbered == (TRANSPORT_CC in consumer.codecs[0].rtcp_feedback)
    return numbered


@pytest.mark.parametrize(("kind", "name"), STREAMS)
@pytest.mark.parametrize("feedback", [(NACK,), (NACK, TRANSPORT_CC)])
def test_receivers_number_video_whatever_its_sender_does(
    kind: MediaKind, name: str, feedback: tuple[RtcpFeedback, ...]
) -> None:
    producer = accept(sent(name, *feedback, extensions=(NUMBERS,)), kind)
    assert 13 not in producer.spec.extension_ids
    consumer = plan_consumer(producer.consumable, receiver(TRANSPORT_CC), report_interval=1)
    assert is_numbered(consumer) == (kind == "video")
    assert consumer.format.wide_id in {None, 5}
    assert consumer.format.extension_ids <= {10, 11}


@pytest.mark.parametrize(
    ("capabilities", "numbered"),
    [
        (receiver(TRANSPORT_CC), True),
        (receiver(RtcpFeedback("goog-remb"), TRANSPORT_CC), True),
        (receiver(TRANSPORT_CC, numbers=False), False),
        (receiver(RtcpFeedback("goog-remb")), False),
        (receiver(RtcpFeedback("transport-cc", "other")), False),
        (ROUTER_CAPABILITIES, True),
    ],
)
def test_a_receiver_has_numbers_only_together_with_feedback(capabilities: RtpCapabilities, numbered: bool) -> None:
    consumer = plan_consumer(accept(sent("vp8")).consumable, capabilities, report_interval=1)
    assert is_numbered(consumer) == numbered


def test_mediasoup_gives_receivers_the_same_feedback() -> None:
    stream = to_wire(sent("vp8", NACK, TRANSPORT_CC, extensions=(NUMBERS,)))
    with run_mediasoup() as mediasoup:
        for feedback, numbers in [((TRANSPORT_CC,), True), ((TRANSPORT_CC,), False), ((), True), ((), False)]:
            capabilities = receiver(*feedback, numbers=numbers)
            consumer = plan_consumer(accept(sent("vp8")).consumable, capabilities, report_interval=1)
            theirs = mediasoup.consume("video", stream, to_wire(capabilities))
            assert theirs.transport_cc == (TRANSPORT_CC in consumer.codecs[0].rtcp_feedback), (feedback, numbers)
