"""Media objects are read tolerantly: numbers in any form of JSON, and junk in unused fields."""

import json
from typing import Any

import pytest

from protocol import Produce, decode_request
from protocol.constraints import InvalidValueError
from protocol.media import (
    DtlsParameters,
    RtcpFeedback,
    RtpCapabilities,
    RtpCodecCapability,
    RtpEncodingParameters,
    RtpHeaderExtension,
    RtpParameters,
)
from protocol.structuring import structure

OPUS = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}
SHA_256 = {"algorithm": "sha-256", "value": ":".join(["ab"] * 32)}


def parameters(**change: Any) -> RtpParameters:
    return structure({"codecs": [OPUS], **change}, RtpParameters)


def encoding(**fields: Any) -> RtpEncodingParameters:
    [only] = parameters(encodings=[{"ssrc": 1, **fields}]).encodings
    return only


# The forms of numbers.


def test_an_integer_may_be_written_with_a_fraction_of_zero() -> None:
    read = parameters(
        codecs=[{**OPUS, "payloadType": 111.0, "clockRate": 48000.0, "channels": 2.0, "parameters": {"apt": 96.0}}],
        headerExtensions=[{"uri": "urn:x", "id": 5.0}],
        encodings=[{"ssrc": 5.0, "codecPayloadType": 111.0, "rtx": {"ssrc": 6.0}}],
    )
    [codec], [extension], [only] = read.codecs, read.header_extensions, read.encodings
    assert only.rtx is not None
    numbers = (
        codec.payload_type,
        codec.clock_rate,
        codec.channels,
        codec.parameters["apt"],
        extension.id,
        only.ssrc,
        only.codec_payload_type,
        only.rtx.ssrc,
    )
    assert numbers == (111, 48000, 2, 96, 5, 5, 111, 6)
    assert {type(number) for number in numbers} == {int}


def test_a_whole_number_with_a_fraction_or_an_exponent_is_read_from_a_frame() -> None:
    data = {"transportId": "t", "kind": "audio", "source": "other", "rtpParameters": {"codecs": [OPUS]}}
    plain = json.dumps({"id": 1, "type": "produce", "data": data})
    written = plain.replace("111", "1.11e2").replace("48000", "48000.0")
    assert decode_request(written) == decode_request(plain)
    assert isinstance(decode_request(plain).data, Produce)


@pytest.mark.parametrize("rate", [333333.33, 500000.0, 500000, 0, 0.5])
def test_rates_are_numbers_as_browsers_take_them(rate: float) -> None:
    read = encoding(maxBitrate=rate, maxFramerate=29.97, scaleResolutionDownBy=1.5)
    assert (read.max_bitrate, read.max_framerate, read.scale_resolution_down_by) == (rate, 29.97, 1.5)


@pytest.mark.parametrize("number", [True, "5", 5.5, [5]])
@pytest.mark.parametrize("field", ["ssrc", "codecPayloadType"])
def test_used_fields_must_be_whole_numbers(field: str, number: Any) -> None:
    with pytest.raises(InvalidValueError) as refused:
        encoding(**{field: number})
    assert refused.value.path == ("encodings", 0, field)


# Unused fields.

JUNK = ["yes", 5, -1, 1.5, True, [], {}, {"a": 1}]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("dtx", "dtx"),
        ("active", "active"),
        ("adaptivePtime", "adaptive_ptime"),
        ("priority", "priority"),
        ("networkPriority", "network_priority"),
        ("scalabilityMode", "scalability_mode"),
        ("maxBitrate", "max_bitrate"),
        ("maxFramerate", "max_framerate"),
        ("scaleResolutionDownBy", "scale_resolution_down_by"),
    ],
)
@pytest.mark.parametrize("junk", JUNK)
def test_unused_fields_of_an_encoding_may_hold_anything(name: str, field: str, junk: Any) -> None:
    read = encoding(**{name: junk})
    assert read.ssrc == 1
    assert getattr(read, field) in (None, junk)


