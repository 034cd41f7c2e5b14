"""The answer to ``stats``: the measurements of one session's media, in the protocol's units."""

import sfu
from gateway.channel.member import Member, Publication
from gateway.media_objects import convert
from protocol.stats import ConsumerStats, EncodingStats, ProducerStats, Stats, TransportStats, TransportStatsState
from protocol.vocabulary import Layers

# A peer keeps only live transports, so none is failed or closed.
TRANSPORT_STATES: dict[sfu.TransportState, TransportStatsState] = {
    sfu.TransportState.NEW: "new",
    sfu.TransportState.CONNECTING: "connecting",
    sfu.TransportState.CONNECTED: "connected",
    sfu.TransportState.DISCONNECTED: "disconnected",
}


def session_stats(peer: sfu.Peer, member: Member) -> Stats:
    """Collect the statistics of the client's own transports, producers and consumers."""
    return Stats(
        tuple(_transport(transport) for transport in peer.transports.values()),
        tuple(_producer(publication) for publication in member.publications.values()),
        tuple(_consumer(consumer) for consumer in peer.consumers.values()),
    )


def _transport(transport: sfu.Transport) -> TransportStats:
    bandwidth = transport.bandwidth()
    return TransportStats(
        transport.id,
        transport.direction,
        TRANSPORT_STATES[transport.state],
        available_bitrate=None if bandwidth is None else round(bandwidth.estimate),
        probe_bytes=None if bandwidth is None else bandwidth.probe_bytes,
    )


def _producer(publication: Publication) -> ProducerStats:
    producer = publication.producer
    spec = producer.plan.spec
    encodings = tuple(
        EncodingStats(
            packets=stats.packets,
            bytes=stats.bytes,
            lost=stats.lost,
            jitter_ms=1000 * stats.jitter / spec.clock_rate,
            key_frames=stats.key_frames,
            ssrc=stats.ssrc,
            rid=encoding.rid,
            requested=stats.requested,
            repaired=stats.repaired,
            given_up=stats.given_up,
            round_trip_ms=_milliseconds(stats.round_trip),
        )
        for encoding, stats in zip(spec.encodings, producer.encoding_stats(), strict=True)
    )
    return ProducerStats(producer.id, producer.kind, publication.source, producer.paused, encodings)


def _consumer(consumer: sfu.Consumer) -> ConsumerStats:
    stats = consumer.stats()
    report = stats.reception_report
    return ConsumerStats(
        consumer_id=consumer.id,
        producer_id=consumer.producer.id,
        kind=consumer.kind,
        paused=consumer.paused,
        packets=stats.packets,
        bytes=stats.bytes,
        layers=None if consumer.layers is None else convert(consumer.layers, Layers),
        fraction_lost=None if report is None else report.fraction_lost / 256,
        round_trip_ms=None if report is None else _milliseconds(report.round_trip),
        requested=stats.requested,
        resent=stats.resent,
        not_resent=stats.not_resent,
        redundant=stats.redundant,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
