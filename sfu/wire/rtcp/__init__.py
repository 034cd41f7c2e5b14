"""RTCP: what travels beside the media (RFC 3550 section 6, RFC 4585, RFC 5104)."""

from collections.abc import Iterable, Sequence

from sfu.wire.rtcp.packets import (
    FullIntraRequest,
    FullIntraRequestEntry,
    Goodbye,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
)

__all__ = [
    "FullIntraRequest",
    "FullIntraRequestEntry",
    "Goodbye",
    "PictureLossIndication",
    "ReceiverEstimatedMaximumBitrate",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "encode",
    "parse_untrusted",
    "receiver_reports",
]


def parse_untrusted(packet: bytes) -> list[RtcpPacket]:
    """The packets of a compound packet that we understand, in order; others are skipped.

    Reduced-size compounds (RFC 5506) are taken as they are.  Raises ``BadDatagram``.
    """
    raise NotImplementedError


def encode(packets: Iterable[RtcpPacket]) -> bytes:
    """A compound packet of these, in this order.  Raises ``ValueError`` for a field out of its range."""
    raise NotImplementedError


def receiver_reports(ssrc: int, reports: Sequence[ReportBlock]) -> list[ReceiverReport]:
    """As many receiver reports as the blocks need (31 fit in one); at least one, empty where there are none."""
    raise NotImplementedError