@pytest.mark.parametrize("junk", JUNK[1:])
def test_msid_and_rtcp_switches_may_hold_anything(junk: Any) -> None:
    read = parameters(msid=junk, rtcp={"cname": "c", "mux": junk, "reducedSize": junk})
    assert (read.msid, read.rtcp.cname, read.rtcp.mux) == (None, "c", True)


@pytest.mark.parametrize("junk", [5, "nack", None, {}, {"type": 5}, {"type": None}, []])
def test_unreadable_feedback_is_left_out(junk: Any) -> None:
    [codec] = parameters(codecs=[{**OPUS, "rtcpFeedback": [junk, {"type": "nack", "parameter": 5}]}]).codecs
    assert codec.rtcp_feedback == (RtcpFeedback("nack"),)
    [codec] = parameters(codecs=[{**OPUS, "rtcpFeedback": junk}]).codecs
    assert codec.rtcp_feedback == ()


def test_zero_stands_for_an_absent_value_where_clients_write_it() -> None:
    vp8 = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000, "channels": 0}
    read = parameters(codecs=[vp8], encodings=[{"ssrc": 5, "rid": "", "rtx": {"ssrc": 0}, "maxBitrate": 0}])
    assert (read.codecs[0].channels, read.encodings[0].ssrc) == (None, 5)


@pytest.mark.parametrize("junk", JUNK)
def test_parameters_of_a_header_extension_may_hold_anything(junk: Any) -> None:
    [extension] = parameters(headerExtensions=[{"uri": "urn:x", "id": 3, "parameters": junk}]).header_extensions
    assert (extension.uri, extension.id) == ("urn:x", 3)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": None},
        {"kind": "both"},
        {"preferredPayloadType": 300},
        {"preferredPayloadType": "111"},
        {"preferredPayloadType": 64},
        {"channels": "two"},
        {"parameters": {"odd": True, "list": [], "more": {}}},
        {"parameters": "minptime=10"},
        {"rtcpFeedback": "nack"},
    ],
)
def test_unused_fields_of_a_capability_may_hold_anything(change: dict[str, Any]) -> None:
    codec = {"kind": "audio", **{key: value for key, value in OPUS.items() if key != "payloadType"}, **change}
    [read] = structure({"codecs": [codec]}, RtpCapabilities).codecs
    assert (read.mime_type, read.clock_rate, read.parameters) == ("audio/opus", 48000, {})


def test_a_capability_needs_no_kind_and_no_payload_type() -> None:
    [read] = structure({"codecs": [{"mimeType": "video/VP8", "clockRate": 90000}]}, RtpCapabilities).codecs
    assert read == RtpCodecCapability("video/VP8", 90000)


@pytest.mark.parametrize("mime_type", ["application/webrtc-datachannel", "text/t140", "opus", "", "video/a b"])
def test_capabilities_may_name_other_kinds_than_audio_and_video(mime_type: str) -> None:
    assert structure({"codecs": [{"mimeType": mime_type, "clockRate": 0}]}, RtpCapabilities).codecs


@pytest.mark.parametrize(
    "change",
    [
        {"preferredId": 0},
        {"preferredId": 300},
        {"preferredId": None},
        {"direction": "both"},
        {"direction": 5},
        {"kind": "text"},
        {"preferredEncrypt": "no"},
    ],
)
def test_only_the_uri_of_a_receivable_header_extension_counts(change: dict[str, Any]) -> None:
    extension = {"uri": "urn:x", "preferredId": 5, "kind": "audio", **change}
    [read] = structure({"headerExtensions": [extension]}, RtpCapabilities).header_extensions
    assert isinstance(read, RtpHeaderExtension)
    assert (read.uri, read.direction, read.preferred_encrypt) == ("urn:x", "sendrecv", False)


