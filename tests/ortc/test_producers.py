"""A client's stream becomes a plan in the router's numbers."""

from collections.abc import Mapping

import pytest
from attrs import evolve

from sfu.capabilities import AUDIO_LEVEL_URI, MID_URI, ROUTER_CAPABILITIES, TRANSPORT_WIDE_URI, VIDEO_ORIENTATION_URI
from sfu.dataplane.values import EncodingSpec, ProducerSpec
from sfu.errors import Unsupported
from sfu.ortc import ProducerPlan, accept_producer
from sfu.parameters import (
    RtcpParameters,
    RtpCapabilities,
    RtpCodecCapability,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
)
from tests.ortc.plans import DEFAULT_CNAME, accept, plan
from tests.ortc.recorded import CHROMIUM, CLIENTS, PYMEDIASOUP

CAMERA = CHROMIUM.produced["vp8"]
MICROPHONE = CHROMIUM.produced["opus"]


@pytest.mark.parametrize(
    ("client", "name", "codec", "payload_types"),
    [
        ("Chromium", "opus", "audio/opus", {111: 100}),
        ("Chromium", "opusStereo", "audio/opus", {111: 100}),
        ("Chromium", "vp8", "video/vp8", {96: 101}),
        ("Chromium", "vp9", "video/vp9", {98: 103}),
        ("Chromium", "vp9Svc", "video/vp9", {98: 103}),
        ("Chromium", "h264", "video/h264", {108: 105}),
        ("Chromium", "h264Main", "video/h264", {116: 107}),
        ("Chromium", "vp8Simulcast", "video/vp8", {96: 101}),
        ("pymediasoup", "opus", "audio/opus", {96: 100}),
        ("pymediasoup", "vp8", "video/vp8", {97: 101}),
        ("pymediasoup", "h264", "video/h264", {101: 105}),
    ],
)
def test_streams_of_real_clients_get_the_routers_payload_type(
    client: str, name: str, codec: str, payload_types: Mapping[int, int]
) -> None:
    spec = plan(CLIENTS[client], name).spec
    assert (spec.codec, spec.payload_types) == (codec, payload_types)
    assert spec.clock_rate == (48000 if spec.kind == "audio" else 90000)


def test_chromiums_microphone_keeps_its_audio_level_under_the_routers_id() -> None:
    assert plan(CHROMIUM, "opus").spec == ProducerSpec(
        kind="audio",
        codec="audio/opus",
        clock_rate=48000,
        payload_types={111: 100},
        nack=True,
        encodings=(EncodingSpec(MICROPHONE.encodings[0].ssrc),),
        extension_ids={1: 10},
        mid="0",
        mid_id=4,
        audio_level_id=1,
        wide_id=3,
        cname=MICROPHONE.rtcp.cname or "made-up",
    )


def test_chromiums_simulcast_is_learnt_from_mid_and_rid_in_rising_quality() -> None:
    assert plan(CHROMIUM, "vp8Simulcast").spec == ProducerSpec(
        kind="video",
        codec="video/vp8",
        clock_rate=90000,
        payload_types={96: 101},
        rtx_payload_types={97: 96},
        nack=True,
        encodings=(EncodingSpec(rid="r0"), EncodingSpec(rid="r1"), EncodingSpec(rid="r2")),
        extension_ids={3: 11},
        mid="0",
        mid_id=9,
        rid_id=10,
        repaired_rid_id=11,
        wide_id=4,
        cname="made-up",
    )


def test_a_producer_can_begin_paused() -> None:
    assert accept(CAMERA, paused=True).spec.paused
    assert not accept(CAMERA).spec.paused


def test_chromium_understands_pli_and_fir_and_pymediasoup_only_pli() -> None:
    chromium, pymediasoup = plan(CHROMIUM, "vp8"), plan(PYMEDIASOUP, "vp8")
    assert (chromium.pli, chromium.fir) == (True, True)
    assert (pymediasoup.pli, pymediasoup.fir) == (True, False)
    assert not plan(CHROMIUM, "opus").pli


