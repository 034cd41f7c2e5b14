"""The counts of one worker, of its present clients and of those that have left."""

from __future__ import annotations

import time

import attrs
from attrs import define, field

from protocol.vocabulary import MediaKind
from tools.light import DatagramCounts, Histogram, LightClient, PacketCounts, PacketMeter
from tools.light.loop_sender import LoopSender
from tools.loadtest.messages import Fact, SentTotals, Snapshot

_TRAFFIC = tuple(attribute.name for attribute in attrs.fields(DatagramCounts))


def add_traffic(total: DatagramCounts, more: DatagramCounts) -> None:
    """Add ``more`` to ``total``."""
    for name in _TRAFFIC:
        setattr(total, name, getattr(total, name) + getattr(more, name))


@define(eq=False)
class LiveVisit:
    """One stay of a client in its channel, with its streams.

    ``wanted`` has the producers that the client consumes.  ``taken_at`` has the time at which each consumer began.
    ``silent`` has the consumers without any packet.  ``encodings`` has the senders of each producer in simulcast, in
    rising quality.
    """

    user_id: str
    channel_id: str
    number: int
    packet_meter: PacketMeter = field(factory=PacketMeter)
    senders: dict[int, LoopSender] = field(factory=dict)
    encodings: dict[str, list[LoopSender]] = field(factory=dict)
    wanted: set[str] = field(factory=set)
    listed_at_join: frozenset[str] = frozenset()
    joined_at: float = 0.0
    client: LightClient | None = None
    had_media: bool = False
    taken_at: dict[str, float] = field(factory=dict)
    silent: set[str] = field(factory=set)
    leaving: bool = False

    def receive_rtcp_untrusted(self, packet: bytes) -> None:
        for sender in self.senders.values():
            sender.receive_rtcp_untrusted(packet)


@define(eq=False)
class Tally:
    """Counts of one worker.  ``visits`` has the present stays, by user id.  The other fields are totals."""

    kinds: tuple[MediaKind, ...]
    facts: list[Fact] = field(factory=list)
    visits: dict[str, LiveVisit] = field(factory=dict)
    joins: int = 0
    leaves: int = 0
    failed: int = 0
    silent: int = 0
    failures: dict[str, int] = field(factory=dict)
    join: Histogram = field(factory=Histogram)
    first_media: Histogram = field(factory=Histogram)
    moves: int = 0
    moves_without_media: int = 0
    lost_sessions: int = 0
    move: Histogram = field(factory=Histogram)
    _strays: int = 0
    _sending: dict[MediaKind, SentTotals] = field(factory=dict)
    _received: dict[MediaKind, PacketCounts] = field(factory=dict)
    _latency: dict[MediaKind, Histogram] = field(factory=dict)
    _waited: dict[MediaKind, Histogram] = field(factory=dict)
    _traffic: DatagramCounts = field(factory=DatagramCounts)

    def __attrs_post_init__(self) -> None:
        for kind in self.kinds:
            self._sending[kind], self._received[kind] = SentTotals(), PacketCounts()
            self._latency[kind], self._waited[kind] = Histogram(), Histogram()

    def fail(self, why: str) -> None:
        """Count a failure of a client."""
        self.failures[why] = self.failures.get(why, 0) + 1

    def count_silent(self, visit: LiveVisit, consumer_id: str) -> None:
        """Count a stream without packets.  Each stream counts once."""
        self.silent += consumer_id not in visit.silent
        visit.silent.add(consumer_id)

    def end(self, visit: LiveVisit) -> None:
        """End a visit and keep its counts."""
        self.visits.pop(visit.user_id, None)
        self._add(visit, self._sending, self._received, self._traffic)
        for kind in self.kinds:
            self._latency[kind].add(visit.packet_meter.take_latency(kind))
            self._waited[kind].add(visit.packet_meter.take_waited(kind))
        self._strays += _strays(visit)

    def _add(
        self,
        visit: LiveVisit,
        sending: dict[MediaKind, SentTotals],
        received: dict[MediaKind, PacketCounts],
        traffic: DatagramCounts,
    ) -> None:
        for sender in visit.senders.values():
            total = sending[sender.loop.kind]
            total.frames += sender.frames
            total.key_frames += sender.key_frames
            total.packets += sender.packets
            total.octets += sender.octets
            total.key_frame_requests += sender.key_frame_requests
            total.requested += sender.requested
            total.resent += sender.resent
            total.skipped += sender.skipped
        for kind in self.kinds:
            received[kind].add(visit.packet_meter.counts(kind))
        if visit.client is not None:
            for endpoint in visit.client.endpoints.values():
                add_traffic(traffic, endpoint.traffic)

    def snapshot(self, lag: float) -> Snapshot:
        """Return all counts, and the measurements since the last snapshot."""
        sending = {kind: attrs.evolve(total) for kind, total in self._sending.items()}
        received = {kind: attrs.evolve(total) for kind, total in self._received.items()}
        traffic, strays = attrs.evolve(self._traffic), self._strays
        latency = {kind: total.take() for kind, total in self._latency.items()}
        waited = {kind: total.take() for kind, total in self._waited.items()}
        for visit in self.visits.values():
            self._add(visit, sending, received, traffic)
            strays += _strays(visit)
            for kind in self.kinds:
                latency[kind].add(visit.packet_meter.take_latency(kind))
                waited[kind].add(visit.packet_meter.take_waited(kind))
        return Snapshot(
            joined=len(self.visits),
            joins=self.joins,
            leaves=self.leaves,
            failed=self.failed,
            silent=self.silent,
            strays=strays,
            sending=sending,
            received=received,
            traffic=traffic,
            failures=dict(self.failures),
            latency=latency,
            waited=waited,
            join=self.join.take(),
            first_media=self.first_media.take(),
            moves=self.moves,
            moves_without_media=self.moves_without_media,
            lost_sessions=self.lost_sessions,
            move=self.move.take(),
            lag=lag,
            cpu=time.process_time(),
        )


def _strays(visit: LiveVisit) -> int:
    """Return the packets of streams that nobody consumes."""
    unexpected = sum(meter.counts.packets for meter in visit.packet_meter.streams.values() if meter.kind is None)
    return visit.packet_meter.strays + unexpected
