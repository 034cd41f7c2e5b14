"""RED (RFC 2198) wraps a codec, and is no codec of its own."""

import pytest
from attrs import evolve

from sfu.errors import InvalidParameters, Unsupported
from sfu.ortc import can_consume, plan_consumer
from sfu.parameters import (
    RtpCapabilities,
    RtpCodecCapability,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpParameters,
)
from tests.ortc.plans import accept
from tests.ortc.recorded import CHROMIUM

MICROPHONE = CHROMIUM.produced["opus"]
CAMERA = CHROMIUM.produced["vp8"]
[OPUS] = MICROPHONE.codecs
VP8 = CAMERA.codecs[0]
RED = RtpCodecParameters("audio/red", 63, 48000, 2, {"111/111": ""})
CAPABILITY = RtpCodecCapability("audio", "audio/red", 48000, 63, 2, {"111/111": ""})
VIDEO_RED = RtpCodecParameters("video/RED", 116, 90000)


def microphone(*codecs: RtpCodecParameters, named: int | None = None) -> RtpParameters:
    encodings = (RtpEncodingParameters(5, codec_payload_type=named),)
    return evolve(MICROPHONE, codecs=codecs, encodings=encodings)


@pytest.mark.parametrize("codecs", [(RED, OPUS), (OPUS, RED)])
@pytest.mark.parametrize("named", [None, 63, 111])
def test_opus_in_red_counts_as_opus(codecs: tuple[RtpCodecParameters, ...], named: int | None) -> None:
    accepted = accept(microphone(*codecs, named=named), "audio")
    assert accepted.spec.codec == "audio/opus"
    assert accepted.spec.payload_types == {111: 100}
    assert accepted.spec.red_payload_types == {63}
    assert [codec.mime_type for codec in accepted.consumable.codecs] == ["audio/opus", "audio/red"]


def test_without_red_no_payload_type_is_unwrapped() -> None:
    assert accept(microphone(OPUS), "audio").spec.red_payload_types == frozenset()


def test_video_in_red_counts_as_that_video() -> None:
    fec = RtpCodecParameters("video/ulpfec", 117, 90000)
    retransmissions = (
        RtpCodecParameters("video/rtx", 97, 90000, parameters={"apt": 96}),
        RtpCodecParameters("video/rtx", 118, 90000, parameters={"apt": 116}),
    )
    spec = accept(evolve(CAMERA, codecs=(VP8, *retransmissions, VIDEO_RED, fec))).spec
    assert spec.payload_types == {96: 101}
    assert spec.red_payload_types == {116}


def test_several_payload_types_of_red_are_all_unwrapped() -> None:
    spec = accept(microphone(RED, OPUS, evolve(RED, payload_type=62)), "audio").spec
    assert spec.red_payload_types == {62, 63}


def test_red_of_another_clock_rate_or_kind_is_not_unwrapped() -> None:
    others = (evolve(RED, payload_type=62, clock_rate=8000), VIDEO_RED)
    assert accept(microphone(*others, OPUS), "audio").spec.red_payload_types == frozenset()


@pytest.mark.parametrize(
    "codecs", [(RED,), (RED, RtpCodecParameters("audio/CN", 13, 48000)), (RED, evolve(RED, payload_type=62))]
)
def test_red_alone_is_unsupported_with_a_reason(codecs: tuple[RtpCodecParameters, ...]) -> None:
    with pytest.raises(Unsupported, match="RED"):
        accept(microphone(*codecs), "audio")


def test_an_encoding_of_red_without_a_codec_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="RED"):
        accept(microphone(evolve(RED, clock_rate=8000), OPUS, named=63), "audio")


def test_encodings_that_name_red_and_its_codec_name_one_codec() -> None:
    encodings = (RtpEncodingParameters(5, codec_payload_type=63), RtpEncodingParameters(6, codec_payload_type=111))
    assert accept(evolve(MICROPHONE, codecs=(OPUS, RED), encodings=encodings), "audio").spec.payload_types == {111: 100}


@pytest.mark.parametrize("payload_type", [72, 111])
def test_red_with_an_impossible_payload_type_is_refused(payload_type: int) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        accept(microphone(OPUS, evolve(RED, payload_type=payload_type)), "audio")
    assert refusal.value.path == "codecs[1].payloadType"


def test_a_receiver_with_red_gets_it_behind_opus() -> None:
    capabilities = evolve(CHROMIUM.capabilities, codecs=(*CHROMIUM.capabilities.codecs, CAPABILITY))
    planned = plan_consumer(accept(MICROPHONE, "audio").consumable, capabilities, report_interval=1)
    opus, red = planned.codecs
    # mediasoup-client plays a stream by its first codec.
    assert (opus.mime_type, opus.payload_type) == ("audio/opus", 100)
    assert red == RtpCodecParameters("audio/red", 63, 48000, 2, {"": "100/100"})
    assert planned.format.payload_types == {100}
    assert planned.format.red_payload_types == {100: 63}


@pytest.mark.parametrize(
    "other",
    [evolve(CAPABILITY, clock_rate=8000), evolve(CAPABILITY, channels=1), evolve(CAPABILITY, parameters={})],
)
def test_a_receiver_without_fitting_red_gets_opus_alone(other: RtpCodecCapability) -> None:
    codecs = [codec for codec in CHROMIUM.capabilities.codecs if codec.mime_type != "audio/red"]
    capabilities = evolve(CHROMIUM.capabilities, codecs=(*codecs, other))
    planned = plan_consumer(accept(MICROPHONE, "audio").consumable, capabilities, report_interval=1)
    assert [codec.mime_type for codec in planned.codecs] == ["audio/opus"]
    assert planned.format.red_payload_types == {}


def test_a_receiver_of_red_alone_gets_nothing() -> None:
    assert not can_consume(accept(MICROPHONE, "audio").consumable, RtpCapabilities((CAPABILITY,), ()))


def test_video_is_never_sent_inside_red() -> None:
    capabilities = evolve(CHROMIUM.capabilities, codecs=(*CHROMIUM.capabilities.codecs, CAPABILITY))
    planned = plan_consumer(accept(CAMERA).consumable, capabilities, report_interval=1)
    assert planned.format.red_payload_types == {}
