"""RTP packets for tests to write and read (RFC 3550 section 5.1)."""

import struct

from attrs import frozen

from sfu.parameters import (
    RtcpFeedback,
    RtpCodecParameters,
    RtpEncodingParameters,
    RtpHeaderExtensionParameters,
    RtpParameters,
)

PLI = RtcpFeedback("nack", "pli")
FIR = RtcpFeedback("ccm", "fir")

#: VP8 payload descriptors (RFC 7741 section 4.2), each with the first byte of a key frame or of another frame.
VP8_KEY_FRAME = bytes([0x10, 0x00]) + bytes(30)
VP8_INTER_FRAME = bytes([0x10, 0x01]) + bytes(30)


@frozen
class Rtp:
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    extension: bytes | None = None

    def __bytes__(self) -> bytes:
        head = struct.pack(
            "!BBHII",
            0x90 if self.extension else 0x80,
            self.marker << 7 | self.payload_type,
            self.sequence,
            self.timestamp,
            self.ssrc,
        )
        block = b""
        if self.extension:
            padded = self.extension + bytes(-len(self.extension) % 4)
            block = struct.pack("!HH", 0xBEDE, len(padded) // 4) + padded
        return head + block + self.payload


def read(packet: bytes) -> Rtp:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
    offset = 12 + 4 * (first & 15)
    extension = None
    if first & 0x10:
        (words,) = struct.unpack_from("!H", packet, offset + 2)
        extension = packet[offset + 4 : offset + 4 + 4 * words]
        offset += 4 + 4 * words
    return Rtp(second & 127, sequence, timestamp, ssrc, packet[offset:], bool(second >> 7), extension)


def vp8(ssrc: int, *feedback: RtcpFeedback, payload_type: int = 96) -> RtpParameters:
    """The parameters of a client that sends VP8."""
    return RtpParameters(
        codecs=(RtpCodecParameters("video/VP8", payload_type, 90000, rtcp_feedback=feedback or (PLI, FIR)),),
        mid="0",
        header_extensions=(RtpHeaderExtensionParameters("urn:ietf:params:rtp-hdrext:sdes:mid", 4),),
        encodings=(RtpEncodingParameters(ssrc=ssrc),),
    )


def opus(ssrc: int, payload_type: int = 111, mid: str | None = None) -> RtpParameters:
    """The parameters of a client that sends Opus with audio levels."""
    return RtpParameters(
        codecs=(RtpCodecParameters("audio/opus", payload_type, 48000, channels=2),),
        mid=mid or f"a{ssrc}",
        header_extensions=(RtpHeaderExtensionParameters("urn:ietf:params:rtp-hdrext:ssrc-audio-level", 1),),
        encodings=(RtpEncodingParameters(ssrc=ssrc),),
    )
