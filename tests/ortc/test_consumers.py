"""The parameters of consumers, for their receivers and for the data plane."""

import pytest
from attrs import evolve

from sfu.capabilities import AUDIO_LEVEL_URI, FIR, MID_URI, NACK, PLI, ROUTER_CAPABILITIES
from sfu.dataplane.values import ConsumerFormat
from sfu.errors import Unsupported
from sfu.ortc import MAX_PLANS, PROBATOR_SSRC, ConsumerPlan, Receiver, can_consume, plan_consumer
from sfu.parameters import (
    RtcpFeedback,
    RtcpParameters,
    RtpCapabilities,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpParameters,
    RtpRtxParameters,
)
from tests.ortc.plans import accept, plan
from tests.ortc.recorded import CACHED, CHROMIUM, CLIENTS, PYMEDIASOUP, to_wire

TRANSPORT_CC = RtcpFeedback("transport-cc")


def consume(
    consumable: RtpParameters, capabilities: RtpCapabilities = CHROMIUM.capabilities, *, ssrc: int = 5000
) -> RtpParameters:
    consumer = plan_consumer(consumable, capabilities, report_interval=1)
    rtx_ssrc = 6000 if consumer.has_rtx else None
    return consumer.parameters(ssrc=ssrc, rtx_ssrc=rtx_ssrc, mid="7", msid="ann consumer", cname=consumable.rtcp.cname)


def planned(name: str, capabilities: RtpCapabilities = CHROMIUM.capabilities) -> ConsumerPlan:
    """The plan for consumers of one of Chromium's streams."""
    return plan_consumer(plan(CHROMIUM, name).consumable, capabilities, report_interval=5)


def test_chromium_gets_all_parameters_to_play_a_microphone() -> None:
    assert consume(plan(CHROMIUM, "opus").consumable) == RtpParameters(
        codecs=(RtpCodecParameters("audio/opus", 100, 48000, 2, {"minptime": 10, "useinbandfec": 1}),),
        mid="7",
        header_extensions=(
            RtpHeaderExtensionParameters(MID_URI, 1),
            RtpHeaderExtensionParameters(AUDIO_LEVEL_URI, 10),
        ),
        encodings=(RtpEncodingParameters(ssrc=5000),),
        rtcp=RtcpParameters(CHROMIUM.produced["opus"].rtcp.cname),
        msid="ann consumer",
    )


def test_audio_consumers_carry_a_mid_although_chromium_lists_it_only_for_video() -> None:
    assert [one.kind for one in CHROMIUM.capabilities.header_extensions if one.uri == MID_URI] == ["video"]
    assert MID_URI in [extension.uri for extension in consume(plan(CHROMIUM, "opus").consumable).header_extensions]


@pytest.mark.parametrize("receiver", CLIENTS)
@pytest.mark.parametrize("sender", CLIENTS)
@pytest.mark.parametrize("name", ["opus", "vp8", "h264"])
def test_every_client_can_play_every_other(sender: str, receiver: str, name: str) -> None:
    consumable = plan(CLIENTS[sender], name).consumable
    capabilities = CLIENTS[receiver].capabilities
    assert can_consume(consumable, capabilities)
    parameters = consume(consumable, capabilities)
    # mediasoup-client refuses a consumer whose first payload type is not among those it loaded.
    assert parameters.codecs[0].payload_type in {codec.preferred_payload_type for codec in capabilities.codecs}
    assert parameters.mid
    assert parameters.rtcp.cname


@pytest.mark.parametrize("name", ["vp9", "h264Main"])
def test_pymediasoup_cannot_play_codecs_that_it_did_not_load(name: str) -> None:
    consumable = plan(CHROMIUM, name).consumable
    assert not can_consume(consumable, PYMEDIASOUP.capabilities)
    with pytest.raises(Unsupported, match=consumable.codecs[0].mime_type):
        consume(consumable, PYMEDIASOUP.capabilities)


def test_a_receiver_without_capabilities_can_play_nothing() -> None:
    assert not can_consume(plan(CHROMIUM, "vp8").consumable, RtpCapabilities())


