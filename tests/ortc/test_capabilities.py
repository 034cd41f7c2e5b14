"""The capabilities of the router: it serves all of them, and clients can load them."""

import asyncio

from pymediasoup import AiortcHandler, Device
from pymediasoup.rtp_parameters import RtpCapabilities as PymediasoupCapabilities

import protocol.media
from protocol.codec import from_json
from sfu.capabilities import (
    FIR,
    MID_URI,
    NACK,
    PLI,
    REPAIRED_RID_URI,
    RID_URI,
    ROUTER_CAPABILITIES,
    TRANSPORT_CC,
    TRANSPORT_WIDE_URI,
    VIDEO_ORIENTATION_URI,
    router_capabilities,
)
from sfu.ortc import can_consume
from sfu.ortc.codecs import is_rtx, repeats
from sfu.ortc.h264 import Profile, profile_of
from sfu.parameters import RtpCapabilities
from tests.ortc.plans import plan
from tests.ortc.recorded import CHROMIUM, from_wire, to_wire

CODECS = ROUTER_CAPABILITIES.codecs
EXTENSIONS = ROUTER_CAPABILITIES.header_extensions


def test_a_client_may_send_the_routers_own_capabilities() -> None:
    read = from_json(to_wire(ROUTER_CAPABILITIES), protocol.media.RtpCapabilities)
    assert len(read.codecs) == len(CODECS)


def test_only_feedback_that_the_router_gives_or_takes_is_offered() -> None:
    feedback = {codec.mime_type: set(codec.rtcp_feedback) for codec in CODECS}
    assert feedback == {
        "audio/opus": {NACK, TRANSPORT_CC},
        "audio/red": set(),
        **{name: {NACK, PLI, FIR, TRANSPORT_CC} for name in ("video/VP8", "video/VP9", "video/H264", "video/AV1")},
        "video/rtx": set(),
    }


def test_every_video_codec_is_followed_by_its_retransmissions() -> None:
    video = [codec for codec in CODECS if codec.kind == "video"]
    for codec, rtx in zip(video[::2], video[1::2], strict=True):
        assert (rtx.mime_type, repeats(rtx)) == ("video/rtx", codec.preferred_payload_type)


def test_senders_of_both_kinds_are_offered_transport_wide_numbers_and_receivers_those_of_video() -> None:
    wide = [extension for extension in EXTENSIONS if extension.uri == TRANSPORT_WIDE_URI]
    assert [(extension.kind, extension.direction) for extension in wide] == [
        ("audio", "recvonly"),
        ("video", "sendrecv"),
    ]
    assert not [extension for extension in EXTENSIONS if "abs-" in extension.uri]


def test_every_codec_has_its_own_dynamic_payload_type_and_not_the_probators() -> None:
    payload_types = [codec.preferred_payload_type for codec in CODECS]
    assert len(set(payload_types)) == len(payload_types)
    # Chromium's own payload type of RED is one of the lower dynamic range.
    assert set(payload_types) <= {63, *range(96, 127)}


def test_vp8_is_the_preferred_video_codec_and_plain_opus_the_audio_codec() -> None:
    names = [codec.mime_type for codec in CODECS if not is_rtx(codec)]
    assert names[:4] == ["audio/opus", "audio/red", "video/VP8", "video/VP9"]
    assert set(names[4:-1]) == {"video/H264"}
    assert names[-1] == "video/AV1"


def test_each_h264_profile_of_webrtc_is_offered_in_mode_1_and_then_in_mode_0() -> None:
    h264 = [codec for codec in CODECS if codec.mime_type == "video/H264"]
    assert [codec.parameters["packetization-mode"] for codec in h264] == [1] * len(Profile) + [0] * len(Profile)
    for mode in (0, 1):
        offered = [profile_of(codec.parameters) for codec in h264 if codec.parameters["packetization-mode"] == mode]
        assert sorted(map(str, offered)) == sorted(map(str, Profile))


def test_video_orientation_is_offered_unless_switched_off() -> None:
    without = router_capabilities(video_orientation=False)
    assert without.codecs == CODECS
    gone = set(EXTENSIONS) - set(without.header_extensions)
    assert [(extension.uri, extension.kind) for extension in gone] == [(VIDEO_ORIENTATION_URI, "video")]


def test_header_extension_ids_fit_one_byte_headers_and_name_one_uri_each() -> None:
    uris = {(extension.preferred_id, extension.uri) for extension in EXTENSIONS}
    assert len({identifier for identifier, _ in uris}) == len(uris)
    assert {identifier for identifier, _ in uris} <= set(range(1, 15))


def test_mid_is_listed_for_both_kinds_and_rids_are_received_but_never_sent() -> None:
    directions = {(extension.uri, extension.kind): extension.direction for extension in EXTENSIONS}
    assert directions[MID_URI, "audio"] == directions[MID_URI, "video"] == "sendrecv"
    for uri in (RID_URI, REPAIRED_RID_URI):
        assert directions[uri, "video"] == "recvonly"
        assert (uri, "audio") not in directions


def test_pymediasoup_loads_the_router_and_can_send_and_receive_both_kinds() -> None:
    device = Device(handlerFactory=AiortcHandler.createFactory())
    asyncio.run(device.load(PymediasoupCapabilities.model_validate(to_wire(ROUTER_CAPABILITIES))))
    assert device.canProduce("audio")
    assert device.canProduce("video")
    capabilities = from_wire(device.recvRtpCapabilities.model_dump(), RtpCapabilities)
    for name in ("opus", "vp8", "h264"):
        assert can_consume(plan(CHROMIUM, name).consumable, capabilities)


def test_senders_of_opus_are_asked_for_its_own_forward_error_correction() -> None:
    assert CODECS[0].parameters["useinbandfec"] == 1
