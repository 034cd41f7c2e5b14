"""The profile in H.264's ``profile-level-id`` (RFC 6184 section 8.1)."""

import enum
import re

from sfu.parameters import CodecParameters


class Profile(enum.Enum):
    """The profiles that WebRTC clients negotiate."""

    CONSTRAINED_BASELINE = enum.auto()
    BASELINE = enum.auto()
    MAIN = enum.auto()
    CONSTRAINED_HIGH = enum.auto()
    HIGH = enum.auto()


# RFC 6184 table 5: profile_idc, a mask for profile-iop, and the value of the masked bits.  Constrained High is from
# annex A.2.4.2 of H.264.  The rows of one profile_idc exclude each other.
_TABLE = (
    (0x42, 0b0100_1111, 0b0100_0000, Profile.CONSTRAINED_BASELINE),
    (0x4D, 0b1000_1111, 0b1000_0000, Profile.CONSTRAINED_BASELINE),
    (0x58, 0b1100_1111, 0b1100_0000, Profile.CONSTRAINED_BASELINE),
    (0x42, 0b0100_1111, 0b0000_0000, Profile.BASELINE),
    (0x58, 0b1100_1111, 0b1000_0000, Profile.BASELINE),
    (0x4D, 0b1010_1111, 0b0000_0000, Profile.MAIN),
    (0x64, 0b1111_1111, 0b0000_1100, Profile.CONSTRAINED_HIGH),
    (0x64, 0b1111_1111, 0b0000_0000, Profile.HIGH),
)

# All WebRTC implementations use this default, not the RFC's (Baseline, level 1).
_DEFAULT = "42e01f"


# The values of level_idc that libwebrtc knows.  It refuses a description with any other.
_LEVELS = frozenset({10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52})
# Parameter sets in base64 (RFC 6184 section 8.1).  No other character is allowed, since it could end a line of SDP.
_PARAMETER_SETS = re.compile(r"[A-Za-z0-9+/]+={0,2}(?:,[A-Za-z0-9+/]+={0,2})*")


def profile_of(parameters: CodecParameters) -> Profile | None:
    """The profile that a codec's parameters name; None for a malformed one or one that WebRTC does not use.

    The level does not count: it limits the sender alone, since every client says ``level-asymmetry-allowed``.
    """
    text = _profile_level_id(parameters)
    if not re.fullmatch("[0-9A-Fa-f]{6}", text):
        return None
    profile_idc, profile_iop, _ = bytes.fromhex(text)
    for idc, mask, value, profile in _TABLE:
        if profile_idc == idc and profile_iop & mask == value:
            return profile
    return None


def sender_parameters(parameters: CodecParameters) -> CodecParameters:
    """The sender's own parameters that receivers need: its profile and level, and its parameter sets.

    A receiver must be able to decode the level (RFC 6184 section 8.2.2).  An unknown level is left out.
    """
    needed: CodecParameters = {}
    text = _profile_level_id(parameters)
    if profile_of(parameters) is not None and int(text[4:], 16) in _LEVELS:
        needed["profile-level-id"] = text.lower()
    sets = parameters.get("sprop-parameter-sets")
    if isinstance(sets, str) and _PARAMETER_SETS.fullmatch(sets):
        needed["sprop-parameter-sets"] = sets
    return needed


def _profile_level_id(parameters: CodecParameters) -> str:
    # Some parsers read 640032 as a number.
    value = parameters.get("profile-level-id", _DEFAULT)
    return str(int(value) if isinstance(value, float) and value.is_integer() else value) or _DEFAULT
