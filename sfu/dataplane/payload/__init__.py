"""What the packet path must see inside a payload: where key frames begin, and layers.  Nothing else is looked at."""

from collections.abc import Callable

from sfu.dataplane.payload.frame import Frame
from sfu.dataplane.payload.h264 import inspect_h264_untrusted
from sfu.dataplane.payload.vp8 import inspect_vp8_untrusted, write_picture
from sfu.dataplane.payload.vp9 import inspect_vp9_untrusted

__all__ = ["INSPECTORS", "Frame", "Inspector", "write_picture"]

Inspector = Callable[[bytes, int, bool], Frame]
"""Takes a plain RTP packet, where its payload begins, and whether its timestamp is new; never raises."""

INSPECTORS: dict[str, Inspector] = {
    "video/h264": inspect_h264_untrusted,
    "video/vp8": inspect_vp8_untrusted,
    "video/vp9": inspect_vp9_untrusted,
}
