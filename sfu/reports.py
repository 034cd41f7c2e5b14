"""The RTCP of one transport: what clients ask for, and what publishers are told (RFC 3550 section 6.4).

Publishers get honest receiver reports, without which no encoder raises its rate.  What is reported to receivers, and
by them, is the data plane's, which does it beside the packets that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sfu.wire import rtcp
from sfu.wire.errors import BadDatagram

if TYPE_CHECKING:
    from sfu.dataplane.interface import EncodingStats
    from sfu.producer import Producer
    from sfu.router import Port
    from sfu.transport import Transport

#: Bytes of a compound packet before encryption, at most: it passes every path that carries WebRTC.
MAX_COMPOUND = 1200


def receive(transport: Transport, packet: bytes, now: float) -> None:
    """Act on a compound packet that came on this transport.

    Raises ``BadDatagram`` where part of it could not be read, after acting on the rest.
    """
    broken: dict[int, None] = {}
    faults: list[BadDatagram] = []
    for one in rtcp.parse_untrusted(packet, faults):
        match one:
            case rtcp.SenderReport():
                for producer in transport.producers.values():
                    producer.sender_report(one, now)
            case rtcp.PictureLossIndication(media_ssrc=ssrc):
                broken[ssrc] = None
            case rtcp.FullIntraRequest(entries=entries):
                broken.update((entry.ssrc, None) for entry in entries)
    for ssrc in broken:
        _ask_key_frame(transport, ssrc, now)
    if faults:
        raise faults[0]


def due(transport: Transport, now: float) -> Iterator[bytes]:
    """The compound packets that are due now: everything about this transport's streams, in as few as hold it."""
    compound = b""
    for part in _parts(transport, now):
        if compound and len(compound) + len(part) > MAX_COMPOUND:
            yield compound
            compound = b""
        compound += part
    if compound:
        yield compound


def feedback(port: Port, packet: rtcp.RtcpPacket) -> bytes:
    """A compound packet that tells a sender something out of turn (RFC 4585 section 3.1)."""
    return rtcp.encode([*rtcp.receiver_reports(port.rtcp_ssrc, ()), _description(port), packet])


def _parts(transport: Transport, now: float) -> Iterator[bytes]:
    """Reports, each with the name of its source: in any number they make a compound packet (RFC 3550 section 6.1)."""
    port = transport.port
    blocks = [block for producer in transport.producers.values() for block in _blocks(producer, now)]
    if blocks:
        for one in rtcp.receiver_reports(port.rtcp_ssrc, blocks):
            yield rtcp.encode([one, _description(port)])


def _description(port: Port) -> rtcp.SourceDescription:
    return rtcp.SourceDescription(port.rtcp_ssrc, port.cname)


def _ask_key_frame(transport: Transport, ssrc: int, now: float) -> None:
    """A receiver cannot decode; that its consumer is paused, or that we know no such stream, is no error."""
    consumer = transport.consumers_by_ssrc.get(ssrc)
    if consumer is not None:
        consumer.complain(now)


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
        lost=stats.lost,
        highest_sequence=stats.highest_sequence % (1 << 32),
        jitter=stats.jitter,
        last_sr=last_sr,
        delay_since_last_sr=delay,
    )