def test_the_consumable_has_the_routers_codec_and_none_of_the_producers_numbers() -> None:
    consumable = plan(CHROMIUM, "h264").consumable
    router = next(codec for codec in ROUTER_CAPABILITIES.codecs if codec.preferred_payload_type == 105)
    assert consumable.codecs == (
        RtpCodecParameters("video/H264", 105, 90000, None, router.parameters, rtcp_feedback=router.rtcp_feedback),
        RtpCodecParameters("video/rtx", 106, 90000, None, {"apt": 105}),
    )
    assert consumable.encodings == (RtpEncodingParameters(),)
    assert (consumable.mid, consumable.msid) == (None, None)


def test_all_opus_parameters_are_the_routers_but_the_senders_stereo() -> None:
    plain, stereo = ({"minptime": 10, "useinbandfec": 1}, {"minptime": 10, "useinbandfec": 1, "sprop-stereo": 1})
    assert plan(PYMEDIASOUP, "opus").consumable.codecs[0].parameters == plain
    assert plan(CHROMIUM, "opusStereo").consumable.codecs[0].parameters == stereo


def test_equal_streams_share_the_form_of_their_consumers() -> None:
    one, other, video = plan(CHROMIUM, "opus"), plan(CHROMIUM, "opus"), plan(CHROMIUM, "vp8")
    assert one.form is other.form
    assert one.consumable.codecs is other.consumable.codecs
    assert video.form.key != one.form.key


def test_the_consumable_lists_the_routers_own_extensions_and_otherwise_only_those_of_the_producer() -> None:
    def extensions(plan: ProducerPlan) -> list[tuple[str, int]]:
        return [(extension.uri, extension.id) for extension in plan.consumable.header_extensions]

    assert extensions(accept(MICROPHONE, "audio")) == [(MID_URI, 1), (AUDIO_LEVEL_URI, 10)]
    assert extensions(accept(CAMERA)) == [(MID_URI, 1), (TRANSPORT_WIDE_URI, 5), (VIDEO_ORIENTATION_URI, 11)]
    assert extensions(accept(evolve(MICROPHONE, header_extensions=()), "audio")) == [(MID_URI, 1)]


def test_an_encrypted_or_unknown_header_extension_is_dropped() -> None:
    extensions = (
        RtpHeaderExtensionParameters(VIDEO_ORIENTATION_URI, 3, encrypt=True),
        RtpHeaderExtensionParameters("urn:example:unknown", 4),
    )
    accepted = accept(evolve(CAMERA, header_extensions=extensions))
    assert accepted.spec.extension_ids == {}
    assert [extension.uri for extension in accepted.consumable.header_extensions] == [MID_URI, TRANSPORT_WIDE_URI]


def test_a_header_extension_in_the_clear_counts_beside_its_encrypted_twin() -> None:
    twin = RtpHeaderExtensionParameters(VIDEO_ORIENTATION_URI, 13, encrypt=True)
    accepted = accept(evolve(CAMERA, header_extensions=(*CAMERA.header_extensions, twin)))
    assert accepted.spec.extension_ids == {3: 11}


def test_an_audio_level_on_video_is_not_read() -> None:
    level = RtpHeaderExtensionParameters(AUDIO_LEVEL_URI, 5)
    spec = accept(evolve(CAMERA, header_extensions=(*CAMERA.header_extensions, level))).spec
    assert spec.audio_level_id is None
    assert 5 not in spec.extension_ids


def test_the_clients_cname_is_kept_and_a_missing_one_is_made_up() -> None:
    assert plan(CHROMIUM, "opus").cname == MICROPHONE.rtcp.cname
    made_up = plan(CHROMIUM, "vp8Simulcast")  # Chromium's own cname is empty here
    assert made_up.cname == made_up.consumable.rtcp.cname == DEFAULT_CNAME
    assert accept(evolve(CAMERA, rtcp=RtcpParameters())).cname == DEFAULT_CNAME


@pytest.mark.parametrize("cname", ["two words", "café", "a\r\na=inactive", "c" * 256, " ", "\x7f"])
def test_a_cname_that_sdp_cannot_hold_is_replaced(cname: str) -> None:
    accepted = accept(evolve(CAMERA, rtcp=RtcpParameters(cname)))
    assert accepted.cname == accepted.spec.cname == accepted.consumable.rtcp.cname == DEFAULT_CNAME


