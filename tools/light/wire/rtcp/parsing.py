"""Reading RTCP from the network."""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tools.light.wire.errors import BadPacket
from tools.light.wire.rtcp import transport_wide
from tools.light.wire.rtcp.packets import (
    APPLICATION,
    CNAME,
    FULL_INTRA,
    GENERIC_NACK,
    GOODBYE,
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
)

_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IB3sIIII")
_SSRC = struct.Struct("!I")
_FEEDBACK = struct.Struct("!II")
_NACK_ITEM = struct.Struct("!HH")
_FULL_INTRA_ENTRY = struct.Struct("!IB3x")
_REMB_HEAD = struct.Struct("!4sB3s")


def parse_untrusted(packet: bytes, faults: list[BadPacket] | None = None) -> list[RtcpPacket]:
    """The packets of a compound packet, in order, without packets of unknown types.

    Reduced-size compounds (RFC 5506) are read as well.  A packet with a wrong count or padding is left out.  From a
    packet with a wrong length on, everything is left out.  ``faults`` gets each error.  Without it, this raises the
    first one, a ``BadPacket``.
    """
    packets: list[RtcpPacket] = []
    found: list[BadPacket] = []
    try:
        for packet_type, first, body in _bodies_untrusted(packet):
            try:
                packets += _parse_one_untrusted(packet_type, first, body)
            except BadPacket as fault:
                found.append(fault)
    except BadPacket as fault:
        found.append(fault)
    if found and faults is None:
        raise found[0]
    if faults is not None:
        faults += found
    return packets


def _parse_one_untrusted(packet_type: int, first: int, body: bytes) -> list[RtcpPacket]:
    if first & 0x20:
        body = _without_padding_untrusted(body)
    parse = _PARSERS.get(packet_type)
    if parse is None:
        return []
    try:
        return parse(body, first & 0x1F)
    except struct.error as error:
        raise BadPacket("an RTCP packet is shorter than its count says") from error


def _bodies_untrusted(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, first byte and body of each packet (RFC 3550 section 6.4.1)."""
    if not packet:
        raise BadPacket("an RTCP datagram without bytes")
    position = 0
    while position < len(packet):
        if len(packet) - position < _HEADER.size:
            raise BadPacket("an RTCP packet is shorter than its header")
        first, packet_type, words = _HEADER.unpack_from(packet, position)
        end = position + _HEADER.size + 4 * words
        if first >> 6 != 2:
            raise BadPacket("an RTCP packet is not of version 2")
        if end > len(packet):
            raise BadPacket("an RTCP packet is cut off")
        yield packet_type, first, packet[position + _HEADER.size : end]
        position = end


def _without_padding_untrusted(body: bytes) -> bytes:
    padding = body[-1] if body else 0
    if not 0 < padding <= len(body):
        raise BadPacket("an RTCP packet has a wrong size of padding")
    return body[:-padding]


def _sender_report(body: bytes, count: int) -> list[RtcpPacket]:
    ssrc, ntp, rtp_timestamp, packets, octets = _SENDER.unpack_from(body)
    return [SenderReport(ssrc, ntp, rtp_timestamp, packets, octets, _blocks(body, _SENDER.size, count))]


def _receiver_report(body: bytes, count: int) -> list[RtcpPacket]:
    (ssrc,) = _SSRC.unpack_from(body)
    return [ReceiverReport(ssrc, _blocks(body, _SSRC.size, count))]


def _blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    return tuple(_block(body, start + index * _BLOCK.size) for index in range(count))


def _block(body: bytes, position: int) -> ReportBlock:
    ssrc, fraction, lost, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, position)
    return ReportBlock(ssrc, fraction, int.from_bytes(lost, "big", signed=True), highest, jitter, last_sr, delay)


def _source_descriptions(body: bytes, count: int) -> list[RtcpPacket]:
    """The CNAMEs of the chunks (RFC 3550 section 6.5)."""
    descriptions: list[RtcpPacket] = []
    position = 0
    for _ in range(count):
        (ssrc,) = _SSRC.unpack_from(body, position)
        position += _SSRC.size
        while (item := _byte(body, position)) != 0:
            length = _byte(body, position + 1)
            value = body[position + 2 : position + 2 + length]
            position += 2 + length
            if item == CNAME:
                descriptions.append(SourceDescription(ssrc, _text(value)))
        position += 4 - position % 4
    if position > len(body):
        raise BadPacket("the items of a source description do not fit into their packet")
    return descriptions


def _byte(body: bytes, position: int) -> int:
    if position >= len(body):
        raise BadPacket("the items of a source description have no end")
    return body[position]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadPacket("a CNAME is not UTF-8") from error


def _goodbye(body: bytes, count: int) -> list[RtcpPacket]:
    return [Goodbye(struct.unpack_from(f"!{count}I", body))]


def _transport_feedback(body: bytes, form: int) -> list[RtcpPacket]:
    sender_ssrc, media_ssrc = _FEEDBACK.unpack_from(body)
    items = body[_FEEDBACK.size :]
    if form == TRANSPORT_WIDE:
        return [transport_wide.parse_untrusted(body)]
    if form != GENERIC_NACK:
        return []
    if not items or len(items) % _NACK_ITEM.size:
        raise BadPacket("a NACK has no item, or an incomplete one")
    numbers: list[int] = []
    for number, mask in _NACK_ITEM.iter_unpack(items):
        numbers.append(number)
        numbers += [number + 1 + bit & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return [Nack(sender_ssrc, media_ssrc, tuple(numbers))]


def _payload_feedback(body: bytes, form: int) -> list[RtcpPacket]:
    sender_ssrc, media_ssrc = _FEEDBACK.unpack_from(body)
    control = body[_FEEDBACK.size :]
    if form == PICTURE_LOSS:
        return [PictureLossIndication(sender_ssrc, media_ssrc)]
    if form == FULL_INTRA:
        return [_full_intra_request(sender_ssrc, control)]
    if form == APPLICATION and control.startswith(REMB):
        return [_maximum_bitrate(sender_ssrc, control)]
    return []


def _full_intra_request(sender_ssrc: int, control: bytes) -> FullIntraRequest:
    if not control or len(control) % _FULL_INTRA_ENTRY.size:
        raise BadPacket("a full intra request has no entry, or an incomplete one")
    entries = (FullIntraRequestEntry(ssrc, number) for ssrc, number in _FULL_INTRA_ENTRY.iter_unpack(control))
    return FullIntraRequest(sender_ssrc, tuple(entries))


def _maximum_bitrate(sender_ssrc: int, control: bytes) -> ReceiverEstimatedMaximumBitrate:
    _, count, bitrate = _REMB_HEAD.unpack_from(control)
    value = int.from_bytes(bitrate, "big")
    ssrcs = struct.unpack_from(f"!{count}I", control, _REMB_HEAD.size)
    return ReceiverEstimatedMaximumBitrate(sender_ssrc, (value & 0x3FFFF) << (value >> 18), ssrcs)


_PARSERS: Final[Mapping[int, Callable[[bytes, int], list[RtcpPacket]]]] = {
    SENDER_REPORT: _sender_report,
    RECEIVER_REPORT: _receiver_report,
    SOURCE_DESCRIPTION: _source_descriptions,
    GOODBYE: _goodbye,
    TRANSPORT_FEEDBACK: _transport_feedback,
    PAYLOAD_FEEDBACK: _payload_feedback,
}
