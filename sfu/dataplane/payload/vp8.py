"""The VP8 payload descriptor (RFC 7741 section 4.2)."""

from sfu.dataplane.payload.frame import Frame


def inspect_vp8_untrusted(packet: bytes, at: int, fresh: bool) -> Frame:
    """A frame begins with S = 1 and PID = 0; it is a key frame where the P bit of its header is 0 (section 4.3)."""
    try:
        return _inspect(packet, at)
    except IndexError:
        return Frame()


def _inspect(packet: bytes, at: int) -> Frame:
    first = packet[at]
    at += 1
    frame = Frame(begins=first & 0x17 == 0x10)
    if first & 0x80:
        extended = packet[at]
        at += 1
        if extended & 0x80:
            frame.picture_at = at
            if packet[at] & 0x80:
                frame.picture_bits = 15
                frame.picture = (packet[at] & 0x7F) << 8 | packet[at + 1]
                at += 2
            else:
                frame.picture_bits = 7
                frame.picture = packet[at]
                at += 1
        if extended & 0x40:
            frame.tl0_at = at
            frame.tl0 = packet[at]
            at += 1
        if extended & 0x20:
            frame.temporal = packet[at] >> 6
            frame.sync = bool(packet[at] & 0x20)
        if extended & 0x30:
            at += 1
    frame.key = frame.begins and not packet[at] & 0x01
    return frame


def write_picture(payload: bytearray, at: int, picture: int, bits: int) -> None:
    """Put another picture id in the place of one of 7 or 15 bits."""
    if bits == 15:
        payload[at : at + 2] = (picture & 0x7FFF | 0x8000).to_bytes(2)
    else:
        payload[at] = picture & 0x7F
