"""The RTCP of one transport: what clients report, and what they are told (RFC 3550 section 6.4).

Publishers get honest receiver reports, without which no encoder raises its rate.  Receivers get sender reports on the
sender's own clocks, so that audio and video of one sender stay in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sfu.wire import rtcp

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.dataplane.interface import EncodingStats
    from sfu.producer import Producer
    from sfu.transport import Transport


def receive(transport: Transport, packet: bytes, now: float) -> None:
    """Act on a compound packet that came on this transport.  Raises ``BadDatagram``."""
    for one in rtcp.parse_untrusted(packet):
        match one:
            case rtcp.SenderReport(reports=blocks):
                for producer in transport.producers.values():
                    producer.sender_report(one, now)
                _receive_blocks(transport, blocks, now)
            case rtcp.ReceiverReport(reports=blocks):
                _receive_blocks(transport, blocks, now)
            case rtcp.PictureLossIndication(media_ssrc=ssrc):
                _ask_key_frame(transport, ssrc, now)
            case rtcp.FullIntraRequest(entries=entries):
                for entry in entries:
                    _ask_key_frame(transport, entry.ssrc, now)


def due(transport: Transport, now: float) -> Iterator[bytes]:
    """The compound packets that are due now: everything about this transport's streams."""
    our_ssrc = transport.port.rtcp_ssrc
    blocks = [block for producer in transport.producers.values() for block in _blocks(producer, now)]
    if blocks:
        yield from (rtcp.encode([report]) for report in rtcp.receiver_reports(our_ssrc, blocks))
    for consumer in transport.consumers.values():
        if (report := _sender_report(consumer, now)) is not None:
            cname = consumer.rtp_parameters.rtcp.cname or ""
            yield rtcp.encode([report, rtcp.SourceDescription(consumer.ssrc, cname)])


def _receive_blocks(transport: Transport, blocks: tuple[rtcp.ReportBlock, ...], now: float) -> None:
    for block in blocks:
        consumer = transport.consumers_by_ssrc.get(block.ssrc)
        if consumer is not None:
            clock = consumer.producer.clocks[consumer.target]
            consumer.report = block
            consumer.round_trip = clock.round_trip(block.last_sr, block.delay_since_last_sr, now)


def _ask_key_frame(transport: Transport, ssrc: int, now: float) -> None:
    """A receiver cannot decode; that its consumer is paused, or that we know no such stream, is no error."""
    consumer = transport.consumers_by_ssrc.get(ssrc)
    if consumer is not None:
        consumer.may_flow(now)


def _blocks(producer: Producer, now: float) -> Iterator[rtcp.ReportBlock]:
    for encoding, stats in enumerate(producer.encoding_stats()):
        if stats.ssrc is not None and stats.packets:
            yield _block(producer, encoding, stats, now)


def _block(producer: Producer, encoding: int, stats: EncodingStats, now: float) -> rtcp.ReportBlock:
    assert stats.ssrc is not None
    last_sr, delay = producer.clocks[encoding].last_report(now)
    return rtcp.ReportBlock(
        ssrc=stats.ssrc,
        fraction_lost=producer.take_fraction_lost(encoding, stats),
        lost=max(-(1 << 23), min(stats.lost, (1 << 23) - 1)),
        highest_sequence=stats.highest_sequence % (1 << 32),
        jitter=stats.jitter,
        last_sr=last_sr,
        delay_since_last_sr=delay,
    )


def _sender_report(consumer: Consumer, now: float) -> rtcp.SenderReport | None:
    """None while there is nothing to tell: nothing was sent yet, or the sender's clocks are not known."""
    stats = consumer.stats()
    if not stats.packets or stats.encoding is None or consumer.paused or consumer.producer.paused:
        return None
    reading = consumer.producer.clocks[stats.encoding].read(now)
    if reading is None:
        return None
    ntp, timestamp = reading
    return rtcp.SenderReport(
        ssrc=consumer.ssrc,
        ntp=ntp,
        rtp_timestamp=(timestamp + stats.timestamp_offset) % (1 << 32),
        packets=stats.packets % (1 << 32),
        octets=stats.octets % (1 << 32),
    )