def test_consumers_use_the_feedback_that_both_sides_have() -> None:
    consumable = plan(CHROMIUM, "vp8").consumable
    assert consume(consumable).codecs[0].rtcp_feedback == (NACK, PLI, FIR)
    assert consume(consumable, PYMEDIASOUP.capabilities).codecs[0].rtcp_feedback == (NACK, PLI)
    assert consume(consumable, CACHED.capabilities).codecs[0].rtcp_feedback == (PLI, FIR)


def test_feedback_that_the_router_does_not_serve_is_not_promised() -> None:
    greedy = RtpCapabilities(
        tuple(
            evolve(codec, rtcp_feedback=(RtcpFeedback("nack", "rpsi"), RtcpFeedback("goog-remb"), TRANSPORT_CC, PLI))
            for codec in ROUTER_CAPABILITIES.codecs
        )
    )
    assert consume(plan(CHROMIUM, "vp8").consumable, greedy).codecs[0].rtcp_feedback == (PLI,)


def test_header_extensions_that_the_receiver_lacks_are_left_out() -> None:
    deaf = RtpCapabilities(CHROMIUM.capabilities.codecs)
    assert planned("opus", deaf).header_extensions == ()
    assert planned("opus", deaf).format.mid_id is None


@pytest.mark.parametrize(("name", "mode"), [("vp8", None), ("vp8Simulcast", "L3T3"), ("vp9Svc", "L3T3_KEY")])
def test_a_consumer_has_one_encoding_that_names_its_layers(name: str, mode: str | None) -> None:
    assert consume(plan(CHROMIUM, name).consumable).encodings == (
        RtpEncodingParameters(5000, rtx=RtpRtxParameters(6000), scalability_mode=mode),
    )


def test_the_data_plane_gets_the_same_numbers() -> None:
    assert planned("opus").format == ConsumerFormat({100}, {10}, mid_id=1, report_interval=5)


@pytest.mark.parametrize("ssrc", [0, PROBATOR_SSRC, 2**32])
def test_a_consumer_gets_no_ssrc_that_clients_reject(ssrc: int) -> None:
    with pytest.raises(ValueError, match="SSRC"):
        consume(plan(CHROMIUM, "vp8").consumable, ssrc=ssrc)


@pytest.mark.parametrize("mid", ["", "x", "-1", "١", "123456789"])
def test_a_consumers_mid_is_decimal_and_short(mid: str) -> None:
    with pytest.raises(ValueError, match="MID"):
        planned("vp8").parameters(ssrc=1, rtx_ssrc=2, mid=mid, msid="a b", cname="made-up")


def test_a_receiver_plans_equal_streams_once() -> None:
    receiver = Receiver(CHROMIUM.capabilities)
    one = plan(CHROMIUM, "opus")
    other_client = evolve(CHROMIUM.produced["opus"], rtcp=RtcpParameters("another"))
    assert receiver.plan(one, report_interval=1) is receiver.plan(accept(other_client, "audio"), report_interval=1)
    assert receiver.plan(one, report_interval=1) is not receiver.plan(plan(CHROMIUM, "opusStereo"), report_interval=1)


def test_a_receiver_keeps_a_bounded_number_of_plans() -> None:
    receiver = Receiver(CHROMIUM.capabilities)
    camera = CHROMIUM.produced["h264"]
    plans = []
    for number in range(2 * MAX_PLANS):
        [codec, *others] = camera.codecs
        parameters = codec.parameters | {"sprop-parameter-sets": f"Z{number:03}"}
        changed = evolve(camera, codecs=(evolve(codec, parameters=parameters), *others))
        plans.append(receiver.plan(accept(changed), report_interval=1))
    assert len(set(plans)) == 2 * MAX_PLANS
    assert len(receiver._plans) <= MAX_PLANS


def test_a_stream_that_a_receiver_cannot_play_is_refused_each_time() -> None:
    receiver = Receiver(PYMEDIASOUP.capabilities)
    for _ in range(2):
        with pytest.raises(Unsupported):
            receiver.plan(plan(CHROMIUM, "vp9"), report_interval=1)


def test_a_consumer_has_no_nulls_on_the_wire() -> None:
    consumable = plan(PYMEDIASOUP, "vp8").consumable
    assert to_wire(consume(consumable))["encodings"] == [{"ssrc": 5000, "rtx": {"ssrc": 6000}}]
    assert to_wire(consume(consumable, CACHED.capabilities))["encodings"] == [{"ssrc": 5000}]
