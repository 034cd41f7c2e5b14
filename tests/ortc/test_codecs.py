"""Comparing descriptions of codecs."""

import pytest

from sfu.ortc.codecs import can_decode, is_media, is_red, same_codec
from sfu.ortc.h264 import Profile, profile_of
from sfu.parameters import CodecParameters, RtpCodecParameters

# Profile-level-ids of Chromium, Firefox, Safari, Android and aiortc, and the corner cases of RFC 6184's table 5.
PROFILES = {
    "42e01f": Profile.CONSTRAINED_BASELINE,
    "42C02A": Profile.CONSTRAINED_BASELINE,
    "42400a": Profile.CONSTRAINED_BASELINE,
    "42f00b": Profile.CONSTRAINED_BASELINE,
    "4de01f": Profile.CONSTRAINED_BASELINE,
    "58f01f": Profile.CONSTRAINED_BASELINE,
    "42001f": Profile.BASELINE,
    "42a01f": Profile.BASELINE,
    "58a01f": Profile.BASELINE,
    "4d001f": Profile.MAIN,
    "4d4032": Profile.MAIN,
    "640032": Profile.HIGH,
    "640c1f": Profile.CONSTRAINED_HIGH,
}


def codec(
    mime_type: str, clock_rate: int = 90000, channels: int | None = None, **parameters: str | int
) -> RtpCodecParameters:
    named: CodecParameters = {key.replace("_", "-"): value for key, value in parameters.items()}
    return RtpCodecParameters(mime_type, 96, clock_rate, channels, named)


@pytest.mark.parametrize(("text", "profile"), PROFILES.items())
def test_a_profile_level_id_names_its_profile(text: str, profile: Profile) -> None:
    assert profile_of({"profile-level-id": text}) is profile


@pytest.mark.parametrize("text", ["42e0", "42e01f00", "42e01g", " 42e01", "f4001f", "6e001f", "42e11f", "４２e01f"])
def test_a_malformed_or_unused_profile_level_id_names_none(text: str) -> None:
    assert profile_of({"profile-level-id": text}) is None


def test_a_profile_level_id_that_was_parsed_as_a_number_is_recognised() -> None:
    assert profile_of({"profile-level-id": 640032}) is Profile.HIGH
    assert profile_of({"profile-level-id": 640032.0}) is Profile.HIGH


def test_without_a_profile_level_id_the_profile_is_constrained_baseline() -> None:
    assert profile_of({}) is Profile.CONSTRAINED_BASELINE
    assert profile_of({"profile-level-id": ""}) is Profile.CONSTRAINED_BASELINE


def test_names_are_compared_without_case() -> None:
    assert same_codec(codec("video/VP8"), codec("Video/vp8"))
    assert not same_codec(codec("video/VP8"), codec("video/VP9"))
    assert not same_codec(codec("video/VP8"), codec("audio/VP8"))


def test_clock_rates_must_agree() -> None:
    assert not same_codec(codec("audio/opus", 48000, 2), codec("audio/opus", 16000, 2))


def test_audio_channels_must_agree_and_default_to_one() -> None:
    assert same_codec(codec("audio/PCMU", 8000), codec("audio/PCMU", 8000, 1))
    assert not same_codec(codec("audio/L16", 48000, 2), codec("audio/L16", 48000))


def test_opus_channels_default_to_two() -> None:
    assert same_codec(codec("audio/opus", 48000, 2), codec("audio/opus", 48000))
    assert not same_codec(codec("audio/opus", 48000, 2), codec("audio/opus", 48000, 1))
    assert not same_codec(codec("audio/multiopus", 48000, 2), codec("audio/multiopus", 48000))


def test_video_has_no_channels_to_agree_on() -> None:
    assert same_codec(codec("video/VP8", channels=1), codec("video/VP8"))


def test_opus_parameters_need_not_agree() -> None:
    assert same_codec(codec("audio/opus", 48000, 2, useinbandfec=1), codec("audio/opus", 48000, 2, stereo=1))


def test_h264_profiles_must_agree_and_levels_need_not() -> None:
    router = codec("video/H264", packetization_mode=1, profile_level_id="42e01f")
    assert same_codec(router, codec("video/H264", packetization_mode=1, profile_level_id="42e034"))
    assert not same_codec(router, codec("video/H264", packetization_mode=1, profile_level_id="42001f"))
    assert not same_codec(router, codec("video/H264", packetization_mode=1, profile_level_id="4d001f"))


def test_two_unreadable_h264_profiles_do_not_agree() -> None:
    strange = codec("video/H264", packetization_mode=1, profile_level_id="nonsense")
    assert not same_codec(strange, strange)


def test_h264_packetization_modes_must_agree_and_default_to_zero() -> None:
    assert not same_codec(codec("video/H264", packetization_mode=1), codec("video/H264"))
    assert same_codec(codec("video/H264", packetization_mode=0), codec("video/H264"))
    assert same_codec(codec("video/H264", packetization_mode=1), codec("video/H264", packetization_mode="1"))


@pytest.mark.parametrize("one", [1, "1", 1.0])
@pytest.mark.parametrize("other", [1, "1", 1.0])
def test_numbers_compare_equal_in_any_notation(one: str | int, other: str | int) -> None:
    assert same_codec(codec("video/H264", packetization_mode=one), codec("video/H264", packetization_mode=other))
    assert same_codec(codec("video/VP9", profile_id=one), codec("video/VP9", profile_id=other))


def test_a_receiver_of_packetization_mode_1_decodes_mode_0_but_not_vice_versa() -> None:
    single, aggregated = codec("video/H264"), codec("video/H264", packetization_mode=1)
    assert can_decode(aggregated, single)
    assert not can_decode(single, aggregated)
    assert not can_decode(codec("video/H264", packetization_mode=1, profile_level_id="640c1f"), single)
    assert not can_decode(codec("video/H264", packetization_mode=2), single)


def test_vp9_profiles_must_agree_and_default_to_zero() -> None:
    assert same_codec(codec("video/VP9"), codec("video/VP9", profile_id=0))
    assert not same_codec(codec("video/VP9"), codec("video/VP9", profile_id=2))


def test_codecs_that_accompany_media_are_not_media() -> None:
    assert is_red(codec("audio/RED"))
    assert not is_red(codec("video/rtx"))
    assert is_media(codec("audio/opus"))
    for name in ("video/rtx", "video/red", "video/ulpfec", "audio/CN", "audio/telephone-event"):
        assert not is_media(codec(name))
