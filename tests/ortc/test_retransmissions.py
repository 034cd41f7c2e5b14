"""NACK and RTX (RFC 4588): taken from senders that have them, and promised to receivers that have both."""

from collections.abc import Sequence

import pytest
from attrs import evolve

from sfu.capabilities import MID_URI, NACK, REPAIRED_RID_URI, RID_URI
from sfu.dataplane.values import EncodingSpec
from sfu.errors import InvalidParameters
from sfu.ortc import ConsumerPlan, ProducerPlan, Receiver, plan_consumer
from sfu.parameters import (
    CodecParameters,
    RtpCapabilities,
    RtpCodecCapability,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtension,
    RtpHeaderExtensionParameters,
    RtpParameters,
    RtpRtxParameters,
)
from tests.ortc.plans import accept, plan
from tests.ortc.recorded import CACHED, CHROMIUM, FIREFOX, PYMEDIASOUP, Client

CAMERA = CHROMIUM.produced["vp8"]
SIMULCAST = CHROMIUM.produced["vp8Simulcast"]
VP8 = CAMERA.codecs[0]
Encoding = RtpEncodingParameters
Rtx = RtpRtxParameters


def rtx(payload_type: int, apt: str | float | None) -> RtpCodecParameters:
    return RtpCodecParameters("video/rtx", payload_type, 90000, parameters={} if apt is None else {"apt": apt})


def camera(*codecs: RtpCodecParameters, encodings: Sequence[Encoding] = (Encoding(5, rtx=Rtx(6)),)) -> RtpParameters:
    return evolve(CAMERA, codecs=codecs or (VP8, rtx(97, 96)), encodings=tuple(encodings))


# Senders.


@pytest.mark.parametrize("client", [CHROMIUM, FIREFOX, PYMEDIASOUP])
def test_cameras_of_real_clients_announce_their_retransmissions(client: Client) -> None:
    spec = plan(client, "vp8").spec
    [encoding] = spec.encodings
    assert spec.nack
    assert list(spec.rtx_payload_types.values()) == list(spec.payload_types)
    assert encoding.rtx_ssrc not in {None, encoding.ssrc}


def test_a_client_that_knows_nothing_of_retransmissions_sends_as_before() -> None:
    spec = plan(CACHED, "vp8").spec
    assert (spec.nack, spec.rtx_payload_types, spec.repaired_rid_id) == (False, {}, None)


@pytest.mark.parametrize("client", [CHROMIUM, FIREFOX, PYMEDIASOUP])
@pytest.mark.parametrize("sender", [CHROMIUM, FIREFOX, PYMEDIASOUP, CACHED])
def test_real_clients_get_nack_and_rtx_for_the_video_of_all_others(client: Client, sender: Client) -> None:
    consumer = consume(plan(sender, "vp8"), client.capabilities)
    assert consumer.format.rtx_payload_types == {101: 102}
    assert NACK in consumer.codecs[0].rtcp_feedback


def test_the_announced_retransmissions_of_a_camera_are_taken() -> None:
    spec = accept(camera()).spec
    assert spec.rtx_payload_types == {97: 96}
    assert spec.nack
    assert spec.encodings == [EncodingSpec(5, rtx_ssrc=6)]


def test_only_retransmissions_of_the_used_codec_are_taken() -> None:
    vp9 = RtpCodecParameters("video/VP9", 98, 90000)
    codecs = (VP8, rtx(97, 96), vp9, rtx(99, 98), rtx(100, 5), rtx(101, None), RtpCodecParameters("audio/rtx", 102, 1))
    assert accept(camera(*codecs)).spec.rtx_payload_types == {97: 96}


@pytest.mark.parametrize("apt", [96, 96.0, "96"])
def test_the_repeated_payload_type_may_be_written_in_any_form(apt: str | float) -> None:
    assert accept(camera(VP8, rtx(97, apt))).spec.rtx_payload_types == {97: 96}


