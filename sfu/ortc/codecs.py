"""Whether two descriptions of a codec mean the same bits on the wire."""

from typing import Final

from sfu.ortc.h264 import profile_of
from sfu.parameters import CodecParameters, RtpCodecCapability, RtpCodecParameters

Codec = RtpCodecCapability | RtpCodecParameters

# They travel beside a media codec and carry none of their own.
_AUXILIARY: Final = frozenset({"rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"})


def split_mime_type(mime_type: str) -> tuple[str, str]:
    """Kind and name, in lower case (RFC 4855 section 3: they are compared without case)."""
    kind, _, name = mime_type.lower().partition("/")
    return kind, name


def is_rtx(codec: Codec) -> bool:
    """Whether this is the retransmission format of another codec (RFC 4588)."""
    return split_mime_type(codec.mime_type)[1] == "rtx"


def is_media(codec: Codec) -> bool:
    """Whether it carries audio or video itself, rather than retransmission, redundancy or comfort noise."""
    return split_mime_type(codec.mime_type)[1] not in _AUXILIARY


def same_codec(one: Codec, other: Codec) -> bool:
    """Whether what is encoded as one can be decoded as the other.

    H.264 must agree in profile and packetization mode (RFC 6184 section 8.2.2), VP9 in profile (RFC 9628
    section 6), the others in name, clock rate and channels alone.
    """
    kind, name = split_mime_type(one.mime_type)
    if (kind, name) != split_mime_type(other.mime_type) or one.clock_rate != other.clock_rate:
        return False
    if kind == "audio":
        return (one.channels or 1) == (other.channels or 1)
    if name == "h264":
        profile = profile_of(one.parameters)
        return (
            profile is not None
            and profile is profile_of(other.parameters)
            and _agree("packetization-mode", one.parameters, other.parameters)
        )
    return name != "vp9" or _agree("profile-id", one.parameters, other.parameters)


def _agree(key: str, one: CodecParameters, other: CodecParameters) -> bool:
    # Both default to 0; some clients write numbers as text.
    return str(one.get(key, 0)) == str(other.get(key, 0))
