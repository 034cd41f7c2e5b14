"""Streams whose single encoding has spatial layers: VP9 and AV1."""

import pytest
from attrs import evolve

from sfu.capabilities import (
    DEPENDENCY_DESCRIPTOR_URI,
    FIR,
    MID_URI,
    NACK,
    PLI,
    ROUTER_CAPABILITIES,
    TRANSPORT_WIDE_URI,
)
from sfu.errors import Unsupported
from sfu.ortc import can_consume, plan_consumer
from sfu.parameters import (
    CodecParameters,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpParameters,
)
from tests.ortc.plans import accept

AV1_PARAMETERS: CodecParameters = {"level-idx": 5, "profile": 0, "tier": 0}


def stream(
    mime_type: str, mode: str | None, *, profile: int = 0, encodings: int = 1, descriptor: int | None = 7
) -> RtpParameters:
    """A client's stream of these encodings, which has the dependency descriptor under this id."""
    extensions = [RtpHeaderExtensionParameters(MID_URI, 4)]
    if descriptor is not None:
        extensions.append(RtpHeaderExtensionParameters(DEPENDENCY_DESCRIPTOR_URI, descriptor))
    return RtpParameters(
        codecs=(
            RtpCodecParameters(
                mime_type,
                45,
                90000,
                parameters={**AV1_PARAMETERS, "profile": profile} if mime_type.endswith("AV1") else {},
                rtcp_feedback=(NACK, PLI, FIR),
            ),
            RtpCodecParameters("video/rtx", 46, 90000, parameters={"apt": 45}),
        ),
        mid="0",
        header_extensions=tuple(extensions),
        encodings=tuple(RtpEncodingParameters(ssrc, scalability_mode=mode) for ssrc in range(1, encodings + 1)),
    )


@pytest.mark.parametrize("mime_type", ["video/VP9", "video/AV1"])
@pytest.mark.parametrize("mode", ["L3T3_KEY", "L3T3", "S2T1", "L2T2h", "L2T2_KEY_SHIFT", "L1T3"])
def test_a_receiver_learns_the_mode_of_a_single_encoding(mime_type: str, mode: str) -> None:
    assert accept(stream(mime_type, mode)).consumable.encodings[0].scalability_mode == mode


@pytest.mark.parametrize("mode", ["L0T1", "L9T1", "L1T9", "L3T3_key", "L3T3_KEY\r\na=inactive", "", None])
def test_an_unknown_mode_counts_as_none(mode: str | None) -> None:
    assert accept(stream("video/AV1", mode)).consumable.encodings[0].scalability_mode is None


def test_each_of_several_encodings_is_a_spatial_layer() -> None:
    assert accept(stream("video/VP9", "L3T2", encodings=2)).consumable.encodings[0].scalability_mode == "L2T2"


def test_the_dependency_descriptor_of_av1_is_read_and_forwarded() -> None:
    plan = accept(stream("video/AV1", "L3T3"))
    assert (plan.spec.codec, plan.spec.payload_types, plan.spec.descriptor_id) == ("video/av1", {45: 125}, 7)
    assert plan.spec.extension_ids == {7: 12}
    uris = [extension.uri for extension in plan.consumable.header_extensions]
    assert uris == [MID_URI, TRANSPORT_WIDE_URI, DEPENDENCY_DESCRIPTOR_URI]


@pytest.mark.parametrize("mime_type", ["video/VP8", "video/VP9"])
def test_other_codecs_are_not_read_by_it_and_lose_it(mime_type: str) -> None:
    plan = accept(stream(mime_type, None))
    assert plan.spec.descriptor_id is None
    assert plan.spec.extension_ids == {}
    assert [extension.uri for extension in plan.consumable.header_extensions] == [MID_URI, TRANSPORT_WIDE_URI]


def test_av1_without_the_descriptor_is_accepted() -> None:
    plan = accept(stream("video/AV1", "L3T3", descriptor=None))
    assert (plan.spec.descriptor_id, plan.spec.extension_ids) == (None, {})


def test_a_receiver_without_the_descriptor_gets_the_stream_without_it() -> None:
    consumable = accept(stream("video/AV1", "L3T3")).consumable
    extensions = [one for one in ROUTER_CAPABILITIES.header_extensions if one.uri != DEPENDENCY_DESCRIPTOR_URI]
    without = evolve(ROUTER_CAPABILITIES, header_extensions=tuple(extensions))
    for capabilities, ids in ((ROUTER_CAPABILITIES, {12}), (without, set())):
        plan = plan_consumer(consumable, capabilities, report_interval=1)
        assert plan.format.extension_ids == ids
        assert (plan.format.payload_types, plan.format.rtx_payload_types) == ({125}, {125: 126})
        assert plan.scalability_mode == "L3T3"


def test_av1_of_another_profile_is_another_codec() -> None:
    with pytest.raises(Unsupported):
        accept(stream("video/AV1", "L1T3", profile=1))
    consumable = accept(stream("video/AV1", "L1T3")).consumable
    codecs = [codec for codec in ROUTER_CAPABILITIES.codecs if codec.mime_type != "video/AV1"]
    assert not can_consume(consumable, evolve(ROUTER_CAPABILITIES, codecs=tuple(codecs)))
