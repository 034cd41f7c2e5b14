"""What the reader of the synthetic clients finds in a packet, in the words of the crate's own reader.

Both were written apart.  So a difference shows a fault of one of them.  The words are those of
``sfu/dataplane/src/core/fuzzing``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from tools.light.wire import rtcp, rtp
from tools.light.wire.errors import BadPacket
from tools.light.wire.rtcp.packets import REFERENCE_TICKS

_MOST: Final = 2**64 - 1
_REFERENCE_BITS: Final = 24


def describe_rtp(packet: bytes) -> str:
    """The header of an RTP packet."""
    try:
        header = rtp.parse_header_untrusted(packet)
    except BadPacket:
        return "malformed"
    try:
        padding = str(rtp.padding_size_untrusted(packet, header))
    except BadPacket:
        padding = "wrong"
    words = f"type={header.payload_type} marker={int(header.marker)} number={header.sequence_number}"
    words += f" time={header.timestamp} ssrc={header.ssrc} csrcs={len(header.csrcs) // 4}"
    words += f" size={header.size} padding={padding}"
    return words + "".join(f" {number}:{value.hex()}" for number, value in header.extensions)


def describe_rtcp(compound: bytes) -> str:
    """The packets of a compound packet that both readers know."""
    return "; ".join(map(_describe, rtcp.parse_untrusted(compound, [])))


def _describe(packet: rtcp.RtcpPacket) -> str:
    match packet:
        case rtcp.SenderReport(ssrc, ntp, time, packets, octets, blocks):
            return f"sender {ssrc} {ntp} {time} {packets} {octets}{_blocks(blocks)}"
        case rtcp.ReceiverReport(ssrc, blocks):
            return f"receiver {ssrc}{_blocks(blocks)}"
        case rtcp.SourceDescription(ssrc, cname):
            return f"name {ssrc} {len(cname.encode())}"
        case rtcp.Goodbye(ssrcs):
            return f"goodbye{_list(ssrcs)}"
        case rtcp.Nack(sender, media, numbers):
            return f"nack {sender} {media}{_list(numbers)}"
        case rtcp.TransportWideFeedback():
            return _wide(packet)
        case rtcp.PictureLossIndication(sender, media):
            return f"loss {sender} {media}"
        case rtcp.FullIntraRequest(sender, entries):
            return f"intra {sender}" + "".join(f" {entry.ssrc}/{entry.sequence}" for entry in entries)
        case rtcp.ReceiverEstimatedMaximumBitrate(sender, bitrate, ssrcs):
            return f"bitrate {sender} {min(bitrate, _MOST)}{_list(ssrcs)}"


def _wide(packet: rtcp.TransportWideFeedback) -> str:
    # The crate takes the reference time for signed.  It only compares times with each other.
    reference = packet.reference - (packet.reference >> _REFERENCE_BITS - 1 << _REFERENCE_BITS)
    words = f"wide {packet.sender_ssrc} {packet.media_ssrc} {packet.count}"
    for place, arrival in enumerate(packet.arrivals):
        time = "-" if arrival is None else str(REFERENCE_TICKS * reference + arrival)
        words += f" {packet.base + place & 0xFFFF}:{time}"
    return words


def _list(numbers: Iterable[int]) -> str:
    return "".join(f" {number}" for number in numbers)


def _blocks(blocks: Sequence[rtcp.ReportBlock]) -> str:
    return "".join(
        f" [{one.ssrc} {one.fraction_lost} {one.lost} {one.highest_sequence} {one.jitter} {one.last_sr}"
        f" {one.delay_since_last_sr}]"
        for one in blocks
    )


READERS: Final[Mapping[str, Callable[[bytes], str]]] = {"rtp": describe_rtp, "rtcp": describe_rtcp}
"""By the targets of the crate."""
