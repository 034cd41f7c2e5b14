"""The media that full clients send: a tone with its own pitch, and a moving picture with its own colour."""

import asyncio
import math
from array import array
from fractions import Fraction

from aiortc import MediaStreamTrack
from attrs import frozen
from av import AudioFrame, VideoFrame

SAMPLE_RATE = 48_000
SAMPLES = SAMPLE_RATE // 50
VIDEO_CLOCK_RATE = 90_000


@frozen
class Tone:
    """A sine of ``pitch`` Hz.  ``loudness`` is its peak, 0 to 1.

    Clients send no silence, because a receiver could not tell it from a broken stream.
    """

    pitch: int = 440
    loudness: float = 0.3


@frozen
class MovingPattern:
    """Moving stripes, ``rate`` pictures a second.

    ``colour`` has the chroma values Cb and Cr, from 16 to 240.  Grey is 128 and 128.  ``width`` and ``height`` are even
    numbers of pixels.
    """

    colour: tuple[int, int] = (90, 200)
    width: int = 320
    height: int = 180
    rate: int = 15


class _Paced(MediaStreamTrack):
    """A track whose frames are due at regular times.  A late frame does not delay the frames after it."""

    def __init__(self, interval: float) -> None:
        super().__init__()
        self._interval = interval
        self._began: float | None = None
        self._number = -1

    async def _next(self) -> int:
        """Wait until the next frame is due.  Return its number, counted from 0."""
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        self._number += 1
        await asyncio.sleep(self._began + self._number * self._interval - now)
        return self._number


class ToneTrack(_Paced):
    """A :class:`Tone` in mono, 50 frames a second."""

    kind = "audio"

    def __init__(self, tone: Tone) -> None:
        super().__init__(SAMPLES / SAMPLE_RATE)
        # The pitch is a whole number, so one second holds whole periods.  It repeats without a click.
        peak, step = tone.loudness * 32767, 2 * math.pi * tone.pitch / SAMPLE_RATE
        second = array("h", (round(peak * math.sin(step * index)) for index in range(SAMPLE_RATE)))
        self._second = second.tobytes()

    async def recv(self) -> AudioFrame:
        number = await self._next()
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        start = number % 50 * SAMPLES * 2
        frame.planes[0].update(self._second[start : start + SAMPLES * 2].ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = SAMPLE_RATE
        frame.pts = number * SAMPLES
        frame.time_base = Fraction(1, SAMPLE_RATE)
        return frame


class MovingPatternTrack(_Paced):
    """A :class:`MovingPattern`, in I420."""

    kind = "video"

    def __init__(self, pattern: MovingPattern) -> None:
        super().__init__(1 / pattern.rate)
        self._pattern = pattern
        self._stripes = bytes(60 + 2 * (index % 64) for index in range(2 * pattern.width))

    async def recv(self) -> VideoFrame:
        number = await self._next()
        pattern = self._pattern
        frame = VideoFrame(pattern.width, pattern.height, "yuv420p")
        luma, *chroma = frame.planes
        shift = 2 * number % 64
        line = self._stripes[shift : shift + pattern.width].ljust(luma.line_size, b"\0")
        luma.update(line * luma.height)
        for plane, value in zip(chroma, pattern.colour, strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts = number * VIDEO_CLOCK_RATE // pattern.rate
        frame.time_base = Fraction(1, VIDEO_CLOCK_RATE)
        return frame
