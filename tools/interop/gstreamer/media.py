"""Numbered packets in the form of ``tools/interop/media.py``.  They need no encoder."""

import struct
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
FILLING = bytes(40)
KEY_PICTURE, PICTURE = bytes.fromhex("100200 9d012a 8002 6801"), bytes.fromhex("110200")
PARAMETER_SETS = bytes.fromhex("78 0007 6742e01f8c8d40 0004 68ce3c80")


def numbered(head: bytes, number: int) -> bytes:
    return head + FILLING + struct.pack("!I", number)


def frame(mime_type: str, number: int, picture: int, key: bool) -> list[bytes]:
    """The payloads of one frame."""
    if mime_type == "audio/opus":
        return [numbered(b"\x78", number)]
    if mime_type == "video/VP8":
        picture_id = struct.pack("!BH", 0x80, 0x8000 | picture & 0x7FFF)
        payloads = [numbered(b"\x90" + picture_id + (KEY_PICTURE if key else PICTURE), number)]
        return payloads + [numbered(b"\x80" + picture_id, number + 1)] * key
    if not key:
        return [numbered(b"\x41\x9a", number)]
    sei = numbered(b"\x06\x05\x29", number)
    sets = PARAMETER_SETS + struct.pack("!H", len(sei)) + sei
    return [sets, numbered(b"\x7c\x85\x88", number + 1), numbered(b"\x7c\x45", number + 2)]


def begins_key_frame(mime_type: str, payload: bytes) -> bool:
    if mime_type == "video/VP8":
        if payload[0] & 0x17 != 0x10:
            return False
        at = 1
        if payload[0] & 0x80:
            flags, at = payload[1], 2
            at += (2 if payload[2] & 0x80 else 1) if flags & 0x80 else 0
            at += bool(flags & 0x40) + bool(flags & 0x30)
        return not payload[at] & 1
    if mime_type == "video/H264":
        return payload[0] & 31 == 24
    return False


class Stream:
    """One sent stream with numbered packets, and perhaps with unusual ones."""

    def __init__(
        self, mime_type: str, payload_type: int, ssrc: int, mid_id: int, variation: str, first: int | None
    ) -> None:
        self.mime_type, self.payload_type, self.ssrc = mime_type, payload_type, ssrc
        self.mid_id, self.mid, self.variation = mid_id, "", variation
        self.sequence = ssrc & 0x7FFF if first is None else first
        self.timestamp = ssrc
        self.number = self.frames = self.asked = 0
        self.key_wanted = True

    def packets(self, step: int) -> Iterator[bytes]:
        """The packets of the next frame."""
        key, self.key_wanted = self.key_wanted, False
        payloads = frame(self.mime_type, self.number, self.frames, key)
        for index, payload in enumerate(payloads):
            padding = 1 + self.number % 15 if self.variation == "padding" else 0
            yield self._packet(payload, padding, last=index == len(payloads) - 1)
            self.number += 1
        if self.variation == "probes":
            yield from (self._packet(b"", 200, last=False) for _ in range(2))
        self.frames += 1
        self.timestamp += step

    def _packet(self, payload: bytes, padding: int, last: bool) -> bytes:
        marker = last and self.mime_type.startswith("video")
        header = struct.pack(
            "!BBHII",
            0x90 | bool(padding) << 5,
            marker << 7 | self.payload_type,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
        )
        self.sequence += 1
        end = bytes(padding - 1) + bytes([padding]) if padding else b""
        return header + self._extensions() + payload + end

    def _extensions(self) -> bytes:
        """Header extensions (RFC 8285): the MID, and in the two-byte form another extension before it."""
        mid = self.mid.encode()
        if self.variation == "two_byte":
            profile, block = 0x1000, bytes([20, 20]) + bytes(20) + bytes([self.mid_id, len(mid)]) + mid
        else:
            profile, block = 0xBEDE, bytes([self.mid_id << 4 | len(mid) - 1]) + mid
        block += bytes(-len(block) % 4)
        return struct.pack("!HH", profile, len(block) // 4) + block


class PacketTally:
    """The packets that arrived from one stream."""

    def __init__(self) -> None:
        self.numbers, self.keys, self.first_is_key = [], 0, False

    def take(self, mime_type: str, packet: bytes) -> None:
        start = 12 + 4 * (packet[0] & 15)
        if packet[0] & 0x10:
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        payload = packet[start : len(packet) - (packet[-1] if packet[0] & 0x20 else 0)]
        if len(payload) < 5:
            return
        key = begins_key_frame(mime_type, payload)
        self.first_is_key |= key and not self.numbers
        self.keys += key
        self.numbers.append(int.from_bytes(payload[-4:], "big"))

    def as_json(self) -> Json:
        return {"numbers": self.numbers, "keys": self.keys, "firstIsKey": self.first_is_key}
