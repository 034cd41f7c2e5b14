"""H.264's profiles, levels and packetization modes, from a sender to its receivers (RFC 6184 section 8.2.2)."""

import pytest
from attrs import evolve

from sfu.capabilities import ROUTER_CAPABILITIES
from sfu.errors import Unsupported
from sfu.ortc import plan_consumer
from sfu.parameters import (
    CodecParameters,
    RtpCapabilities,
    RtpCodecCapability,
    RtpCodecParameters,
    RtpParameters,
)
from tests.ortc.plans import accept
from tests.ortc.recorded import CHROMIUM

CAMERA = CHROMIUM.produced["vp8"]
SETS = "Z0LgH42NQA==,aM48gA=="


def camera(**parameters: str | int) -> RtpParameters:
    named: CodecParameters = {key.replace("_", "-"): value for key, value in parameters.items()}
    return evolve(CAMERA, codecs=(RtpCodecParameters("video/H264", 105, 90000, parameters=named),))


def consumer_codec(sent: RtpParameters, capabilities: RtpCapabilities = ROUTER_CAPABILITIES) -> RtpCodecParameters:
    return plan_consumer(accept(sent).consumable, capabilities, report_interval=1).codecs[0]


def receiver(**parameters: str | int) -> RtpCapabilities:
    [codec] = camera(**parameters).codecs
    return RtpCapabilities((RtpCodecCapability("video", codec.mime_type, 90000, parameters=codec.parameters),))


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize(
    "profile_level_id", ["42e01f", "42c02a", "4d001f", "640033", "640c1f", "640c34", "42001f", "420028"]
)
def test_receivers_get_each_profile_with_the_senders_level(profile_level_id: str, mode: int) -> None:
    codec = consumer_codec(camera(profile_level_id=profile_level_id, packetization_mode=mode))
    assert codec.parameters["profile-level-id"] == profile_level_id
    assert codec.parameters["packetization-mode"] == mode
    assert codec.parameters["level-asymmetry-allowed"] == 1


def test_without_parameters_h264_is_constrained_baseline_in_mode_0() -> None:
    codec = consumer_codec(camera())
    assert (codec.parameters["profile-level-id"], codec.parameters["packetization-mode"]) == ("42e01f", 0)


def test_upper_case_in_a_profile_level_id_does_not_matter() -> None:
    assert (
        consumer_codec(camera(profile_level_id="42E034", packetization_mode=1)).parameters["profile-level-id"]
        == "42e034"
    )


@pytest.mark.parametrize("level", ["ff", "00", "21"])
def test_an_unknown_level_is_replaced_by_the_routers(level: str) -> None:
    codec = consumer_codec(camera(profile_level_id=f"42e0{level}", packetization_mode=1))
    assert codec.parameters["profile-level-id"] == "42e01f"


def test_parameter_sets_are_passed_on() -> None:
    assert consumer_codec(camera(sprop_parameter_sets=SETS)).parameters["sprop-parameter-sets"] == SETS


@pytest.mark.parametrize("sets", ["", "a b", "Z0==,\r\na=inactive", "Z0;max-fs=1", 5])
def test_a_malformed_parameter_set_is_not_passed_on(sets: str | int) -> None:
    assert "sprop-parameter-sets" not in consumer_codec(camera(sprop_parameter_sets=sets)).parameters


def test_no_other_parameter_of_the_sender_is_passed_on() -> None:
    assert consumer_codec(camera(packetization_mode=1, x_mine=5)).parameters == {
        "packetization-mode": 1,
        "level-asymmetry-allowed": 1,
        "profile-level-id": "42e01f",
    }


def test_a_payload_type_means_one_profile_and_packetization_mode() -> None:
    meanings = {
        consumer_codec(camera(profile_level_id=profile, packetization_mode=mode)).payload_type
        for profile in ("42e01f", "4d001f", "64001f", "640c1f", "42001f")
        for mode in (0, 1)
    }
    assert len(meanings) == 10


def test_mode_0_goes_to_receivers_of_mode_1_and_is_announced_as_mode_1() -> None:
    codec = consumer_codec(camera(packetization_mode=0), receiver(packetization_mode=1))
    assert codec.parameters["packetization-mode"] == 1


def test_a_receiver_of_both_modes_gets_mode_0_as_mode_0() -> None:
    both = RtpCapabilities(receiver(packetization_mode=1).codecs + receiver(packetization_mode=0).codecs)
    assert consumer_codec(camera(packetization_mode=0), both).parameters["packetization-mode"] == 0


def test_mode_1_does_not_go_to_a_receiver_of_mode_0_alone() -> None:
    with pytest.raises(Unsupported):
        consumer_codec(camera(packetization_mode=1), receiver(packetization_mode=0))


@pytest.mark.parametrize("sender", [{}, {"packetization_mode": 0, "profile_level_id": "42001f"}])
def test_chromium_gets_mode_0_under_a_payload_type_that_it_loaded(sender: dict[str, str | int]) -> None:
    codec = consumer_codec(camera(**sender), CHROMIUM.capabilities)
    assert codec.parameters["packetization-mode"] == 0
    # mediasoup-client refuses a consumer whose payload type is not among those it loaded.
    assert codec.payload_type in {known.preferred_payload_type for known in CHROMIUM.capabilities.codecs}
