"""Writing RTCP."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tools.light.wire.rtcp import transport_wide
from tools.light.wire.rtcp.packets import (
    APPLICATION,
    CNAME,
    FULL_INTRA,
    GENERIC_NACK,
    GOODBYE,
    MAX_COUNT,
    PAYLOAD_FEEDBACK,
    PICTURE_LOSS,
    RECEIVER_REPORT,
    REMB,
    SENDER_REPORT,
    SOURCE_DESCRIPTION,
    TRANSPORT_FEEDBACK,
    TRANSPORT_WIDE,
    FullIntraRequest,
    FullIntraRequestEntry,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    TransportWideFeedback,
)

#: Greatest size of a compound packet, so that it fits into a datagram on every path.
COMPOUND_SIZE: Final = 1200


def encode(packets: Iterable[RtcpPacket]) -> bytes:
    """A compound packet of these packets, in this order.

    In a full compound the first packet is a report, and an SDES packet follows (RFC 3550 section 6.1).  A reduced-size
    compound may leave them out (RFC 5506).
    Raises ``ValueError`` for a field out of its range.
    """
    try:
        return b"".join(_encode_one(packet) for packet in packets)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a field is out of its range: {error}") from None


def compounds(packets: Iterable[RtcpPacket], size: int = COMPOUND_SIZE) -> Iterator[bytes]:
    """Yield reduced-size compound packets (RFC 5506) that hold these packets in their order.

    Each has at most ``size`` bytes, unless one packet alone has more.
    """
    compound = b""
    for packet in packets:
        encoded = encode([packet])
        if compound and len(compound) + len(encoded) > size:
            yield compound
            compound = b""
        compound += encoded
    if compound:
        yield compound


def receiver_reports(ssrc: int, reports: Sequence[ReportBlock]) -> list[ReceiverReport]:
    """The receiver reports that hold these blocks, 31 in each.  Without blocks, one empty report."""
    starts = range(0, max(len(reports), 1), MAX_COUNT)
    return [ReceiverReport(ssrc, tuple(reports[start : start + MAX_COUNT])) for start in starts]


def _encode_one(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            return _sender_report(packet)
        case ReceiverReport(ssrc, reports):
            return _framed(RECEIVER_REPORT, len(reports), struct.pack("!I", ssrc) + _blocks(reports))
        case SourceDescription(ssrc, cname):
            return _source_description(ssrc, cname.encode())
        case Goodbye(ssrcs):
            return _framed(GOODBYE, len(ssrcs), struct.pack(f"!{len(ssrcs)}I", *ssrcs))
        case Nack(sender_ssrc, media_ssrc, numbers):
            body = struct.pack("!II", sender_ssrc, media_ssrc) + _nack_items(numbers)
            return _framed(TRANSPORT_FEEDBACK, GENERIC_NACK, body)
        case TransportWideFeedback():
            return _framed(TRANSPORT_FEEDBACK, TRANSPORT_WIDE, transport_wide.build(packet))
        case PictureLossIndication(sender_ssrc, media_ssrc):
            return _framed(PAYLOAD_FEEDBACK, PICTURE_LOSS, struct.pack("!II", sender_ssrc, media_ssrc))
        case FullIntraRequest(sender_ssrc, entries):
            return _full_intra_request(sender_ssrc, entries)
        case ReceiverEstimatedMaximumBitrate():
            return _maximum_bitrate(packet)


def _framed(packet_type: int, count: int, body: bytes) -> bytes:
    """Put the common header before a body (RFC 3550 section 6.4.1).  In feedback, ``count`` is the format."""
    if count > MAX_COUNT:
        raise ValueError(f"{count} reports or sources do not fit into one packet")
    return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body


def _sender_report(packet: SenderReport) -> bytes:
    sender = struct.pack("!IQIII", packet.ssrc, packet.ntp, packet.rtp_timestamp, packet.packets, packet.octets)
    return _framed(SENDER_REPORT, len(packet.reports), sender + _blocks(packet.reports))


def _blocks(reports: Sequence[ReportBlock]) -> bytes:
    return b"".join(_block(report) for report in reports)


def _block(report: ReportBlock) -> bytes:
    lost = min(max(report.lost, -(2**23)), 2**23 - 1) & 0xFFFFFF
    return struct.pack(
        "!IB3sIIII",
        report.ssrc,
        report.fraction_lost,
        lost.to_bytes(3, "big"),
        report.highest_sequence,
        report.jitter,
        report.last_sr,
        report.delay_since_last_sr,
    )


def _source_description(ssrc: int, cname: bytes) -> bytes:
    """A packet with one chunk.  The chunk's items end with at least one zero byte (RFC 3550 section 6.5)."""
    chunk = struct.pack("!IBB", ssrc, CNAME, len(cname)) + cname
    return _framed(SOURCE_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))


def _nack_items(numbers: Sequence[int]) -> bytes:
    """Items of 32 bits: a number, and a mask of the sixteen numbers that follow it."""
    items: list[list[int]] = []
    for number in numbers:
        behind = number - items[-1][0] - 1 & 0xFFFF if items else 0xFFFF
        if behind < 16:
            items[-1][1] |= 1 << behind
        else:
            items.append([number, 0])
    return b"".join(struct.pack("!HH", number, mask) for number, mask in items)


def _full_intra_request(sender_ssrc: int, entries: Sequence[FullIntraRequestEntry]) -> bytes:
    """A FIR packet.  Its field for the media SSRC is zero, because the entries name the media (RFC 5104)."""
    body = struct.pack("!II", sender_ssrc, 0)
    body += b"".join(struct.pack("!IB3x", entry.ssrc, entry.sequence) for entry in entries)
    return _framed(PAYLOAD_FEEDBACK, FULL_INTRA, body)


def _maximum_bitrate(packet: ReceiverEstimatedMaximumBitrate) -> bytes:
    """The bitrate as a mantissa of 18 bits and an exponent of 6, rounded down."""
    exponent = max(packet.bitrate.bit_length() - 18, 0)
    head = struct.pack("!II4sB", packet.sender_ssrc, 0, REMB, len(packet.ssrcs))
    bitrate = (exponent << 18 | packet.bitrate >> exponent).to_bytes(3, "big")
    return _framed(PAYLOAD_FEEDBACK, APPLICATION, head + bitrate + struct.pack(f"!{len(packet.ssrcs)}I", *packet.ssrcs))
