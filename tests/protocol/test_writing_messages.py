"""Encoding of messages: compact, without absent fields, and with each null that is a value."""

import json

import pytest

from protocol import (
    Closing,
    Consume,
    ConsumerUpdated,
    Done,
    Error,
    ErrorCode,
    ErrorData,
    InvalidValueError,
    Layers,
    MessageReceived,
    Ok,
    Participant,
    Pause,
    ProtocolError,
    Request,
    RequestError,
    VoiceState,
    encode,
    from_json,
    to_json,
)
from protocol.media import RtcpParameters, RtpCodecParameters, RtpEncodingParameters, RtpParameters, RtpRtxParameters

ANNA = Participant("anna", "Anna", "2026-11-01T09:30:00Z")


def test_a_request_is_written_with_its_type_and_without_absent_fields() -> None:
    assert encode(Request(7, Consume("t", "p"))) == (
        '{"id":7,"type":"consume","data":{"transportId":"t","producerId":"p","paused":true}}'
    )


def test_an_empty_ok_still_has_data() -> None:
    assert encode(Ok(7)) == encode(Ok(7, Done())) == '{"id":7,"type":"ok","data":{}}'


def test_an_error_has_only_the_fields_that_it_needs() -> None:
    data = ErrorData(ErrorCode.NOT_FOUND, "no such producer")
    assert encode(Error(7, data)) == '{"id":7,"type":"error","data":{"code":"not_found","message":"no such producer"}}'


def test_the_error_about_a_frame_without_an_id_has_a_null_id() -> None:
    error = ProtocolError(ErrorCode.MALFORMED, "not JSON")
    assert encode(Error.for_frame(error)) == (
        '{"id":null,"type":"error","data":{"code":"malformed","message":"not JSON"}}'
    )


def test_a_refusal_keeps_path_and_reference() -> None:
    error = RequestError(ErrorCode.INTERNAL, "broken", "data.x", "ref-1")
    assert Error.for_request(7, error) == Error(7, ErrorData(ErrorCode.INTERNAL, "broken", "data.x", "ref-1"))


@pytest.mark.parametrize(("layers", "text"), [(None, "null"), (Layers(2, 1), '{"spatial":2,"temporal":1}')])
def test_layers_are_there_even_when_they_are_null(layers: Layers | None, text: str) -> None:
    assert encode(ConsumerUpdated("c", False, layers, False)) == (
        f'{{"type":"consumer_updated","data":{{"consumerId":"c","producerPaused":false,"layers":{text},"starved":false}}}}'
    )


def test_a_message_carries_null_as_its_data() -> None:
    assert encode(MessageReceived("anna", None)) == '{"type":"message","data":{"from":"anna","data":null}}'


def test_a_voice_state_without_the_list_leaves_it_out_and_an_empty_list_stays() -> None:
    without = json.loads(encode(VoiceState("user_updated", "c", "anna", "Anna", 9, 3, ANNA, 1)))
    assert without["data"].keys() == {
        *("type", "channelId", "userId", "username", "epoch", "revision", "participant", "count")
    }
    empty = VoiceState("user_left", "c", "anna", "Anna", 9, 3, ANNA, 0, (), "left")
    assert json.loads(encode(empty))["data"]["participants"] == []


def test_media_objects_are_written_as_mediasoup_clients_take_them() -> None:
    parameters = RtpParameters(
        (RtpCodecParameters("video/VP8", 96, 90000, parameters={"x-google-start-bitrate": 1000}),),
        mid="0",
        encodings=(RtpEncodingParameters(ssrc=5, rtx=RtpRtxParameters(6)),),
        rtcp=RtcpParameters("cname"),
    )
    assert to_json(parameters) == {
        "codecs": [
            {
                "mimeType": "video/VP8",
                "payloadType": 96,
                "clockRate": 90000,
                "parameters": {"x-google-start-bitrate": 1000},
                "rtcpFeedback": [],
            }
        ],
        "mid": "0",
        "headerExtensions": [],
        "encodings": [{"ssrc": 5, "rtx": {"ssrc": 6}}],
        "rtcp": {"cname": "cname", "reducedSize": True, "mux": True},
    }
    assert from_json(to_json(parameters), RtpParameters) == parameters


def test_text_outside_ascii_is_written_unescaped() -> None:
    assert "Ænna 🎤" in encode(MessageReceived("anna", "Ænna 🎤"))


def test_a_number_that_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(MessageReceived("anna", float("inf")))


def test_only_messages_are_encoded() -> None:
    with pytest.raises(TypeError, match="not part of the protocol"):
        encode(MessageReceived("anna", object()))


def test_only_user_left_has_a_reason() -> None:
    with pytest.raises(InvalidValueError):
        VoiceState("user_left", "c", "anna", "Anna", 9, 3, ANNA, 0)
    with pytest.raises(InvalidValueError):
        VoiceState("user_joined", "c", "anna", "Anna", 9, 3, ANNA, 0, reason="left")


def test_only_a_move_names_another_channel() -> None:
    with pytest.raises(InvalidValueError):
        VoiceState("user_left", "c", "anna", "Anna", 9, 3, ANNA, 0, reason="moved")
    with pytest.raises(InvalidValueError):
        VoiceState("user_left", "c", "anna", "Anna", 9, 3, ANNA, 0, reason="left", to="d")


def test_a_request_about_one_of_several_objects_names_exactly_one() -> None:
    assert Pause(consumer_id="c").consumer_id == "c"
    with pytest.raises(InvalidValueError):
        Pause()
    with pytest.raises(InvalidValueError):
        Pause("p", "c")


def test_messages_cannot_be_changed() -> None:
    closing = Closing("draining", 1001)
    with pytest.raises(AttributeError):
        closing.code = 1000  # type: ignore[misc]  # what the test is about
