"""Contradictory parameters are refused, with the path of the field on the wire."""

from typing import Any

import pytest
from attrs import evolve

from sfu.capabilities import MID_URI, RID_URI
from sfu.errors import InvalidParameters
from sfu.parameters import (
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpRtxParameters,
)
from tests.ortc.plans import accept
from tests.ortc.recorded import CHROMIUM

CAMERA = CHROMIUM.produced["vp8"]
SIMULCAST = CHROMIUM.produced["vp8Simulcast"]
VP8 = CAMERA.codecs[0]
Encoding = RtpEncodingParameters
Extension = RtpHeaderExtensionParameters
RTX = RtpCodecParameters("video/rtx", 97, 90000)
RED = RtpCodecParameters("video/red", 98, 90000)


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("codecs", {"codecs": ()}),
        ("codecs", {"codecs": (RtpCodecParameters("video/ulpfec", 98, 90000),)}),
        ("codecs[1].payloadType", {"codecs": (VP8, evolve(VP8, mime_type="video/VP9"))}),
        ("codecs[0].payloadType", {"codecs": (evolve(VP8, payload_type=72),)}),
        ("codecs[0].mimeType", {"codecs": (evolve(VP8, mime_type="audio/opus"),)}),
        ("codecs", {"codecs": (evolve(VP8, mime_type="video"),)}),
        ("codecs[1].payloadType", {"codecs": (VP8, evolve(RTX, payload_type=96))}),
        ("codecs[1].payloadType", {"codecs": (evolve(RTX, payload_type=96), VP8)}),
        ("codecs[1].payloadType", {"codecs": (VP8, RtpCodecParameters("video/red", 80, 90000))}),
        ("codecs[2].payloadType", {"codecs": (VP8, RED, evolve(RTX, payload_type=98))}),
        ("headerExtensions[1].id", {"header_extensions": (Extension(MID_URI, 3), Extension("urn:b", 3))}),
        ("headerExtensions[1].id", {"header_extensions": (Extension("urn:b", 3, encrypt=True), Extension(MID_URI, 3))}),
        ("encodings[1].ssrc", {"encodings": (Encoding(5), Encoding(5))}),
        ("encodings[0].rtx.ssrc", {"encodings": (Encoding(5, rtx=RtpRtxParameters(5)),)}),
        ("encodings[0].rtx.ssrc", {"encodings": (Encoding(5, rtx=RtpRtxParameters(6)), Encoding(6))}),
        ("encodings[1]", {"encodings": (Encoding(5), Encoding())}),
        ("encodings[1].rid", {"encodings": (Encoding(5, "a"), Encoding(6, "a"))}),
        ("encodings[0].rid", {"encodings": (Encoding(None, "a b"),)}),
        ("encodings[0].rid", {"encodings": (Encoding(None, "a" * 256),)}),
        ("encodings[1].codecPayloadType", {"encodings": (Encoding(5), Encoding(6, codec_payload_type=99))}),
        (
            "encodings[0].codecPayloadType",
            {
                "codecs": (VP8, evolve(RTX, parameters={"apt": 96})),
                "encodings": (Encoding(5, codec_payload_type=97),),
            },
        ),
        ("encodings[0]", {"mid": "", "encodings": ()}),
        ("mid", {"mid": "m" * 256, "encodings": (Encoding(),)}),
        ("mid", {"mid": "mittelstück", "encodings": (Encoding(),)}),
    ],
)
def test_a_contradiction_is_refused_with_its_path(path: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        accept(evolve(CAMERA, **changes))
    assert refusal.value.path == path


def test_an_encoding_without_ssrc_and_rid_needs_a_mid_and_its_extension() -> None:
    nameless = evolve(SIMULCAST, encodings=(Encoding(),))
    only_rid = tuple(extension for extension in SIMULCAST.header_extensions if extension.uri != MID_URI)
    for parameters in (evolve(nameless, mid=None), evolve(nameless, header_extensions=only_rid)):
        with pytest.raises(InvalidParameters) as refusal:
            accept(parameters)
        assert refusal.value.path == "encodings[0]"


def test_a_rid_without_ssrc_needs_its_extension() -> None:
    only_mid = tuple(extension for extension in SIMULCAST.header_extensions if extension.uri != RID_URI)
    first, *others = SIMULCAST.encodings
    with pytest.raises(InvalidParameters) as refusal:
        accept(evolve(SIMULCAST, header_extensions=only_mid, encodings=(evolve(first, ssrc=5), *others)))
    assert refusal.value.path == "encodings[1]"
