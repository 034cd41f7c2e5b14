"""Examples of media objects, as a client sends them."""

from typing import Any

OPUS_CODEC = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}
VP8_CODEC = {
    "mimeType": "video/VP8",
    "payloadType": 96,
    "clockRate": 90000,
    "rtcpFeedback": [{"type": "nack", "parameter": "pli"}],
}
CAPABILITIES: dict[str, Any] = {
    "codecs": [
        {"kind": "audio", "preferredPayloadType": 111, **{k: v for k, v in OPUS_CODEC.items() if k != "payloadType"}},
        {"kind": "video", "preferredPayloadType": 96, **{k: v for k, v in VP8_CODEC.items() if k != "payloadType"}},
    ],
    "headerExtensions": [],
}
NOTHING_IN_COMMON: dict[str, Any] = {
    "codecs": [{"kind": "audio", "mimeType": "audio/PCMU", "preferredPayloadType": 0, "clockRate": 8000}]
}
FINGERPRINT = {"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}
ICE_CREDENTIALS = {"usernameFragment": "Anna", "password": "a+password/of22letters0"}
DTLS_PARAMETERS = {"role": "client", "fingerprints": [FINGERPRINT]}


def stream(codec: dict[str, Any], ssrc: int) -> dict[str, Any]:
    """Return the ``rtpParameters`` of a stream with one encoding."""
    return {
        "codecs": [codec],
        "encodings": [{"ssrc": ssrc}],
        "headerExtensions": [],
        "rtcp": {"cname": "ada", "reducedSize": True},
        "mid": str(ssrc),
    }


def opus(ssrc: int = 1001) -> dict[str, Any]:
    """Return the parameters of a microphone."""
    return stream(OPUS_CODEC, ssrc)


def vp8(ssrc: int = 2001) -> dict[str, Any]:
    """Return the parameters of a camera."""
    return stream(VP8_CODEC, ssrc)
