"""Encoded media that is sent in a loop."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from protocol.vocabulary import MediaKind
from tools.light.stamp import STAMP_SIZE

#: Clock rates of RTP timestamps, in Hz.
AUDIO_RATE: Final = 48_000
VIDEO_RATE: Final = 90_000
#: Bytes of the VP8 payload descriptor that a sender writes.
DESCRIPTOR_SIZE: Final = 4


@frozen
class MediaFrame:
    """An encoded frame, cut into one chunk for each packet.  A ``key`` frame needs no frame before it."""

    chunks: tuple[bytes, ...]
    key: bool


@frozen
class MediaLoop:
    """Frames to send again and again.

    ``rate`` is in frames a second.  ``clock_rate`` is that of the RTP timestamps, in Hz.
    """

    kind: MediaKind
    rate: int
    clock_rate: int
    frames: tuple[MediaFrame, ...]

    @property
    def bitrate(self) -> float:
        """Bits of encoded media a second."""
        size = sum(len(chunk) for frame in self.frames for chunk in frame.chunks)
        return 8 * size * self.rate / len(self.frames)

    @property
    def packets_per_second(self) -> float:
        return sum(len(frame.chunks) for frame in self.frames) * self.rate / len(self.frames)

    @property
    def payload_size(self) -> int:
        """Bytes behind the RTP header of the first packet: descriptor, media and stamp."""
        return len(self.frames[0].chunks[0]) + _descriptor_size(self.kind) + STAMP_SIZE


def _descriptor_size(kind: MediaKind) -> int:
    return DESCRIPTOR_SIZE if kind == "video" else 0


def constant_loop(kind: MediaKind, rate: int, packets: int, payload_size: int) -> MediaLoop:
    """Return a loop of equal key frames that hold zeros: ``rate`` frames a second of ``packets`` packets each.

    ``payload_size`` counts all bytes after the RTP header of a packet, including descriptor and stamp.
    """
    clock_rate = VIDEO_RATE if kind == "video" else AUDIO_RATE
    chunk = bytes(payload_size - _descriptor_size(kind) - STAMP_SIZE)
    return MediaLoop(kind, rate, clock_rate, (MediaFrame((chunk,) * packets, key=True),))
