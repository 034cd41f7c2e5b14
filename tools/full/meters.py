"""Measures decoded media frame by frame."""

from array import array
from collections.abc import Callable
from typing import Protocol

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from attrs import frozen
from av import AudioFrame, VideoFrame

_PITCH_FRAMES = 25


@frozen
class DecodedAudio:
    """Measurements of a decoded audio stream.

    ``energy`` is that of WebRTC's totalAudioEnergy: squared amplitude (1 is full scale) times seconds, summed up.
    ``pitch`` counts the zero crossings of the last half second, in Hz, so it fits a single tone only.
    """

    frames: int = 0
    energy: float = 0.0
    pitch: float = 0.0


@frozen
class DecodedVideo:
    """Measurements of a decoded video stream.

    ``width`` and ``height`` of the last frame are in pixels.  ``colour`` has the chroma values in the frame's middle.
    """

    frames: int = 0
    width: int = 0
    height: int = 0
    colour: tuple[int, int] = (128, 128)


class Meter(Protocol):
    """Measures one frame after the other."""

    def measure(self, frame: AudioFrame | VideoFrame) -> DecodedAudio | DecodedVideo: ...


class SoundMeter:
    """Measures frames of signed 16-bit samples."""

    def __init__(self) -> None:
        self._frames = 0
        self._energy = 0.0
        self._pitch = 0.0
        self._positive = False
        self._crossings = 0
        self._seconds = 0.0

    def measure(self, frame: AudioFrame) -> DecodedAudio:
        samples = array("h", bytes(frame.planes[0]))[: frame.samples * len(frame.layout.channels)]
        mono = samples[:: len(frame.layout.channels)]
        seconds = frame.samples / frame.sample_rate
        self._frames += 1
        self._energy += sum(sample * sample for sample in mono) / (32768**2 * len(mono)) * seconds
        self._count_crossings(mono, seconds)
        return DecodedAudio(self._frames, self._energy, self._pitch)

    def _count_crossings(self, mono: "array[int]", seconds: float) -> None:
        for sample in mono:
            if (sample > 0) != self._positive:
                self._positive = not self._positive
                self._crossings += 1
        self._seconds += seconds
        if self._frames % _PITCH_FRAMES == 0:
            self._pitch = self._crossings / self._seconds / 2
            self._crossings, self._seconds = 0, 0.0


class PictureMeter:
    """Measures I420 frames."""

    def __init__(self) -> None:
        self._frames = 0

    def measure(self, frame: VideoFrame) -> DecodedVideo:
        self._frames += 1
        _, cb, cr = frame.planes
        middle = cb.height // 2 * cb.line_size + cb.width // 2
        return DecodedVideo(self._frames, frame.width, frame.height, (memoryview(cb)[middle], memoryview(cr)[middle]))


async def watch(track: MediaStreamTrack, tell: Callable[[DecodedAudio | DecodedVideo], object]) -> None:
    """Measure a track to its end.  Call ``tell`` with the measurements after each frame."""
    meter: Meter = SoundMeter() if track.kind == "audio" else PictureMeter()
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        tell(meter.measure(frame))
