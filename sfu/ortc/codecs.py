"""Comparing descriptions of codecs."""

import re
from typing import Final

from sfu.ortc.h264 import profile_of
from sfu.parameters import CodecParameters, RtpCodecCapability, RtpCodecParameters

Codec = RtpCodecCapability | RtpCodecParameters

# They accompany a media codec, and carry no media of their own.
_AUXILIARY: Final = frozenset({"rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"})

# The parameter that names the profile; 0 if it is left out.
_PROFILES: Final = {"vp9": "profile-id", "av1": "profile"}


def split_mime_type(mime_type: str) -> tuple[str, str]:
    """Kind and name in lower case, since case does not count (RFC 4855 section 3)."""
    kind, _, name = mime_type.lower().partition("/")
    return kind, name


def is_red(codec: Codec) -> bool:
    """Whether it wraps another codec and repeats its earlier frames for redundancy (RFC 2198)."""
    return split_mime_type(codec.mime_type)[1] == "red"


def is_rtx(codec: Codec) -> bool:
    """Whether it carries another codec's packets again (RFC 4588)."""
    return split_mime_type(codec.mime_type)[1] == "rtx"


def repeats(codec: Codec) -> int | None:
    """The payload type whose packets an RTX codec carries again, its ``apt`` (RFC 4588 section 8.1)."""
    apt = codec.parameters.get("apt") if is_rtx(codec) else None
    if isinstance(apt, str):
        return int(apt) if re.fullmatch("[0-9]{1,3}", apt) else None
    if isinstance(apt, float):
        return int(apt) if apt.is_integer() else None
    return apt


def is_media(codec: Codec) -> bool:
    """Whether it carries audio or video, rather than retransmissions, redundancy or comfort noise."""
    name = split_mime_type(codec.mime_type)[1]
    return bool(name) and name not in _AUXILIARY


def same_codec(one: Codec, other: Codec) -> bool:
    """Whether both describe the same configuration.

    All codecs must agree in name, clock rate and channels.  H.264 must also agree in profile and packetization mode
    (RFC 6184 section 8.2.2), VP9 and AV1 in profile (RFC 9628 section 6, section 7.2.3 of AV1's RTP payload format).
    """
    return _same_but_for_packetization(one, other) and packetization_mode(one) == packetization_mode(other)


def can_decode(receiver: Codec, sent: Codec) -> bool:
    """Whether a receiver with one codec can decode a stream of the other.

    It can if both are the same codec (:func:`same_codec`).  A receiver of H.264 in packetization mode 1 also decodes
    mode 0, whose single NAL units mode 1 allows as well (RFC 6184 section 6.3).
    """
    return same_codec(receiver, sent) or (
        packetization_mode(sent) == "0"
        and packetization_mode(receiver) == "1"
        and _same_but_for_packetization(receiver, sent)
    )


def packetization_mode(codec: Codec) -> str | None:
    """The packetization mode of H.264 (RFC 6184 section 8.1); None for other codecs."""
    is_h264 = split_mime_type(codec.mime_type) == ("video", "h264")
    return _text("packetization-mode", codec.parameters) if is_h264 else None


def _same_but_for_packetization(one: Codec, other: Codec) -> bool:
    kind, name = split_mime_type(one.mime_type)
    if (kind, name) != split_mime_type(other.mime_type) or one.clock_rate != other.clock_rate:
        return False
    if kind == "audio":
        return _channels(one, name) == _channels(other, name)
    if name == "h264":
        profile = profile_of(one.parameters)
        return profile is not None and profile is profile_of(other.parameters)
    key = _PROFILES.get(name)
    return key is None or _text(key, one.parameters) == _text(key, other.parameters)


def _channels(codec: Codec, name: str) -> int:
    # Opus always counts as two channels (RFC 7587 section 7).
    return (2 if name == "opus" else 1) if codec.channels is None else codec.channels


def _text(key: str, parameters: CodecParameters) -> str:
    # All these parameters default to 0.  Some clients write numbers as text, or as 1.0.
    value = parameters.get(key, 0)
    return str(int(value) if isinstance(value, float) and value.is_integer() else value) or "0"
