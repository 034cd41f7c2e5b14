"""The media objects that the harness's clients send."""

from typing import Any

_CODECS: dict[str, dict[str, Any]] = {
    "audio": {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2},
    "video": {
        "mimeType": "video/VP8",
        "payloadType": 96,
        "clockRate": 90000,
        "rtcpFeedback": [{"type": "nack", "parameter": "pli"}],
    },
}

PAYLOAD_TYPES = {kind: int(codec["payloadType"]) for kind, codec in _CODECS.items()}
CLOCK_RATES = {kind: int(codec["clockRate"]) for kind, codec in _CODECS.items()}


def _capability(kind: str, codec: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in codec.items() if name != "payloadType"}
    return {"kind": kind, "preferredPayloadType": codec["payloadType"], **kept}


CAPABILITIES: dict[str, Any] = {
    "codecs": [_capability(kind, codec) for kind, codec in _CODECS.items()],
    "headerExtensions": [],
}


def media_parameters(kind: str, ssrc: int) -> dict[str, Any]:
    """The ``rtpParameters`` of a stream with one encoding."""
    return {
        "codecs": [_CODECS[kind]],
        "encodings": [{"ssrc": ssrc}],
        "headerExtensions": [],
        "rtcp": {"cname": f"stream-{ssrc}", "reducedSize": True},
        "mid": str(ssrc),
    }