@pytest.mark.parametrize("apt", [96.5, "", "x", "²", "0096", float("nan"), 10**400])
def test_an_unreadable_repeated_payload_type_names_no_codec(apt: str | float) -> None:
    spec = accept(camera(VP8, rtx(97, apt))).spec
    assert spec.rtx_payload_types == {}
    assert spec.encodings == [EncodingSpec(5)]


def test_retransmissions_of_redundant_video_are_taken_as_well() -> None:
    red = RtpCodecParameters("video/red", 116, 90000)
    assert accept(camera(VP8, rtx(97, 96), red, rtx(118, 116))).spec.rtx_payload_types == {97: 96, 118: 116}


def test_retransmissions_of_encodings_without_ssrc_are_learnt_from_their_repaired_rid() -> None:
    for client, ids, payload_types in ((CHROMIUM, (10, 11), {97: 96}), (FIREFOX, (9, 10), {124: 120})):
        spec = plan(client, "vp8Simulcast").spec
        assert spec.encodings == [EncodingSpec(rid="r0"), EncodingSpec(rid="r1"), EncodingSpec(rid="r2")]
        assert (spec.rid_id, spec.repaired_rid_id) == ids
        assert spec.rtx_payload_types == payload_types


def test_a_sender_may_answer_nacks_without_rtx_or_take_none_at_all() -> None:
    plain = accept(camera(VP8)).spec
    assert (plain.nack, plain.rtx_payload_types, plain.encodings) == (True, {}, [EncodingSpec(5)])
    deaf = accept(camera(CACHED.produced["vp8"].codecs[0], rtx(97, 96))).spec
    assert (deaf.nack, deaf.rtx_payload_types) == (False, {97: 96})


def test_each_packetization_mode_of_h264_has_retransmissions_of_its_own() -> None:
    h264 = CHROMIUM.produced["h264"]
    mode_1 = h264.codecs[0]
    mode_0 = evolve(mode_1, payload_type=109, parameters=mode_1.parameters | {"packetization-mode": 0})
    codecs = (mode_1, rtx(110, 108), mode_0, rtx(111, 109))
    assert plan(CHROMIUM, "h264Mode0").consumable.codecs[1].payload_type == 116
    [encoding] = h264.encodings
    first = accept(evolve(h264, codecs=codecs))
    second = accept(evolve(h264, codecs=codecs, encodings=(evolve(encoding, codec_payload_type=109),)))
    assert (first.spec.rtx_payload_types, second.spec.rtx_payload_types) == ({110: 108}, {111: 109})
    assert [codec.payload_type for codec in first.consumable.codecs] == [105, 106]
    assert [codec.payload_type for codec in second.consumable.codecs] == [115, 116]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("codecs[1].payloadType", camera(VP8, rtx(72, 96))),
        ("codecs[1].payloadType", camera(VP8, rtx(96, 96))),
        ("codecs[2].payloadType", camera(VP8, rtx(97, 96), RtpCodecParameters("video/VP9", 97, 90000))),
        ("codecs[2].payloadType", camera(VP8, rtx(97, 96), rtx(97, 98))),
        ("encodings[0].rtx.ssrc", camera(encodings=(Encoding(5, rtx=Rtx(5)),))),
        ("encodings[0].rtx.ssrc", camera(encodings=(Encoding(5, rtx=Rtx(6)), Encoding(6)))),
        ("encodings[1].rtx.ssrc", camera(encodings=(Encoding(5, rtx=Rtx(7)), Encoding(6, rtx=Rtx(7))))),
        (
            "headerExtensions[1].id",
            evolve(
                camera(),
                header_extensions=(
                    RtpHeaderExtensionParameters(REPAIRED_RID_URI, 3),
                    RtpHeaderExtensionParameters("urn:b", 3),
                ),
            ),
        ),
    ],
)
def test_contradictory_retransmissions_are_refused_with_the_path(path: str, parameters: RtpParameters) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        accept(parameters)
    assert refusal.value.path == path


