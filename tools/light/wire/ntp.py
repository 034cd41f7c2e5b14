"""NTP timestamps of RTCP (RFC 3550 section 4): seconds since 1900 as 32.32 fixed-point numbers.

The caller may count ``seconds`` from any fixed epoch, since receivers use only differences.
"""


def to_ntp(seconds: float) -> int:
    """The 64-bit timestamp of a time in seconds, modulo 2**64."""
    return round(seconds * 2**32) % 2**64


def from_ntp(timestamp: int) -> float:
    """The time in seconds of a 64-bit timestamp."""
    return timestamp / 2**32


def middle(timestamp: int) -> int:
    """The middle 32 bits of a 64-bit timestamp: LSR in reports (RFC 3550 section 6.4.1), in 1/65,536 s."""
    return (timestamp >> 16) & 0xFFFFFFFF


def to_short(seconds: float) -> int:
    """A duration (DLSR) in 1/65,536 s, held within 32 bits."""
    return min(max(round(seconds * 65536), 0), 0xFFFFFFFF)
