"""VP8 in RTP (RFC 7741), as much of it as light clients read."""

from __future__ import annotations

from typing import Final

_EXTENDED: Final = 0x80
_BEGINS: Final = 0x10
_PARTITION: Final = 0x07
_HAS_PICTURE_ID: Final = 0x80
_LONG_PICTURE_ID: Final = 0x80
_HAS_TL0_INDEX: Final = 0x40
_HAS_TEMPORAL_LAYER: Final = 0x20
_HAS_KEY_INDEX: Final = 0x10
_DEPENDS: Final = 0x01


def begins_key_frame_untrusted(payload: bytes) -> bool:
    """Whether a payload has the first bytes of a key frame (RFC 7741 sections 4.2 and 4.3)."""
    if not payload or not payload[0] & _BEGINS or payload[0] & _PARTITION:
        return False
    at = 1
    if payload[0] & _EXTENDED:
        fields = payload[1] if len(payload) > 1 else 0
        at = 2
        if fields & _HAS_PICTURE_ID:
            at += 2 if len(payload) > at and payload[at] & _LONG_PICTURE_ID else 1
        at += bool(fields & _HAS_TL0_INDEX) + bool(fields & (_HAS_TEMPORAL_LAYER | _HAS_KEY_INDEX))
    return len(payload) > at and not payload[at] & _DEPENDS