def test_contradictory_retransmissions_that_nothing_uses_are_ignored() -> None:
    encodings = (Encoding(5, rtx=Rtx(7)), Encoding(6, rtx=Rtx(7)))
    spec = accept(camera(VP8, rtx(72, 98), rtx(97, 98), rtx(97, 99), encodings=encodings)).spec
    assert spec.rtx_payload_types == {}
    assert spec.encodings == [EncodingSpec(5), EncodingSpec(6)]
    extensions = (RtpHeaderExtensionParameters(REPAIRED_RID_URI, 3), RtpHeaderExtensionParameters("urn:b", 3))
    assert accept(evolve(camera(VP8), header_extensions=extensions)).spec.repaired_rid_id is None


def test_an_ssrc_of_0_means_that_no_retransmissions_are_announced() -> None:
    encodings = (Encoding(5, rtx=Rtx(0)), Encoding(6, rtx=Rtx(0)))
    assert accept(camera(encodings=encodings)).spec.encodings == [EncodingSpec(5), EncodingSpec(6)]


def test_a_microphone_takes_nacks_but_no_rtx() -> None:
    microphone = CHROMIUM.produced["opus"]
    [opus] = microphone.codecs
    codecs = (evolve(opus, rtcp_feedback=(NACK,)), RtpCodecParameters("audio/rtx", 97, 48000, parameters={"apt": 111}))
    spec = accept(evolve(microphone, codecs=codecs), "audio").spec
    assert (spec.nack, spec.rtx_payload_types) == (True, {})


# Receivers.


def receiver(*codecs: RtpCodecCapability) -> RtpCapabilities:
    extensions = (RtpHeaderExtension(MID_URI), RtpHeaderExtension(RID_URI), RtpHeaderExtension(REPAIRED_RID_URI))
    return RtpCapabilities(codecs, extensions)


def video(
    name: str, payload_type: int | None, parameters: CodecParameters | None = None, *, nack: bool = True
) -> RtpCodecCapability:
    feedback = (NACK,) if nack else ()
    return RtpCodecCapability("video", name, 90000, payload_type, None, parameters or {}, feedback)


def rtx_capability(payload_type: int, apt: str | int) -> RtpCodecCapability:
    return RtpCodecCapability("video", "video/rtx", 90000, payload_type, None, {"apt": apt})


def consume(sent: ProducerPlan, capabilities: RtpCapabilities) -> ConsumerPlan:
    return plan_consumer(sent.consumable, capabilities, report_interval=1)


def test_a_receiver_of_nack_and_rtx_gets_both() -> None:
    consumer = consume(accept(camera()), receiver(video("video/VP8", 40), rtx_capability(41, 40)))
    assert consumer.has_rtx
    assert consumer.format.payload_types == {101}
    assert consumer.format.rtx_payload_types == {101: 102}
    codec, repeated = consumer.codecs
    assert NACK in codec.rtcp_feedback
    assert repeated == RtpCodecParameters("video/rtx", 102, 90000, parameters={"apt": 101})
    assert [extension.uri for extension in consumer.header_extensions] == [MID_URI]
    parameters = consumer.parameters(ssrc=5, rtx_ssrc=6, mid="1", msid="a b", cname="c")
    assert parameters.encodings == (Encoding(5, rtx=Rtx(6)),)


def test_the_receiver_gets_rtx_although_the_sender_has_none() -> None:
    consumer = consume(accept(camera(VP8)), receiver(video("video/VP8", 40), rtx_capability(41, "40")))
    assert consumer.format.rtx_payload_types == {101: 102}