@pytest.mark.parametrize(
    ("capabilities", "path"),
    [
        ({"codecs": [{"clockRate": 90000}]}, ("codecs", 0, "mimeType")),
        ({"codecs": [{"mimeType": "video/VP8"}]}, ("codecs", 0, "clockRate")),
        ({"codecs": [{"mimeType": "m" * 257, "clockRate": 1}]}, ("codecs", 0, "mimeType")),
        (
            {"codecs": [{**OPUS, "parameters": {str(number): number for number in range(65)}}]},
            ("codecs", 0, "parameters"),
        ),
        ({"codecs": [{**OPUS, "parameters": {"a": "x" * 1025}}]}, ("codecs", 0, "parameters", "a")),
        ({"codecs": [{**OPUS, "rtcpFeedback": [{"type": "nack"}] * 33}]}, ("codecs", 0, "rtcpFeedback")),
        ({"codecs": [{**OPUS, "rtcpFeedback": [{"type": "n" * 257}]}]}, ("codecs", 0, "rtcpFeedback", 0, "type")),
        ({"headerExtensions": [{"preferredId": 5}]}, ("headerExtensions", 0, "uri")),
        ({"codecs": [{"mimeType": "video/VP8", "clockRate": 1}] * 129}, ("codecs",)),
        ({"headerExtensions": [{"uri": "u"}] * 65}, ("headerExtensions",)),
        ({"headerExtensions": [5]}, ("headerExtensions", 0)),
    ],
)
def test_capabilities_need_names_and_have_a_limited_size(
    capabilities: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    with pytest.raises(InvalidValueError) as refused:
        structure(capabilities, RtpCapabilities)
    assert refused.value.path == path


# Fingerprints.


@pytest.mark.parametrize("algorithm", ["sha-1", "SHA-224", "md5", "md2", "sha3-256", "x.y_z", "sha-2566"])
@pytest.mark.parametrize("value", [":".join(["ab"] * 20), "", "GG", "no hex", 5, None])
def test_unknown_hash_functions_are_ignored(algorithm: str, value: Any) -> None:
    unknown = {"algorithm": algorithm, "value": value}
    for fingerprints in ([unknown, SHA_256], [SHA_256, unknown], [SHA_256, unknown, SHA_256]):
        assert len(structure({"fingerprints": fingerprints}, DtlsParameters).fingerprints) == len(fingerprints)


@pytest.mark.parametrize(
    ("fingerprints", "path"),
    [
        ([{"algorithm": "sha-1", "value": SHA_256["value"]}], ("fingerprints", 0, "algorithm")),
        ([SHA_256, {"algorithm": "not a token", "value": "ab"}], ("fingerprints", 1, "algorithm")),
        ([SHA_256, {"algorithm": "", "value": "ab"}], ("fingerprints", 1, "algorithm")),
        ([SHA_256, {"algorithm": "a" * 65, "value": "ab"}], ("fingerprints", 1, "algorithm")),
        ([SHA_256, {"algorithm": 5, "value": "ab"}], ("fingerprints", 1, "algorithm")),
        ([SHA_256, {"algorithm": "md5", "value": "a" * 257}], ("fingerprints", 1, "value")),
        ([SHA_256, {**SHA_256, "value": "ab:cd"}], ("fingerprints", 1, "value")),
        ([{**SHA_256, "algorithm": "sha-384"}], ("fingerprints", 0, "value")),
        ([{"algorithm": "sha-256"}], ("fingerprints", 0, "value")),
    ],
)
def test_a_known_hash_function_is_required_in_its_form(
    fingerprints: list[dict[str, Any]], path: tuple[str | int, ...]
) -> None:
    with pytest.raises(InvalidValueError) as refused:
        structure({"fingerprints": fingerprints}, DtlsParameters)
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"apt": 96, "rtx-time": True}, {"apt": 96}),
        ({"apt": 96.0}, {"apt": 96}),
        ({"apt": "96"}, {"apt": "96"}),
        ({"apt": True}, {}),
        ({"apt": "9" * 2000}, {}),
        ({"apt": [96]}, {}),
        ({"rtx-time": 3000}, {}),
        (None, {}),
        ([], {}),
        ("apt=96", {}),
    ],
)
def test_of_the_parameters_of_rtx_only_a_readable_apt_counts(given: Any, read: dict[str, Any]) -> None:
    rtx = {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": given}
    assert parameters(codecs=[OPUS, rtx]).codecs[1].parameters == read
