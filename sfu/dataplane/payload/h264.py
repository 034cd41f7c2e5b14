"""H.264 NAL units in RTP (RFC 6184): single, aggregated by STAP-A, fragmented by FU-A."""

from collections.abc import Iterator

from sfu.dataplane.payload.frame import Frame

_IDR, _SPS = 5, 7
_STAP_A, _FU_A = 24, 28


def inspect_h264_untrusted(packet: bytes, at: int, fresh: bool) -> Frame:
    """A key frame begins at its sequence parameter set, or at an IDR slice that is the first of its picture."""
    try:
        types = set(_nal_unit_types(packet, at))
    except IndexError:
        types = set()
    return Frame(key=_SPS in types or (fresh and _IDR in types), begins=fresh)


def _nal_unit_types(packet: bytes, at: int) -> Iterator[int]:
    """The types of the NAL units that begin in this packet (sections 5.6, 5.7.1 and 5.8)."""
    kind = packet[at] & 0x1F
    if kind == _FU_A:
        if packet[at + 1] & 0x80:
            yield packet[at + 1] & 0x1F
    elif kind == _STAP_A:
        at += 1
        while at < len(packet):
            yield packet[at + 2] & 0x1F
            at += 2 + (packet[at] << 8 | packet[at + 1])
    else:
        yield kind
