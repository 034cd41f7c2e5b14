"""The VP9 payload descriptor (RFC 9628 section 4.2)."""

from sfu.dataplane.payload.frame import Frame


def inspect_vp9_untrusted(packet: bytes, at: int, fresh: bool) -> Frame:
    """A key picture begins with B = 1 in its lowest spatial layer and is not predicted from others (P = 0).

    All spatial layers are treated alike.
    """
    try:
        return _inspect(packet, at)
    except IndexError:
        return Frame()


def _inspect(packet: bytes, at: int) -> Frame:
    first = packet[at]
    at += 1
    if first & 0x80:
        at += 2 if packet[at] & 0x80 else 1
    if not first & 0x20:
        begins = bool(first & 0x08)
        return Frame(key=begins and not first & 0x40, begins=begins)
    layers = packet[at]
    begins = bool(first & 0x08) and not layers & 0x0E
    return Frame(
        key=begins and not first & 0x40,
        begins=begins,
        temporal=layers >> 5,
        switch_up=bool(layers & 0x10),
    )
