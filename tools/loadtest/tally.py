"""What one worker counts, of clients that are there and of those that have gone."""

from __future__ import annotations

import time

import attrs
from attrs import define, field

from protocol.vocabulary import MediaKind
from tools.light import Histogram, LightClient, PacketCounts, PacketMeter, Traffic
from tools.light.publication import Publication
from tools.loadtest.messages import Fact, Sending, Snapshot

_TRAFFIC = tuple(attribute.name for attribute in attrs.fields(Traffic))


def add_traffic(total: Traffic, more: Traffic) -> None:
    for name in _TRAFFIC:
        setattr(total, name, getattr(total, name) + getattr(more, name))


@define(eq=False)
class Visit:
    """One stay of a client in its channel: what it receives and sends.

    ``wanted`` are the producers it takes, ``taken_at`` when each consumer was there, ``silent`` the consumers of which
    nothing came.
    """

    user_id: str
    channel_id: str
    number: int
    packet_meter: PacketMeter = field(factory=PacketMeter)
    publications: dict[int, Publication] = field(factory=dict)
    wanted: set[str] = field(factory=set)
    listed_at_join: frozenset[str] = frozenset()
    joined_at: float = 0.0
    client: LightClient | None = None
    had_media: bool = False
    taken_at: dict[str, float] = field(factory=dict)
    silent: set[str] = field(factory=set)
    leaving: bool = False

    def receive_rtcp_untrusted(self, packet: bytes) -> None:
        for publication in self.publications.values():
            publication.receive_rtcp_untrusted(packet)


@define(eq=False)
class Tally:
    """``visits`` are those that go on."""

    kinds: tuple[MediaKind, ...]
    facts: list[Fact] = field(factory=list)
    visits: dict[str, Visit] = field(factory=dict)
    joins: int = 0
    leaves: int = 0
    failed: int = 0
    silent: int = 0
    failures: dict[str, int] = field(factory=dict)
    join: Histogram = field(factory=Histogram)
    first_media: Histogram = field(factory=Histogram)
    _strays: int = 0
    _sending: dict[MediaKind, Sending] = field(factory=dict)
    _received: dict[MediaKind, PacketCounts] = field(factory=dict)
    _latency: dict[MediaKind, Histogram] = field(factory=dict)
    _traffic: Traffic = field(factory=Traffic)

    def __attrs_post_init__(self) -> None:
        for kind in self.kinds:
            self._sending[kind], self._received[kind], self._latency[kind] = Sending(), PacketCounts(), Histogram()

    def fail(self, why: str) -> None:
        """Something went wrong with a client that should not have."""
        self.failures[why] = self.failures.get(why, 0) + 1

    def is_silent(self, visit: Visit, consumer_id: str) -> None:
        """Nothing came of a stream that is sent; each counts once."""
        self.silent += consumer_id not in visit.silent
        visit.silent.add(consumer_id)

    def end(self, visit: Visit) -> None:
        """A visit is over: keep what it counted."""
        self.visits.pop(visit.user_id, None)
        self._add(visit, self._sending, self._received, self._traffic)
        for kind in self.kinds:
            self._latency[kind].add(visit.packet_meter.take_latency(kind))
        self._strays += _strays(visit)

    def _add(
        self, visit: Visit, sending: dict[MediaKind, Sending], received: dict[MediaKind, PacketCounts], traffic: Traffic
    ) -> None:
        for publication in visit.publications.values():
            total = sending[publication.loop.kind]
            total.frames += publication.frames
            total.key_frames += publication.key_frames
            total.packets += publication.packets
            total.octets += publication.octets
            total.key_frame_requests += publication.key_frame_requests
            total.skipped += publication.skipped
        for kind in self.kinds:
            received[kind].add(visit.packet_meter.counts(kind))
        if visit.client is not None:
            for endpoint in visit.client.endpoints.values():
                add_traffic(traffic, endpoint.traffic)

    def snapshot(self, lag: float) -> Snapshot:
        """All of it now; what is given since the last snapshot is taken."""
        sending = {kind: attrs.evolve(total) for kind, total in self._sending.items()}
        received = {kind: attrs.evolve(total) for kind, total in self._received.items()}
        traffic, strays = attrs.evolve(self._traffic), self._strays
        latency = {kind: total.take() for kind, total in self._latency.items()}
        for visit in self.visits.values():
            self._add(visit, sending, received, traffic)
            strays += _strays(visit)
            for kind in self.kinds:
                latency[kind].add(visit.packet_meter.take_latency(kind))
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
            join=self.join.take(),
            first_media=self.first_media.take(),
            lag=lag,
            cpu=time.process_time(),
        )


def _strays(visit: Visit) -> int:
    """Packets of streams that nobody asked for, or that were closed."""
    unexpected = sum(meter.counts.packets for meter in visit.packet_meter.streams.values() if meter.kind is None)
    return visit.packet_meter.strays + unexpected
