"""Decoding of frames from clients: each gives a request, or one error with all that its answer needs."""

import json
import sys
import unicodedata
from typing import Any

import pytest

from protocol import (
    REQUESTS,
    Consume,
    ErrorCode,
    Join,
    Leave,
    Pause,
    Produce,
    ProtocolError,
    Request,
    SendMessage,
    decode_request,
    limits,
)
from protocol.media import RtcpFeedback, RtpCodecParameters, RtpParameters

JOIN = {"channelId": "lobby", "username": "Anna"}
OPUS = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000}
FINGERPRINT = {"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}


def frame(type_: str, data: Any, request_id: Any = 7) -> str:
    return json.dumps({"id": request_id, "type": type_, "data": data})


def refusal(raw: str | bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode_request(raw)
    return caught.value


def invalid_path(type_: str, data: Any) -> str | None:
    error = refusal(frame(type_, data))
    assert (error.code, error.request_id) == (ErrorCode.INVALID, 7)
    return error.path


def test_a_join_is_read_with_its_username_trimmed() -> None:
    request = decode_request(frame("join", {**JOIN, "username": "  Anna B.\t"}))
    assert request == Request(7, Join("lobby", "Anna B."))
    assert request.type == "join"


def test_bytes_are_read_like_text() -> None:
    raw = '{"id":0,"type":"join","data":{"channelId":"lobby","username":"Ænna 🎤"}}'
    assert decode_request(raw.encode()) == decode_request(raw) == Request(0, Join("lobby", "Ænna 🎤"))


def test_empty_data_may_be_left_out() -> None:
    assert decode_request('{"id":1,"type":"leave"}') == Request(1, Leave())


def test_missing_data_names_the_missing_field() -> None:
    error = refusal('{"id":1,"type":"join"}')
    assert (error.code, error.path, error.request_id) == (ErrorCode.INVALID, "data.channelId", 1)


def test_unknown_fields_are_ignored_everywhere() -> None:
    data = {
        "transportId": "t",
        "kind": "audio",
        "source": "microphone",
        "colour": "red",
        "rtpParameters": {"codecs": [{**OPUS, "smell": None}], "taste": []},
    }
    raw = json.dumps({"id": 1, "type": "produce", "data": data, "mood": {"good": True}})
    expected = RtpParameters((RtpCodecParameters("audio/opus", 111, 48000),))
    assert decode_request(raw).data == Produce("t", "audio", expected, "microphone")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "hello",
        "{",
        '{"id":1,"type":"ping"',
        '{"id":1,"type":"ping"} x',
        '{"id":1,"type":"ping"}{"id":2,"type":"ping"}',
        "{'id':1}",
        '{"id":1,}',
        '\ufeff{"id":1,"type":"ping"}',
        '{"id":1,"type":"a\nb"}',
        "null",
        "7",
        '"join"',
        '[{"id":1,"type":"ping"}]',
        '{"id":1,"id":1,"type":"ping"}',
        '{"id":1,"type":"message","data":{"data":{"a":1,"a":2}}}',
        '{"id":1,"type":"message","data":{"data":NaN}}',
        '{"id":1,"type":"message","data":{"data":-Infinity}}',
        '{"id":1,"type":"message","data":{"data":1e400}}',
        '{"id":1,"type":"message","data":{"data":"\\ud800"}}',
        '{"id":1,"type":"message","data":{"data":{"\\udfff":1}}}',
        '{"id":1,"type":"message","data":{"data":"\ud800"}}',
        b"\xff\xfe",
        b'{"id":1,"type":"\xc3("}',
        '{"id":1,"type":"ping"}'.encode("utf-16"),
    ],
)
def test_anything_but_one_json_object_is_malformed_without_an_id(raw: str | bytes) -> None:
    error = refusal(raw)
    assert (error.code, error.request_id) == (ErrorCode.MALFORMED, None)


@pytest.mark.parametrize("digits", [309, 310, 311, 5000])
def test_an_integer_that_no_double_can_hold_is_malformed(digits: int) -> None:
    raw = frame("message", {"data": None}).replace("null", "9" * digits)
    assert refusal(raw).code is ErrorCode.MALFORMED


