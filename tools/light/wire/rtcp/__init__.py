"""RTCP: reports, descriptions and feedback (RFC 3550 section 6, RFC 4585, RFC 5104), transport-wide feedback."""

from tools.light.wire.rtcp.building import compounds, encode, receiver_reports
from tools.light.wire.rtcp.packets import (
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
from tools.light.wire.rtcp.parsing import parse_untrusted

__all__ = [
    "FullIntraRequest",
    "FullIntraRequestEntry",
    "Goodbye",
    "Nack",
    "PictureLossIndication",
    "ReceiverEstimatedMaximumBitrate",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "TransportWideFeedback",
    "compounds",
    "encode",
    "parse_untrusted",
    "receiver_reports",
]