def test_the_first_identifier_of_a_header_extension_listed_twice_counts() -> None:
    twice = (RtpHeaderExtensionParameters(VIDEO_ORIENTATION_URI, 5), *CAMERA.header_extensions)
    assert accept(evolve(CAMERA, header_extensions=twice)).spec.extension_ids == {5: 11}


def test_unused_header_extensions_may_contradict_each_other() -> None:
    unknown = (RtpHeaderExtensionParameters("urn:a", 13), RtpHeaderExtensionParameters("urn:b", 13))
    beyond = (RtpHeaderExtensionParameters("urn:c", 0), RtpHeaderExtensionParameters("urn:d", 300))
    accepted = accept(evolve(CAMERA, header_extensions=(*CAMERA.header_extensions, *unknown, *beyond)))
    assert accepted.spec == accept(CAMERA).spec


@pytest.mark.parametrize("size", [1, 16, 33, 255])
def test_mids_and_rids_may_be_as_long_as_packets_can_carry(size: int) -> None:
    simulcast = CHROMIUM.produced["vp8Simulcast"]
    encodings = tuple(RtpEncodingParameters(rid="abc"[index] * size) for index in range(3))
    spec = accept(evolve(simulcast, mid="m" * size, encodings=encodings)).spec
    assert (spec.mid, spec.encodings[2]) == ("m" * size, EncodingSpec(rid="c" * size))


@pytest.mark.parametrize("name", ["", "n" * 256, "zwölf", "a\nb"])
def test_an_encoding_with_ssrc_ignores_a_mid_or_rid_that_no_packet_can_carry(name: str) -> None:
    [encoding] = CAMERA.encodings
    spec = accept(evolve(CAMERA, mid=name, encodings=(evolve(encoding, rid=name, rtx=None),))).spec
    assert (spec.mid, spec.encodings) == (None, [EncodingSpec(encoding.ssrc)])


def test_rids_suffice_without_a_usable_mid() -> None:
    simulcast = CHROMIUM.produced["vp8Simulcast"]
    only_rid = tuple(extension for extension in simulcast.header_extensions if extension.uri != MID_URI)
    spec = accept(evolve(simulcast, mid=None, header_extensions=only_rid)).spec
    assert [encoding.rid for encoding in spec.encodings] == ["r0", "r1", "r2"]
    assert spec.mid_id is None


@pytest.mark.parametrize(("name", "mode"), [("vp8", None), ("vp8Simulcast", "L3T3"), ("vp9Svc", "L3T3_KEY")])
def test_the_scalability_mode_names_the_layers_to_choose_from(name: str, mode: str | None) -> None:
    assert plan(CHROMIUM, name).consumable.encodings[0].scalability_mode == mode


@pytest.mark.parametrize(
    ("sent", "expected"),
    [("L3T3", "L1T3"), ("L3T3_KEY", "L1T3"), ("S3T3", "L1T3"), ("L2T2h", "L1T2"), ("L1T2", "L1T2"), ("L3T1", "L1T1")],
)
def test_spatial_layers_inside_an_encoding_of_vp8_count_as_one(sent: str, expected: str) -> None:
    one = evolve(CAMERA.encodings[0], scalability_mode=sent, rtx=None)
    assert accept(evolve(CAMERA, encodings=(one,))).consumable.encodings[0].scalability_mode == expected
    two = evolve(one, ssrc=7)
    assert accept(evolve(CAMERA, encodings=(one, two))).consumable.encodings[0].scalability_mode == f"L2{expected[2:]}"


@pytest.mark.parametrize("mode", ["L3T3_KEY\r\na=inactive", "L0T1", "nonsense", ""])
def test_an_unreadable_scalability_mode_counts_as_none(mode: str) -> None:
    one = evolve(CAMERA.encodings[0], scalability_mode=mode, rtx=None)
    assert accept(evolve(CAMERA, encodings=(one,))).consumable.encodings[0].scalability_mode is None
    two = evolve(one, ssrc=7)
    assert accept(evolve(CAMERA, encodings=(one, two))).consumable.encodings[0].scalability_mode == "L2T1"