@pytest.mark.parametrize(
    "capabilities",
    [
        receiver(video("video/VP8", 40)),
        receiver(video("video/VP8", 40, nack=False), rtx_capability(41, 40)),
        receiver(video("video/VP8", 40), rtx_capability(41, 44)),
        receiver(video("video/VP8", None), rtx_capability(41, 40)),
        receiver(video("video/VP8", 40), video("video/rtx", 41)),
    ],
)
def test_a_receiver_without_one_of_nack_and_rtx_gets_neither(capabilities: RtpCapabilities) -> None:
    consumer = consume(accept(camera()), capabilities)
    assert not consumer.has_rtx
    assert [codec.mime_type for codec in consumer.codecs] == ["video/VP8"]
    assert NACK not in consumer.codecs[0].rtcp_feedback
    assert consumer.format.rtx_payload_types == {}
    assert consumer.parameters(ssrc=5, mid="1", msid="a b", cname="c").encodings == (Encoding(5),)


def test_a_receiver_of_audio_gets_no_nack() -> None:
    microphone = CHROMIUM.produced["opus"]
    opus = RtpCodecCapability("audio", "audio/opus", 48000, 100, 2, {}, (NACK,))
    consumer = consume(accept(microphone, "audio"), receiver(opus, rtx_capability(41, 100)))
    assert [codec.rtcp_feedback for codec in consumer.codecs] == [()]


@pytest.mark.parametrize(("mode", "expected"), [(1, (105, 106)), (0, (115, 116))])
def test_a_receiver_of_h264_gets_the_retransmissions_of_the_streams_own_mode(
    mode: int, expected: tuple[int, int]
) -> None:
    h264 = CHROMIUM.produced["h264"]
    codec = h264.codecs[0]
    sent = evolve(h264, codecs=(evolve(codec, parameters=codec.parameters | {"packetization-mode": mode}),))
    mode_1 = video("video/H264", 40, {"packetization-mode": 1, "profile-level-id": "42e01f"})
    mode_0 = video("video/H264", 42, {"packetization-mode": 0, "profile-level-id": "42e01f"})
    only_1 = receiver(mode_1, rtx_capability(41, 40))
    both = receiver(mode_1, rtx_capability(41, 40), mode_0, rtx_capability(43, 42))
    for capabilities in (only_1, both):
        consumer = consume(accept(sent), capabilities)
        assert consumer.format.rtx_payload_types == {expected[0]: expected[1]}
        assert [(one.payload_type, one.parameters.get("apt")) for one in consumer.codecs] == [
            (expected[0], None),
            (expected[1], expected[0]),
        ]
    # Its mode 0 has no retransmissions, and a stream of mode 0 goes there.
    without = receiver(mode_1, rtx_capability(41, 40), mode_0)
    assert consume(accept(sent), without).has_rtx == (mode == 1)


def test_receivers_with_and_without_rtx_have_plans_of_their_own() -> None:
    camera_plan = accept(camera())
    able, unable = Receiver(CHROMIUM.capabilities), Receiver(CACHED.capabilities)
    assert able.plan(camera_plan, report_interval=1).has_rtx
    assert able.plan(camera_plan, report_interval=1) is able.plan(accept(camera()), report_interval=1)
    assert not unable.plan(camera_plan, report_interval=1).has_rtx


@pytest.mark.parametrize(("ssrc", "rtx_ssrc"), [(5, None), (5, 5), (5, 0), (5, 1234), (5, 2**32)])
def test_a_consumer_with_rtx_needs_a_second_ssrc_that_clients_accept(ssrc: int, rtx_ssrc: int | None) -> None:
    consumer = consume(accept(camera()), receiver(video("video/VP8", 40), rtx_capability(41, 40)))
    with pytest.raises(ValueError, match="SSRC"):
        consumer.parameters(ssrc=ssrc, rtx_ssrc=rtx_ssrc, mid="1", msid="a b", cname="c")


def test_a_consumer_without_rtx_has_no_second_ssrc() -> None:
    with pytest.raises(ValueError, match="SSRC"):
        consume(accept(camera()), CACHED.capabilities).parameters(ssrc=5, rtx_ssrc=6, mid="1", msid="a b", cname="c")