def test_an_integer_that_a_double_can_hold_is_read() -> None:
    raw = frame("message", {"data": None}).replace("null", "-" + "9" * 308)
    assert decode_request(raw).data == SendMessage(-(10**308 - 1))


@pytest.mark.parametrize("raw_id", ["null", "true", "-1", "1.0", "1e2", '"7"', "[]", "{}", str(2**53), "9" * 300])
def test_an_unusable_id_is_malformed(raw_id: str) -> None:
    error = refusal(f'{{"id":{raw_id},"type":"ping"}}')
    assert (error.code, error.path, error.request_id) == (ErrorCode.MALFORMED, "id", None)


def test_a_missing_id_is_malformed() -> None:
    assert refusal('{"type":"ping"}').code is ErrorCode.MALFORMED


@pytest.mark.parametrize("request_id", [0, 1, 2**53 - 1])
def test_every_id_that_a_browser_keeps_exactly_can_be_used(request_id: int) -> None:
    assert decode_request(frame("ping", {}, request_id)).id == request_id


@pytest.mark.parametrize("name", ["", "Join", "join ", "voice_state", "ok", "__class__", "x" * 1000])
def test_an_unknown_type_is_answered_by_its_id(name: str) -> None:
    error = refusal(frame(name, {}))
    assert (error.code, error.request_id) == (ErrorCode.UNKNOWN_TYPE, 7)
    assert len(error.message) < 200


@pytest.mark.parametrize("raw", ['{"id":7}', '{"id":7,"type":null}', '{"id":7,"type":5}', '{"id":7,"type":["join"]}'])
def test_a_type_must_be_a_text(raw: str) -> None:
    error = refusal(raw)
    assert (error.code, error.path, error.request_id) == (ErrorCode.INVALID, "type", 7)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("data", [None, 5, "x", [], True])
def test_data_must_be_an_object(name: str, data: Any) -> None:
    assert invalid_path(name, data) == "data"


@pytest.mark.parametrize(
    ("type_", "data", "path"),
    [
        ("join", {**JOIN, "username": 5}, "data.username"),
        ("join", {**JOIN, "username": None}, "data.username"),
        ("join", {**JOIN, "metadata": None}, "data.metadata"),
        ("join", {**JOIN, "metadata": []}, "data.metadata"),
        ("join", {**JOIN, "userId": None}, "data.userId"),
        ("join", {**JOIN, "token": 1}, "data.token"),
        ("set_layers", {"consumerId": "c", "spatial": "5", "temporal": 0}, "data.spatial"),
        ("set_layers", {"consumerId": "c", "spatial": 0, "temporal": True}, "data.temporal"),
        ("set_layers", {"consumerId": "c", "spatial": 1.0, "temporal": 0}, "data.spatial"),
        ("set_layers", {"consumerId": "c", "spatial": -1, "temporal": 0}, "data.spatial"),
        ("set_priority", {"consumerId": "c", "priority": 0}, "data.priority"),
        ("set_priority", {"consumerId": "c", "priority": 256}, "data.priority"),
        ("set_priority", {"consumerId": "c"}, "data.priority"),
        ("consume", {"transportId": "t", "producerId": "p", "paused": 1}, "data.paused"),
        ("consume", {"transportId": "t", "producerId": "p", "rtpCapabilities": None}, "data.rtpCapabilities"),
        ("consume_many", {"transportId": "t", "producerIds": []}, "data.producerIds"),
        ("consume_many", {"transportId": "t", "producerIds": ["p"] * 33}, "data.producerIds"),
        ("consume_many", {"transportId": "t", "producerIds": ["p", 5]}, "data.producerIds[1]"),
        ("create_transport", {"direction": "both"}, "data.direction"),
        ("create_transport", {"direction": 1}, "data.direction"),
        ("message", {}, "data.data"),
        ("message", {"data": 1, "to": "anna"}, "data.to"),
        ("message", {"data": 1, "to": ["anna", 5]}, "data.to[1]"),
        ("message", {"data": 1, "to": ["not a user id"]}, "data.to[0]"),
    ],
)
def test_nothing_is_coerced_and_the_path_names_the_field(type_: str, data: Any, path: str) -> None:
    assert invalid_path(type_, data) == path


