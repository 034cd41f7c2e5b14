"""Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): for senders that have both of its
parts, and for no receiver.
"""

import pytest
from attrs import evolve

from sfu.capabilities import (
    AUDIO_LEVEL_URI,
    MID_URI,
    NACK,
    ROUTER_CAPABILITIES,
    TRANSPORT_CC,
    TRANSPORT_WIDE_URI,
    VIDEO_ORIENTATION_URI,
)
from sfu.errors import InvalidParameters
from sfu.ortc import accept_producer, plan_consumer
from sfu.parameters import MediaKind, RtcpFeedback, RtpCapabilities, RtpHeaderExtensionParameters, RtpParameters
from tests.ortc.plans import DEFAULT_CNAME, accept
from tests.ortc.recorded import CHROMIUM

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


@pytest.mark.parametrize(("kind", "name"), STREAMS)
def test_receivers_get_neither_the_feedback_nor_the_numbers_of_the_sender(kind: MediaKind, name: str) -> None:
    producer = accept(sent(name, NACK, TRANSPORT_CC, extensions=(NUMBERS,)), kind)
    assert 13 not in producer.spec.extension_ids
    consumer = plan_consumer(producer.consumable, ROUTER_CAPABILITIES, report_interval=1)
    assert all(TRANSPORT_CC not in codec.rtcp_feedback for codec in consumer.codecs)
    forwarded = {MID_URI, AUDIO_LEVEL_URI if kind == "audio" else VIDEO_ORIENTATION_URI}
    assert {extension.uri for extension in consumer.header_extensions} == forwarded
    assert consumer.format.extension_ids <= {10, 11}
