"""Retransmissions in a stream of their own (RTX, RFC 4588), as a sender makes them and a receiver reads them."""

from __future__ import annotations

from typing import Final

from attrs import define, frozen

from tools.light.wire import rtp
from tools.light.wire.errors import BadPacket

#: Seconds of packets that a sender keeps.
HISTORY_SECONDS: Final = 1.0
_FEWEST, _MOST = 64, 1024
_NUMBER_SIZE: Final = 2


def rtx_ssrc(ssrc: int) -> int:
    """Return the SSRC of the retransmissions of a light client's stream."""
    return ssrc ^ 0x8000_0000 or 0xFFFF_FFFF


class PacketHistory:
    """The newest packets of a sent stream, by sequence number."""

    def __init__(self, packets_per_second: float) -> None:
        wanted = max(_FEWEST, min(_MOST, round(packets_per_second * HISTORY_SECONDS)))
        size = 1 << (wanted - 1).bit_length()
        self.mask = size - 1
        #: At place ``number & mask`` the newest packet with such a number.
        self.packets: list[bytes | None] = [None] * size

    def get(self, number: int) -> bytes | None:
        """Return the packet with this 16-bit sequence number, or None if it is not kept."""
        packet = self.packets[number & self.mask]
        return packet if packet is not None and packet[2:4] == number.to_bytes(2) else None


@define
class RtxSender:
    """Makes the retransmissions of one stream.

    ``extensions`` are header extensions of each packet, for example MID and repaired RID (RFC 8852).
    """

    ssrc: int
    payload_type: int
    sequence: int
    extensions: rtp.Extensions = ()

    def wrap(self, packet: bytes) -> bytes:
        """Return the retransmission of a packet that this client made (RFC 4588 section 4).  It has no padding."""
        header = rtp.parse_header_untrusted(packet)
        end = len(packet) - rtp.padding_size_untrusted(packet, header)
        number = self.sequence & 0xFFFF
        self.sequence += 1
        return rtp.encode(
            payload_type=self.payload_type,
            sequence_number=number,
            timestamp=header.timestamp,
            ssrc=self.ssrc,
            payload=header.sequence_number.to_bytes(_NUMBER_SIZE) + packet[header.size : end],
            marker=header.marker,
            extensions=self.extensions,
        )


@frozen
class Retransmission:
    """A retransmission: the sequence number of the packet that it repeats, and its payload without padding."""

    number: int
    payload: bytes


def read_retransmission_untrusted(packet: bytes) -> Retransmission | None:
    """Read a decrypted packet of an RTX stream.  Return None if it repeats nothing: such packets probe the network."""
    try:
        header = rtp.parse_header_untrusted(packet)
        end = len(packet) - rtp.padding_size_untrusted(packet, header)
    except BadPacket:
        return None
    if end - header.size < _NUMBER_SIZE:
        return None
    start = header.size + _NUMBER_SIZE
    return Retransmission(int.from_bytes(packet[header.size : start]), packet[start:end])