@pytest.mark.parametrize("channel_id", ["a", "A-z_0.9:x", "x" * 128])
def test_allowed_channel_ids_are_read(channel_id: str) -> None:
    data = {**JOIN, "channelId": channel_id, "userId": channel_id}
    assert decode_request(frame("join", data)).data == Join(channel_id, "Anna", channel_id)


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a/b", "ä", "a\n", "𝟎", "a\u0000"])
def test_other_channel_and_user_ids_are_invalid(name: str) -> None:
    assert invalid_path("join", {**JOIN, "channelId": name}) == "data.channelId"
    assert invalid_path("join", {**JOIN, "userId": name}) == "data.userId"


@pytest.mark.parametrize(
    "username", ["", "   ", "\u3000", "x" * 65, "a\nb", "a\u0000b", "a\u0085b", "a\u007f", "\u009bx"]
)
def test_bad_usernames_are_invalid(username: str) -> None:
    assert invalid_path("join", {**JOIN, "username": username}) == "data.username"


INVISIBLE = [
    chr(code)
    for code in range(sys.maxunicode + 1)
    if unicodedata.category(chr(code)) in ("Cf", "Zl", "Zp") or code in (0x3164, 0x115F, 0x1160, 0xFFA0)
]


def test_usernames_with_invisible_or_bidirectional_control_characters_are_invalid() -> None:
    assert {"\u200b", "\u200d", "\u202e", "\u2028", "\u2066", "\ufeff", "\u00ad", "\U000e0041"} < set(INVISIBLE)
    for character in INVISIBLE:
        for username in (f"An{character}na", f"Anna{character}", character):
            error = refusal(frame("join", {**JOIN, "username": username}))
            assert (error.code, error.path) == (ErrorCode.INVALID, "data.username")
            assert error.message == f"must hold no invisible characters, such as U+{ord(character):04X}"


@pytest.mark.parametrize("username", ["Ænna", "مریم", "李雷", "김민수", "Анна 🎤", "👩🏽", "O'Neil-Đặng"])
def test_usernames_of_every_script_are_allowed(username: str) -> None:
    assert decode_request(frame("join", {**JOIN, "username": username})).data == Join("lobby", username)


@pytest.mark.parametrize(
    ("sent", "read"),
    [("Zoe\u0308", "Zoë"), ("\u212bsa", "Åsa"), ("\u1112\u1161\u11ab", "한"), ("e\u0301" * 64, "é" * 64)],
)
def test_usernames_that_look_alike_are_read_as_the_same_text(sent: str, read: str) -> None:
    assert decode_request(frame("join", {**JOIN, "username": sent})).data == Join("lobby", read)


def test_a_username_is_not_normalised_when_that_would_take_long() -> None:
    # The time to sort combining characters grows with the square of their number.
    error = refusal(frame("join", {**JOIN, "username": "a" + "\u0301\u0327" * 20_000}))
    assert (error.code, error.path) == (ErrorCode.INVALID, "data.username")
    assert "before normalising" in error.message


def test_a_username_is_measured_after_trimming_and_in_characters() -> None:
    data = decode_request(frame("join", {**JOIN, "username": " " + "𝔄" * 64 + " "})).data
    assert isinstance(data, Join)
    assert data.username == "𝔄" * 64


def test_metadata_is_bounded_by_its_size_as_compact_utf8() -> None:
    fitting = {"a": "é" * ((limits.MAX_METADATA_BYTES - 8) // 2)}  # {"a":"…"} adds 8 bytes
    assert decode_request(json.dumps({"id": 1, "type": "join", "data": {**JOIN, "metadata": fitting}}, indent=8))
    fitting["a"] += "x"
    assert invalid_path("join", {**JOIN, "metadata": fitting}) == "data.metadata"


def test_message_data_is_bounded_by_its_size_as_compact_utf8() -> None:
    fitting = "x" * (limits.MAX_MESSAGE_BYTES - 2)
    assert decode_request(frame("message", {"data": fitting})).data == SendMessage(fitting)
    assert invalid_path("message", {"data": fitting + "x"}) == "data.data"


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "", [], {}, {"a": [{"b": None}]}])
def test_message_data_is_any_json(value: Any) -> None:
    assert decode_request(frame("message", {"data": value})).data == SendMessage(value)


