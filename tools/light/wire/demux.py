"""Telling the protocols on one UDP port apart (RFC 7983), and RTP from RTCP (RFC 5761)."""

import enum


class Protocol(enum.Enum):
    STUN = enum.auto()
    DTLS = enum.auto()
    RTP = enum.auto()
    RTCP = enum.auto()
    UNKNOWN = enum.auto()


def _by_first_byte(first: int) -> Protocol:
    """RFC 7983 section 7.  ZRTP, TURN channels and unassigned values are unknown to us."""
    if first <= 3:
        return Protocol.STUN
    if 20 <= first <= 63:
        return Protocol.DTLS
    if 128 <= first <= 191:
        return Protocol.RTP
    return Protocol.UNKNOWN


_FIRST_BYTE = tuple(_by_first_byte(first) for first in range(256))


def classify(datagram: bytes) -> Protocol:
    """The protocol that a datagram's first two bytes claim.  Never raises.

    RTP and RTCP share their first byte.  The second byte of RTCP is its packet type, 192–223.  RTP avoids the payload
    types that would look like it with the marker bit (RFC 5761 section 4).
    """
    if not datagram:
        return Protocol.UNKNOWN
    protocol = _FIRST_BYTE[datagram[0]]
    if protocol is Protocol.RTP and len(datagram) > 1 and 192 <= datagram[1] <= 223:
        return Protocol.RTCP
    return protocol


def is_rtp(first: int, second: int) -> bool:
    """Tell RTP from everything else by the first two bytes of a datagram."""
    return _FIRST_BYTE[first] is Protocol.RTP and not 192 <= second <= 223