@pytest.mark.parametrize("encodings", [(), (RtpEncodingParameters(),)])
def test_an_encoding_without_ssrc_and_rid_is_learnt_from_its_mid(encodings: tuple[RtpEncodingParameters, ...]) -> None:
    assert accept(evolve(CAMERA, encodings=encodings)).spec.encodings == [EncodingSpec()]


def test_unused_codecs_may_be_anything() -> None:
    vp8 = CAMERA.codecs[0]
    beside = (
        RtpCodecParameters("video/rtx", 97, 90000, parameters={"apt": 96}),
        RtpCodecParameters("video/rtx", 98, 90000, parameters={"apt": "96"}),
        RtpCodecParameters("video/rtx", 99, 90000, parameters={"apt": 5}),
        RtpCodecParameters("video/rtx", 99, 90000),
        RtpCodecParameters("video/ulpfec", 80, 0),
        RtpCodecParameters("video/never-heard-of", 80, 1),
        RtpCodecParameters("audio/opus", 111, 48000, 2),
    )
    for codecs in ((*beside[:5], vp8), (vp8, *beside), (beside[-1], vp8)):
        assert accept(evolve(CAMERA, codecs=codecs)).spec.payload_types == {96: 101}


def test_two_equal_entries_of_a_codec_count_as_one() -> None:
    assert accept(evolve(CAMERA, codecs=CAMERA.codecs * 2)).spec.payload_types == {96: 101}


def test_the_first_of_several_codecs_is_used_unless_the_encodings_name_another() -> None:
    vp8 = CAMERA.codecs[0]
    vp9 = RtpCodecParameters("video/VP9", 98, 90000)
    both = evolve(CAMERA, codecs=(vp9, vp8))
    assert accept(both).spec.payload_types == {98: 103}
    named = evolve(both, encodings=(evolve(CAMERA.encodings[0], codec_payload_type=96),))
    assert accept(named).spec.payload_types == {96: 101}


def test_encodings_of_different_codecs_are_unsupported() -> None:
    encodings = (RtpEncodingParameters(1, codec_payload_type=96), RtpEncodingParameters(2, codec_payload_type=98))
    codecs = (*CAMERA.codecs, RtpCodecParameters("video/VP9", 98, 90000))
    with pytest.raises(Unsupported):
        accept(evolve(CAMERA, codecs=codecs, encodings=encodings))


@pytest.mark.parametrize(
    "codec",
    [
        RtpCodecParameters("video/H265", 96, 90000),
        RtpCodecParameters("video/AV1", 96, 90000, parameters={"profile": 1}),
        RtpCodecParameters("video/VP9", 96, 90000, parameters={"profile-id": 2}),
        RtpCodecParameters("video/H264", 96, 90000, parameters={"packetization-mode": 2}),
        RtpCodecParameters("video/H264", 96, 90000, parameters={"profile-level-id": "f4001f"}),
        RtpCodecParameters("video/H264", 96, 90000, parameters={"profile-level-id": "?", "packetization-mode": 1}),
    ],
)
def test_a_codec_that_the_router_does_not_have_is_unsupported(codec: RtpCodecParameters) -> None:
    with pytest.raises(Unsupported):
        accept(evolve(CAMERA, codecs=(codec,)))


def test_a_codec_to_which_the_router_gives_no_payload_type_is_unsupported() -> None:
    numberless = RtpCapabilities((RtpCodecCapability("video", "video/VP8", 90000),))
    with pytest.raises(Unsupported):
        accept_producer("video", CAMERA, numberless, default_cname=DEFAULT_CNAME)


def test_opus_without_channels_matches_the_routers_opus() -> None:
    unsaid = evolve(MICROPHONE, codecs=(evolve(MICROPHONE.codecs[0], channels=None),))
    assert accept(unsaid, "audio").consumable.codecs[0].channels == 2


def test_mono_opus_does_not_match_the_routers_opus() -> None:
    with pytest.raises(Unsupported):
        accept(evolve(MICROPHONE, codecs=(evolve(MICROPHONE.codecs[0], channels=1),)), "audio")


def test_the_routers_capabilities_are_not_changed_by_accepting() -> None:
    before = [dict(codec.parameters) for codec in ROUTER_CAPABILITIES.codecs]
    plan(CHROMIUM, "opusStereo")
    assert [codec.parameters for codec in ROUTER_CAPABILITIES.codecs] == before