def test_recipients_are_bounded() -> None:
    fitting = ["a"] * limits.MAX_RECIPIENTS
    assert decode_request(frame("message", {"data": 1, "to": fitting})).data == SendMessage(1, tuple(fitting))
    assert invalid_path("message", {"data": 1, "to": [*fitting, "a"]}) == "data.to"


@pytest.mark.parametrize("name", ["pause", "resume", "close"])
@pytest.mark.parametrize("data", [{}, {"producerId": "p", "consumerId": "c"}])
def test_exactly_one_object_is_named(name: str, data: Any) -> None:
    assert invalid_path(name, data) == "data"


def test_null_is_a_wrong_value_for_an_alternative() -> None:
    assert invalid_path("pause", {"producerId": "p", "consumerId": None}) == "data.consumerId"
    assert decode_request(frame("pause", {"producerId": "p"})).data == Pause("p")


def test_absent_fields_of_consume_have_their_defaults() -> None:
    data = decode_request(frame("consume", {"transportId": "t", "producerId": "p"})).data
    assert data == Consume("t", "p", None, paused=True)


def test_null_inside_media_objects_means_absent() -> None:
    codec = {
        **OPUS,
        "channels": None,
        "parameters": {"useinbandfec": 1, "x": None},
        "rtcpFeedback": [{"type": "nack", "parameter": None}],
    }
    rtp = {"mid": None, "codecs": [codec], "encodings": [{"ssrc": 5, "rid": None, "rtx": None}], "rtcp": None}
    data = decode_request(
        frame("produce", {"transportId": "t", "kind": "audio", "source": "other", "rtpParameters": rtp})
    ).data
    assert isinstance(data, Produce)
    parameters = data.rtp_parameters
    assert parameters.mid is None
    assert parameters.rtcp.mux is True
    assert parameters.codecs[0].parameters == {"useinbandfec": 1}
    assert parameters.codecs[0].rtcp_feedback == (RtcpFeedback("nack", ""),)
    assert (parameters.encodings[0].ssrc, parameters.encodings[0].rtx) == (5, None)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"codecs": []}, "codecs"),
        ({"codecs": [OPUS] * (limits.MAX_CODECS + 1)}, "codecs"),
        ({"codecs": [None]}, "codecs[0]"),
        ({"codecs": [OPUS, {**OPUS, "mimeType": None}]}, "codecs[1].mimeType"),
        ({"codecs": [{**OPUS, "mimeType": "text/plain"}]}, "codecs[0].mimeType"),
        ({"codecs": [{**OPUS, "payloadType": 128}]}, "codecs[0].payloadType"),
        ({"codecs": [{**OPUS, "payloadType": -1}]}, "codecs[0].payloadType"),
        ({"codecs": [{**OPUS, "payloadType": "111"}]}, "codecs[0].payloadType"),
        ({"codecs": [{**OPUS, "clockRate": 0}]}, "codecs[0].clockRate"),
        ({"codecs": [{**OPUS, "channels": 0}]}, "codecs[0].channels"),
        ({"codecs": [{**OPUS, "parameters": {"a": True}}]}, "codecs[0].parameters.a"),
        ({"codecs": [{**OPUS, "parameters": {"a": []}}]}, "codecs[0].parameters.a"),
        ({"codecs": [{**OPUS, "parameters": {"a": "x" * 1025}}]}, "codecs[0].parameters.a"),
        ({"codecs": [{**OPUS, "parameters": {str(n): n for n in range(65)}}]}, "codecs[0].parameters"),
        ({"codecs": [{**OPUS, "parameters": {"x" * 257: 1}}]}, "codecs[0].parameters"),
        ({"codecs": [{**OPUS, "rtcpFeedback": [{"type": "nack"}] * 33}]}, "codecs[0].rtcpFeedback"),
        ({"headerExtensions": [{"uri": "u", "id": 0}]}, "headerExtensions[0].id"),
        ({"headerExtensions": [{"uri": "u", "id": 256}]}, "headerExtensions[0].id"),
        ({"headerExtensions": [{"uri": "u", "id": 1}] * 65}, "headerExtensions"),
        ({"encodings": [{"ssrc": 1}] * 9}, "encodings"),
        ({"encodings": [{"ssrc": 0}]}, "encodings[0].ssrc"),
        ({"encodings": [{"ssrc": 2**32}]}, "encodings[0].ssrc"),
        ({"encodings": [{"ssrc": 5.5}]}, "encodings[0].ssrc"),
        ({"encodings": [{"ssrc": True}]}, "encodings[0].ssrc"),
        ({"encodings": [{"ssrc": "5"}]}, "encodings[0].ssrc"),
        ({"encodings": [{"rid": 5}]}, "encodings[0].rid"),
        ({"encodings": [{"rid": "a" * 257}]}, "encodings[0].rid"),
        ({"encodings": [{"scalabilityMode": "L" * 257}]}, "encodings[0].scalabilityMode"),
        ({"encodings": [{"rtx": {}}]}, "encodings[0].rtx.ssrc"),
        ({"encodings": [{"rtx": {"ssrc": 2**32}}]}, "encodings[0].rtx.ssrc"),
        ({"rtcp": {"cname": 5}}, "rtcp.cname"),
        ({"rtcp": {"cname": "c" * 257}}, "rtcp.cname"),
        ({"msid": "m" * 257}, "msid"),
        ({"mid": 5}, "mid"),
        ({"codecs": [{**OPUS, "payloadType": True}]}, "codecs[0].payloadType"),
        ({"codecs": [{**OPUS, "payloadType": 111.5}]}, "codecs[0].payloadType"),
        ({"codecs": [{**OPUS, "channels": "2"}]}, "codecs[0].channels"),
    ],
)
def test_every_field_of_media_parameters_is_checked(change: dict[str, Any], path: str) -> None:
    data = {"transportId": "t", "kind": "audio", "source": "other", "rtpParameters": {"codecs": [OPUS], **change}}
    assert invalid_path("produce", data) == f"data.rtpParameters.{path}"


