"""Synthetic media with numbered packets, and counts of the packets that arrived.

Each payload ends with its number in four bytes.  Nobody decodes the payloads.  The parts that the gateway reads are as
in real streams: VP8's payload descriptor, and the types of H264's NAL units.  All programs make and read the same form.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import attrs
from attrs import define, field

import protocol.media as media
from protocol.vocabulary import MediaKind
from tools.light.wire.errors import BadPacket
from tools.light.wire.rtp import RtpHeader, padding_size_untrusted, parse_header_untrusted

OPUS: Final = media.RtpCodecParameters("audio/opus", 111, 48000, channels=2)
_FEEDBACK: Final = (media.RtcpFeedback("nack", "pli"), media.RtcpFeedback("ccm", "fir"))
VIDEO: Final = {
    "video/VP8": media.RtpCodecParameters("video/VP8", 96, 90000, rtcp_feedback=_FEEDBACK),
    "video/H264": media.RtpCodecParameters(
        "video/H264",
        105,
        90000,
        parameters={"packetization-mode": 1, "level-asymmetry-allowed": 1, "profile-level-id": "42e01f"},
        rtcp_feedback=_FEEDBACK,
    ),
}
_FILLING: Final = bytes(40)
_NUMBER: Final = struct.Struct("!I")
_SMALLEST: Final = 5
# A STAP-A with SPS and PPS.  The number follows in an SEI message (RFC 6184, section 5.7.1).
_PARAMETER_SETS: Final = bytes.fromhex("78 0007 6742e01f8c8d40 0004 68ce3c80")
_KEY_PICTURE: Final = bytes.fromhex("100200 9d012a 8002 6801")
_PICTURE: Final = bytes.fromhex("110200")


def opus_frame(number: int) -> list[bytes]:
    return [_numbered(b"\x78", number)]


def video_frame(mime_type: str, number: int, picture: int, *, key: bool) -> list[bytes]:
    """The payloads of one video frame, numbered from ``number`` on.  A key frame has several."""
    if mime_type == "video/VP8":
        picture_id = struct.pack("!BH", 0x80, 0x8000 | picture & 0x7FFF)
        first = b"\x90" + picture_id + (_KEY_PICTURE if key else _PICTURE)
        payloads = [_numbered(first, number)]
        return [*payloads, _numbered(b"\x80" + picture_id, number + 1)] if key else payloads
    if not key:
        return [_numbered(b"\x41\x9a", number)]
    sei = _numbered(b"\x06\x05\x29", number)
    return [
        _PARAMETER_SETS + struct.pack("!H", len(sei)) + sei,
        _numbered(b"\x7c\x85\x88", number + 1),
        _numbered(b"\x7c\x45", number + 2),
    ]


def _numbered(head: bytes, number: int) -> bytes:
    return head + _FILLING + _NUMBER.pack(number & 0xFFFFFFFF)


def begins_key_frame(mime_type: str, payload: bytes) -> bool:
    """Whether a payload is the first of a key frame.  The payload must not be empty."""
    if mime_type == "video/VP8":
        return payload[0] & 0x17 == 0x10 and not payload[_vp8_descriptor_size(payload)] & 1
    if mime_type == "video/H264":
        return payload[0] & 0x1F in (7, 24)  # the parameter sets come first
    return False


def _vp8_descriptor_size(payload: bytes) -> int:
    """The size of VP8's payload descriptor (RFC 7741, section 4.2)."""
    if not payload[0] & 0x80:
        return 1
    flags = payload[1]
    size = 2
    if flags & 0x80:
        size += 2 if payload[size] & 0x80 else 1
    return size + bool(flags & 0x40) + bool(flags & 0x30)


@define
class PacketTally:
    """The packets that arrived from one stream.

    ``numbers`` are their numbers in the order of arrival.  ``holes`` is how many sequence numbers are missing between
    the lowest and the highest.
    """

    mime_type: str
    numbers: list[int] = field(factory=list)
    keys: int = 0
    first_is_key: bool = False
    _sequences: set[int] = field(factory=set)
    _newest: int | None = None

    def take_untrusted(self, packet: bytes) -> RtpHeader | None:
        """Count a decrypted packet.  Returns its header, or None if it is no media packet or only padding."""
        try:
            header = parse_header_untrusted(packet)
            payload = packet[header.size : len(packet) - padding_size_untrusted(packet, header)]
        except BadPacket:
            return None
        self._count(header.sequence_number)
        if len(payload) < _SMALLEST:
            return None
        key = begins_key_frame(self.mime_type, payload)
        self.first_is_key |= key and not self.numbers
        self.keys += key
        self.numbers.append(_NUMBER.unpack(payload[-4:])[0])
        return header

    def _count(self, sequence: int) -> None:
        newest = sequence if self._newest is None else self._newest
        extended = newest + ((sequence - newest + 0x8000) & 0xFFFF) - 0x8000
        self._newest = max(newest, extended)
        self._sequences.add(extended)

    @property
    def holes(self) -> int:
        if not self._sequences:
            return 0
        return max(self._sequences) - min(self._sequences) + 1 - len(self._sequences)


@attrs.frozen
class Comparison:
    """Compares one sent stream with the numbers that arrived, of which ``may_miss`` may be missing."""

    kind: MediaKind
    sent: int
    numbers: Sequence[int]
    may_miss: int = 0

    def problems(self) -> list[str]:
        """The problems in words.  Packets before the first one that arrived do not count."""
        if not self.numbers:
            return [f"no {self.kind} arrived"]
        first, arrived = min(self.numbers), set(self.numbers)
        expected = self.sent - first
        found = []
        if (missing := expected - len(arrived)) > self.may_miss:
            found.append(f"{missing} of {expected} {self.kind} packets were lost")
        if repeated := len(self.numbers) - len(arrived):
            found.append(f"{repeated} {self.kind} packets came twice")
        return found
