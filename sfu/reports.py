"""The RTCP of one transport: requests of clients, and receiver reports to publishers (RFC 3550 section 6.4).

Publishers get honest receiver reports, without which no encoder raises its rate.  Reports to and from receivers are
the data plane's: it sends and reads them beside the packets that they are about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from sfu.feedback import description
from sfu.wire import rtcp
from sfu.wire.errors import BadDatagram

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.context import RouterContext
    from sfu.dataplane.interface import EncodingStats
    from sfu.producer import Producer

MAX_COMPOUND: Final = 1200
"""Largest compound packet in bytes before encryption: it passes every path that carries WebRTC."""


def receive(
    packet: bytes, producers: Collection[Producer], consumers_by_ssrc: Mapping[int, Consumer], now: float
) -> None:
    """Act on a compound packet that came on the transport of these producers and consumers.

    Raises ``BadDatagram`` if a part of it is malformed, after acting on the others.
    """
    # A receiver may repeat its request in one packet (PLI and FIR): a dict keeps each SSRC once, in order.
    undecodable: dict[int, None] = {}
    faults: list[BadDatagram] = []
    for part in rtcp.parse_untrusted(packet, faults):
        match part:
            case rtcp.SenderReport():
                for producer in producers:
                    producer.on_sender_report(part, now)
            case rtcp.PictureLossIndication(media_ssrc=ssrc):
                undecodable[ssrc] = None
            case rtcp.FullIntraRequest(entries=entries):
                undecodable.update((entry.ssrc, None) for entry in entries)
    for ssrc in undecodable:
        # An SSRC without a consumer is no error: the consumer may have closed meanwhile.
        if (consumer := consumers_by_ssrc.get(ssrc)) is not None:
            consumer.on_picture_loss(now)
    if faults:
        raise faults[0]


def receiver_reports(context: RouterContext, producers: Collection[Producer], now: float) -> Iterator[bytes]:
    """The compound packets with the reports about all these producers, as few as hold them."""
    compound = b""
    for part in _parts(context, producers, now):
        if compound and len(compound) + len(part) > MAX_COMPOUND:
            yield compound
            compound = b""
        compound += part
    if compound:
        yield compound


def _parts(context: RouterContext, producers: Collection[Producer], now: float) -> Iterator[bytes]:
    """Reports, each with the router's CNAME: any number of them is a compound packet (RFC 3550 section 6.1)."""
    blocks = [block for producer in producers for block in _blocks(producer, now)]
    if blocks:
        for report in rtcp.receiver_reports(context.rtcp_ssrc, blocks):
            yield rtcp.encode([report, description(context)])


def _blocks(producer: Producer, now: float) -> Iterator[rtcp.ReportBlock]:
    for encoding, stats in enumerate(producer.encoding_stats()):
        if stats.ssrc is not None and stats.packets:
            yield _block(producer, encoding, stats, now)


def _block(producer: Producer, encoding: int, stats: EncodingStats, now: float) -> rtcp.ReportBlock:
    assert stats.ssrc is not None
    last_sr, delay = producer.sender_reports[encoding].lsr_and_dlsr(now)
    return rtcp.ReportBlock(
        ssrc=stats.ssrc,
        fraction_lost=producer.take_fraction_lost(encoding, stats),
        lost=stats.lost,
        highest_sequence=stats.highest_sequence % (1 << 32),
        jitter=stats.jitter,
        last_sr=last_sr,
        delay_since_last_sr=delay,
    )
