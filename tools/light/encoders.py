"""Opus and VP8 that real encoders made, by way of PyAV, to be sent in a loop.

The loop begins with a key frame.  So it can repeat, and start again when a receiver asks for a key frame.  Sending
encodes nothing.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import av
from av import AudioFrame, VideoFrame

from tools.light.media_loop import AUDIO_RATE, VIDEO_RATE, MediaFrame, MediaLoop

LOOP_SECONDS: Final = 2
AUDIO_FRAMES: Final = 50
AUDIO_BITRATE: Final = 32_000
#: Bytes of encoded media in one packet.  With headers, stamp and SRTP tag, a packet stays below 1,200 bytes.
MAX_CHUNK: Final = 1100
_SAMPLES: Final = AUDIO_RATE // AUDIO_FRAMES
_KEY_FRAME_BIT: Final = 0x01
_STREAK: Final = 48
_LARGER_FROM: Final = 500_000
_SMALL, _LARGE = (320, 180), (640, 360)
#: The encodings of a camera in simulcast, in rising quality: the picture's size, and the divisor of the best bitrate.
_SIMULCAST: Final = (((160, 90), 12), (_SMALL, 4), (_LARGE, 1))


def encode_audio(bitrate: int = AUDIO_BITRATE) -> MediaLoop:
    """Encode a voice-like tone in Opus, 50 frames a second, one in each packet (RFC 7587 section 4.2)."""
    codec = av.CodecContext.create("libopus", "w")
    codec.bit_rate = bitrate
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", AUDIO_RATE
    codec.time_base = Fraction(1, AUDIO_RATE)
    codec.options = {"application": "voip", "frame_duration": "20", "vbr": "off"}
    frames = [MediaFrame((bytes(packet),), key=True) for frame in _sounds() for packet in codec.encode(frame)]
    return MediaLoop("audio", AUDIO_FRAMES, AUDIO_RATE, tuple(frames))


def _sounds() -> Iterator[AudioFrame]:
    """Yield a harmonic tone that swells four times a second, as syllables do."""
    for number in range(LOOP_SECONDS * AUDIO_FRAMES):
        frame = AudioFrame(format="s16", layout="mono", samples=_SAMPLES)
        times = [(number * _SAMPLES + index) / AUDIO_RATE for index in range(_SAMPLES)]
        samples = array("h", (round(8000 * _loudness(time) * _voice(time)) for time in times))
        frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = AUDIO_RATE
        frame.pts, frame.time_base = number * _SAMPLES, Fraction(1, AUDIO_RATE)
        yield frame


def _loudness(time: float) -> float:
    return 0.55 + 0.45 * math.sin(2 * math.pi * 4 * time)


def _voice(time: float) -> float:
    return sum(math.sin(2 * math.pi * 150 * harmonic * time) / harmonic for harmonic in (1, 2, 3, 5))


def encode_simulcast(bitrate: int, rate: int) -> tuple[MediaLoop, ...]:
    """Encode the picture of :func:`encode_video` in three sizes, in rising quality.

    ``bitrate`` is that of the largest one.  The smaller ones have a quarter and a twelfth of it.
    """
    return tuple(encode_video(bitrate // divisor, rate, size) for size, divisor in _SIMULCAST)


def encode_video(bitrate: int, rate: int, size: tuple[int, int] | None = None) -> MediaLoop:
    """Encode a moving, noisy picture in VP8; ``bitrate`` in bit/s, ``rate`` in frames a second.

    The noise makes the encoder use the whole bitrate.  Between 100 kbit/s and 4 Mbit/s the result,
    :attr:`MediaLoop.bitrate`, is within a quarter of ``bitrate``.  Without a ``size``, the bitrate decides it.
    """
    width, height = size or (_SMALL if bitrate < _LARGER_FROM else _LARGE)
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.bit_rate = bitrate
    codec.framerate, codec.time_base = Fraction(rate), Fraction(1, rate)
    codec.gop_size = 10 * LOOP_SECONDS * rate  # only the first frame is a key frame
    codec.qmin, codec.qmax = 2, 60
    codec.options = {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        "bufsize": str(bitrate // 2),
    }
    frames = []
    for picture in _pictures(rate, width, height, streaks=bitrate // rate // 8 // _STREAK):
        for packet in codec.encode(picture):
            frames.append(_cut(bytes(packet)))
    return MediaLoop("video", rate, VIDEO_RATE, tuple(frames))


def _pictures(rate: int, width: int, height: int, *, streaks: int) -> Iterator[VideoFrame]:
    noise = random.Random(1)
    for number in range(LOOP_SECONDS * rate):
        frame = VideoFrame(width, height, "yuv420p")
        luma, *chroma = frame.planes
        line = bytes(16 + (3 * (column + 4 * number)) % 200 for column in range(luma.line_size))
        picture = bytearray(line * luma.height)
        for _ in range(streaks):
            at = noise.randrange(len(picture) - _STREAK)
            picture[at : at + _STREAK] = noise.randbytes(_STREAK)
        luma.update(bytes(picture))
        for plane, value in zip(chroma, (90, 200), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = number, Fraction(1, rate)
        yield frame


def _cut(data: bytes) -> MediaFrame:
    # RFC 6386 section 9.1: the lowest bit of a frame is 0 in key frames.
    chunks = tuple(data[at : at + MAX_CHUNK] for at in range(0, len(data), MAX_CHUNK))
    return MediaFrame(chunks, key=not data[0] & _KEY_FRAME_BIT)
