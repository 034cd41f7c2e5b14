"""The RTCP packets that a peer reads and writes."""

from typing import Final

from attrs import frozen

MAX_COUNT: Final = 31
"""The most report blocks or sources in one packet."""

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206
"""Packet types (RFC 3550 section 12.1, RFC 4585 section 6.1)."""

GENERIC_NACK: Final = 1
TRANSPORT_WIDE: Final = 15
"""Formats of transport-layer feedback (RFC 4585 section 6.2.1, and the draft that TransportWideFeedback names)."""

#: Units of the times in transport-wide feedback, in seconds.
TICK: Final = 0.000_25
#: Ticks in one unit of its reference time, which is 64 ms.
REFERENCE_TICKS: Final = 256

PICTURE_LOSS: Final = 1
FULL_INTRA: Final = 4
APPLICATION: Final = 15
"""Formats of payload-specific feedback (RFC 4585 section 6.3, RFC 5104 section 4.3)."""

REMB: Final = b"REMB"
CNAME: Final = 1


@frozen
class ReportBlock:
    """A receiver's statistics of one source (RFC 3550 section 6.4.1).

    ``fraction_lost`` is the loss since the last report, in 1/256 (0–255).  ``lost`` is the total loss.  The wire holds
    −2**23 to 2**23 − 1, so the writer replaces a value outside by the nearest limit.  ``highest_sequence`` has 32 bits,
    of which the upper 16 count the cycles.  ``jitter`` is in timestamp units.  ``last_sr`` and ``delay_since_last_sr``
    are in 1/65,536 s (see :mod:`tools.light.wire.ntp`), or 0 before the first sender report.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay_since_last_sr: int = 0


@frozen
class SenderReport:
    """A sender's clock and counts (RFC 3550 section 6.4.1).

    ``ntp`` is the 64-bit timestamp. ``octets`` counts payload bytes alone.
    """

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@frozen
class ReceiverReport:
    """A receiver's report blocks (RFC 3550 section 6.4.2).

    There are at most 31 (see :func:`tools.light.wire.rtcp.receiver_reports`).
    """

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@frozen
class SourceDescription:
    """The CNAME of one source (RFC 3550 section 6.5).  The parser drops other items."""

    ssrc: int
    cname: str


@frozen
class Goodbye:
    """The end of sources (RFC 3550 section 6.6)."""

    ssrcs: tuple[int, ...]


@frozen
class Nack:
    """A request to send these packets again (RFC 4585 section 6.2.1), by their 16-bit sequence numbers."""

    sender_ssrc: int
    media_ssrc: int
    numbers: tuple[int, ...]


@frozen
class PictureLossIndication:
    """A request for a key frame (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


@frozen
class FullIntraRequestEntry:
    """``sequence`` (0–255) rises with every new request.  A repeated request repeats its number."""

    ssrc: int
    sequence: int


@frozen
class FullIntraRequest:
    """Numbered requests for key frames (RFC 5104 section 4.3.1)."""

    sender_ssrc: int
    entries: tuple[FullIntraRequestEntry, ...]


@frozen
class ReceiverEstimatedMaximumBitrate:
    """A receiver's estimate of its bandwidth (draft-alvestrand-rmcat-remb-03). ``bitrate`` is in bit/s."""

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]


@frozen
class TransportWideFeedback:
    """Which packets of a transport arrived, and when (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

    ``base`` is the first transport-wide number (16 bits).  ``arrivals`` has one entry for each number from there on:
    the time of arrival, or None for a packet that has not come.  Times are in ticks of 250 µs on the receiver's clock,
    from ``REFERENCE_TICKS * reference`` on.  ``reference`` has 24 bits.  ``count`` (0–255) numbers the feedback.
    """

    sender_ssrc: int
    media_ssrc: int
    base: int
    count: int
    reference: int
    arrivals: tuple[int | None, ...]


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Nack
    | PictureLossIndication
    | FullIntraRequest
    | ReceiverEstimatedMaximumBitrate
    | TransportWideFeedback
)
