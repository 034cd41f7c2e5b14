"""The browsers' own statistics (W3C webrtc-stats) at two moments, and what happened between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

#: A gap between two frames above this counts as a freeze.  Browsers use the mean of the last gaps plus 150 ms.
FREEZE_SECONDS: Final = 0.2

Entry = Mapping[str, Any]


@frozen
class Reading:
    """Statistics of a page at one moment: all entries, and for how many seconds no frame has been decoded (``still``).

    ``gap`` is the longest time between two frames since the last reading, in seconds.
    """

    at: float
    still: float
    gap: float
    entries: Sequence[Entry]

    def total(self, kind: str, name: str, type: str = "inbound-rtp") -> float:  # noqa: A002 - the field's own word
        """The sum of a counter over all streams of one kind."""
        return sum(float(entry.get(name, 0)) for entry in self.of(kind, type))

    def of(self, kind: str, type: str = "inbound-rtp") -> list[Entry]:  # noqa: A002
        return [entry for entry in self.entries if (entry["type"], entry.get("kind")) == (type, kind)]


@frozen
class Figures:
    """What the receiver saw and heard, and what both browsers did for it.  Times are in seconds, rates per second.

    ``concealed`` is the share of the sound that the receiver made up, ``silent`` the part of it that was silence.
    ``frozen`` is None if the browser does not measure freezes.  ``sent_frames`` are those of the sender's encoder: if
    they are too few, the machine was too slow for the bench.
    """

    seconds: float
    frames: float
    frozen: float
    freezes: float
    longest_gap: float
    concealed: float
    silent: float
    video_delay: float
    audio_delay: float
    video_rate: float
    audio_rate: float
    video_lost: float
    audio_lost: float
    nacks: float
    plis: float
    repaired: float
    key_frames: float
    sent_frames: float
    sent_nacks: float
    sent_plis: float
    resent: float
    sent_rate: float
    size: str

    @classmethod
    def between(cls, receiver: tuple[Reading, Reading], sender: tuple[Reading, Reading]) -> Figures:
        """The figures between two readings of each browser."""
        before, after = receiver
        seconds = after.at - before.at
        sent_seconds = sender[1].at - sender[0].at

        def got(kind: str, name: str) -> float:
            return after.total(kind, name) - before.total(kind, name)

        def sent(kind: str, name: str) -> float:
            return sender[1].total(kind, name, "outbound-rtp") - sender[0].total(kind, name, "outbound-rtp")

        frozen_now = after.still if after.still > FREEZE_SECONDS else 0.0
        samples = got("audio", "totalSamplesReceived")
        return cls(
            seconds=seconds,
            frames=got("video", "framesDecoded") / seconds,
            frozen=min(seconds, got("video", "totalFreezesDuration") + min(frozen_now, seconds)),
            freezes=got("video", "freezeCount") + bool(frozen_now),
            longest_gap=after.gap,
            concealed=_ratio(got("audio", "concealedSamples"), samples),
            silent=_ratio(got("audio", "silentConcealedSamples"), samples),
            video_delay=_ratio(got("video", "jitterBufferDelay"), got("video", "jitterBufferEmittedCount")),
            audio_delay=_ratio(got("audio", "jitterBufferDelay"), got("audio", "jitterBufferEmittedCount")),
            video_rate=8 * got("video", "bytesReceived") / seconds,
            audio_rate=8 * got("audio", "bytesReceived") / seconds,
            video_lost=got("video", "packetsLost"),
            audio_lost=got("audio", "packetsLost"),
            nacks=got("video", "nackCount"),
            plis=got("video", "pliCount"),
            repaired=got("video", "retransmittedPacketsReceived"),
            key_frames=got("video", "keyFramesDecoded"),
            sent_frames=sent("video", "framesEncoded") / sent_seconds,
            sent_nacks=sent("video", "nackCount"),
            sent_plis=sent("video", "pliCount"),
            resent=sent("video", "retransmittedPacketsSent"),
            sent_rate=8 * sent("video", "bytesSent") / sent_seconds,
            size=", ".join(
                f"{entry.get('frameWidth', '?')}×{entry.get('frameHeight', '?')}" for entry in after.of("video")
            ),
        )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