@pytest.mark.parametrize("payload_type", [0, 127])
def test_payload_types_go_from_0_to_127(payload_type: int) -> None:
    rtp = {"codecs": [{**OPUS, "payloadType": payload_type}]}
    data = {"transportId": "t", "kind": "audio", "source": "other", "rtpParameters": rtp}
    assert decode_request(frame("produce", data))


@pytest.mark.parametrize("algorithm", ["sha-256", "SHA-256", "sha-384", "Sha-512"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_fingerprints_are_taken_in_any_case(algorithm: str, case: Any) -> None:
    value = case(":".join(["ab"] * (int(algorithm[-3:]) // 8)))
    dtls = {"fingerprints": [{"algorithm": algorithm, "value": value}]}
    assert decode_request(frame("connect_transport", {"transportId": "t", "dtlsParameters": dtls}))


@pytest.mark.parametrize(
    ("dtls", "path"),
    [
        ({"fingerprints": []}, "fingerprints"),
        ({"fingerprints": [FINGERPRINT] * 17}, "fingerprints"),
        ({"fingerprints": [{**FINGERPRINT, "algorithm": "md5"}]}, "fingerprints[0].algorithm"),
        ({"fingerprints": [{**FINGERPRINT, "algorithm": "sha-1"}]}, "fingerprints[0].algorithm"),
        ({"fingerprints": [{**FINGERPRINT, "algorithm": "sha-512"}]}, "fingerprints[0].value"),
        ({"fingerprints": [{**FINGERPRINT, "value": "AB" * 32}]}, "fingerprints[0].value"),
        ({"fingerprints": [{**FINGERPRINT, "value": ":".join(["GG"] * 32)}]}, "fingerprints[0].value"),
        ({"fingerprints": [FINGERPRINT], "role": "both"}, "role"),
    ],
)
def test_dtls_parameters_are_checked(dtls: Any, path: str) -> None:
    data = {"transportId": "t", "dtlsParameters": dtls}
    assert invalid_path("connect_transport", data) == f"data.dtlsParameters.{path}"


@pytest.mark.parametrize(("fragment", "password"), [("Ab+/", "p" * 22), ("f" * 256, "9" * 256)])
def test_ice_credentials_of_a_client_are_taken(fragment: str, password: str) -> None:
    ice = {"usernameFragment": fragment, "password": password, "iceLite": False}
    for kind, more in [("connect_transport", {"dtlsParameters": {"fingerprints": [FINGERPRINT]}}), ("restart_ice", {})]:
        assert decode_request(frame(kind, {"transportId": "t", "iceParameters": ice, **more}))
    assert decode_request(frame("set_ice_parameters", {"transportId": "t", "iceParameters": ice}))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"usernameFragment": "abc"}, "usernameFragment"),
        ({"usernameFragment": "a" * 257}, "usernameFragment"),
        ({"usernameFragment": "a:bcd"}, "usernameFragment"),
        ({"usernameFragment": None}, "usernameFragment"),
        ({"password": "p" * 21}, "password"),
        ({"password": "p" * 257}, "password"),
        ({"password": "p" * 22 + "\n"}, "password"),
        ({"password": "ü" * 22}, "password"),
    ],
)
def test_ice_credentials_are_ice_chars_of_the_lengths_of_rfc_8445(change: Any, path: str) -> None:
    ice = {"usernameFragment": "abcd", "password": "p" * 22, **change}
    assert invalid_path("restart_ice", {"transportId": "t", "iceParameters": ice}) == f"data.iceParameters.{path}"


def test_a_frame_of_256_kib_is_read_and_one_byte_more_is_not() -> None:
    raw = frame("ping", {})
    assert decode_request(raw + " " * (limits.MAX_REQUEST_BYTES - len(raw)))
    too_large = raw + " " * (limits.MAX_REQUEST_BYTES - len(raw) + 1)
    assert refusal(too_large).code is ErrorCode.MALFORMED
    assert refusal(too_large.encode()).code is ErrorCode.MALFORMED


def test_the_size_of_a_frame_counts_bytes_not_characters() -> None:
    raw = json.dumps({"id": 1, "type": "ping", "x": "é" * (limits.MAX_REQUEST_BYTES // 2)}, ensure_ascii=False)
    assert len(raw) < limits.MAX_REQUEST_BYTES
    assert refusal(raw).code is ErrorCode.MALFORMED


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_frame_nests_32_deep_and_not_deeper(opening: str, closing: str) -> None:
    levels = limits.MAX_REQUEST_DEPTH - 2  # the envelope and data are two levels
    assert decode_request(frame("message", {"data": None}).replace("null", opening * levels + "1" + closing * levels))
    too_deep = frame("message", {"data": None}).replace("null", opening * (levels + 1) + "1" + closing * (levels + 1))
    assert refusal(too_deep).code is ErrorCode.MALFORMED


@pytest.mark.parametrize(
    "raw", ["[" * 200_000, '{"a":' * 40_000, "[" * 100_000 + "]" * 100_000, '{"id":1,"x":' + "[" * 200_000]
)
def test_very_deep_nesting_is_refused_without_recursion(raw: str) -> None:
    assert refusal(raw).code is ErrorCode.MALFORMED


def test_brackets_inside_texts_do_not_count_as_nesting() -> None:
    text = '[{"\\' * 100
    assert decode_request(frame("message", {"data": text})).data == SendMessage(text)


@pytest.mark.parametrize(
    "raw", ['"\\' * 130_000, '{"a":"' + '\\"' * 130_000, '"' * 262_000, "[],{}" * 50_000, '"a' * 130_000]
)
def test_no_frame_takes_long_to_refuse(raw: str) -> None:
    # Anything quadratic takes minutes with a frame of this size, and so exceeds the time limit of the suite.
    assert refusal(raw).code is ErrorCode.MALFORMED
