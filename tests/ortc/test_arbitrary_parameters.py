"""Arbitrary media objects of a client give a plan or one of the exceptions of this layer."""

from typing import TypeVar

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.capabilities import MID_URI, RID_URI, ROUTER_CAPABILITIES, VIDEO_ORIENTATION_URI
from sfu.errors import InvalidParameters, Unsupported
from sfu.ortc import accept_producer, can_consume, plan_consumer
from sfu.parameters import (
    MediaKind,
    RtcpFeedback,
    RtcpParameters,
    RtpCapabilities,
    RtpCodecCapability,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtension,
    RtpHeaderExtensionParameters,
    RtpParameters,
    RtpRtxParameters,
)
from tests.ortc.recorded import CHROMIUM

T = TypeVar("T")
RELIABLE = settings(derandomize=True, max_examples=100, deadline=None)


def mostly(good: st.SearchStrategy[T], bad: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    return st.one_of(good, good, good, bad)


def many(strategy: st.SearchStrategy[T], maximum: int = 4) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(strategy, max_size=maximum).map(tuple)


KINDS: st.SearchStrategy[MediaKind] = st.sampled_from(("audio", "video"))
MIME_TYPES = mostly(
    st.sampled_from(["audio/opus", "video/VP8", "VIDEO/vp9", "video/H264", "video/rtx", "video/red"]), st.text()
)
# Within the ranges that are checked on the wire.
PAYLOAD_TYPES = mostly(st.integers(96, 127), st.integers(0, 127))
CLOCK_RATES = mostly(st.sampled_from([48000, 90000]), st.integers(1, 2**32 - 1))
CHANNELS = st.none() | st.integers(1, 3)
IDS = mostly(st.integers(1, 14), st.integers(1, 255))
URIS = mostly(st.sampled_from([MID_URI, RID_URI, VIDEO_ORIENTATION_URI]), st.text())
PARAMETERS = st.dictionaries(
    mostly(st.sampled_from(["apt", "profile-level-id", "packetization-mode", "profile-id", "sprop-stereo"]), st.text()),
    st.sampled_from(["42e01f", 1, 0, 96]) | st.text() | st.integers() | st.floats(),
    max_size=4,
)
FEEDBACK = many(st.builds(RtcpFeedback, st.sampled_from(["nack", "ccm"]) | st.text(), st.text()))
CODECS = st.builds(RtpCodecParameters, MIME_TYPES, PAYLOAD_TYPES, CLOCK_RATES, CHANNELS, PARAMETERS, FEEDBACK)
SSRCS = mostly(st.integers(1, 10), st.integers(1, 2**32 - 1))
ENCODINGS = st.builds(
    RtpEncodingParameters,
    st.none() | SSRCS,
    st.none() | mostly(st.sampled_from(["r0", "r1", "r2"]), st.text()),
    st.none() | PAYLOAD_TYPES,
    st.none() | st.builds(RtpRtxParameters, SSRCS),
    scalability_mode=st.none() | st.sampled_from(["L1T3", "S3T3"]) | st.text(),
)
STREAMS = st.builds(
    RtpParameters,
    many(CODECS),
    st.none() | mostly(st.just("0"), st.text()),
    many(st.builds(RtpHeaderExtensionParameters, URIS, IDS, st.booleans())),
    many(ENCODINGS, 8),
    st.builds(RtcpParameters, st.none() | mostly(st.just("cname"), st.text())),
    st.none() | st.text(),
)
CAPABILITIES = st.builds(
    RtpCapabilities,
    many(
        st.builds(
            RtpCodecCapability,
            KINDS,
            MIME_TYPES,
            CLOCK_RATES,
            st.none() | PAYLOAD_TYPES,
            CHANNELS,
            PARAMETERS,
            FEEDBACK,
        )
    ),
    many(st.builds(RtpHeaderExtension, URIS, IDS, st.none() | KINDS)),
)


@RELIABLE
@given(KINDS, STREAMS)
def test_an_arbitrary_stream_gives_a_plan_or_is_refused(kind: MediaKind, parameters: RtpParameters) -> None:
    try:
        plan = accept_producer(kind, parameters, ROUTER_CAPABILITIES, default_cname="made-up")
    except (InvalidParameters, Unsupported):
        return
    check_consistent(plan.consumable, dict(plan.spec.payload_types))


@RELIABLE
@given(many(ENCODINGS, 8), many(st.builds(RtpHeaderExtensionParameters, URIS, IDS, st.booleans())))
def test_a_good_codec_with_arbitrary_encodings_and_extensions_gives_a_plan_or_is_refused(
    encodings: tuple[RtpEncodingParameters, ...], extensions: tuple[RtpHeaderExtensionParameters, ...]
) -> None:
    parameters = evolve(CHROMIUM.produced["vp8"], encodings=encodings, header_extensions=extensions)
    try:
        plan = accept_producer("video", parameters, ROUTER_CAPABILITIES, default_cname="made-up")
    except (InvalidParameters, Unsupported):
        return
    assert len(plan.spec.encodings) == max(1, len(encodings))
    assert set(plan.spec.extension_ids) <= {extension.id for extension in extensions}


@RELIABLE
@given(st.sampled_from(["opus", "vp8", "h264"]), CAPABILITIES)
def test_arbitrary_capabilities_give_a_consumer_exactly_if_they_can_consume(
    name: str, capabilities: RtpCapabilities
) -> None:
    kind: MediaKind = "audio" if name == "opus" else "video"
    plan = accept_producer(kind, CHROMIUM.produced[name], ROUTER_CAPABILITIES, default_cname="made-up")
    possible = can_consume(plan.consumable, capabilities)
    try:
        consumer = plan_consumer(plan.consumable, capabilities, report_interval=1)
    except Unsupported:
        assert not possible
    else:
        assert possible
        assert consumer.format.payload_types == set(plan.spec.payload_types.values())


def check_consistent(consumable: RtpParameters, payload_types: dict[int, int]) -> None:
    """Check that the plan has one media codec of the router, for the client's payload type.

    Check that it has no character that breaks a line of SDP.
    """
    codec, *_ = consumable.codecs
    assert list(payload_types.values()) == [codec.payload_type]
    assert codec.payload_type in {known.preferred_payload_type for known in ROUTER_CAPABILITIES.codecs}
    assert consumable.rtcp.cname
    assert consumable.rtcp.cname.isprintable()
