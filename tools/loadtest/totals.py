"""The counts of all workers together, in all and second by second."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

import attrs
from attrs import define, field, frozen

from protocol.vocabulary import MediaKind
from tools.light import DatagramCounts, Histogram, PacketCounts
from tools.loadtest.gateway_figures import GatewayFigures
from tools.loadtest.messages import SentTotals, Snapshot
from tools.loadtest.own_load import LoadSample, OwnLoad
from tools.loadtest.tally import add_traffic

#: Seconds that are kept: the newest of a longer run.
_MOST_POINTS: Final = 4 * 3600
_COUNTS: Final = (
    *("joined", "joins", "leaves", "failed", "silent", "strays"),
    *("moves", "moves_without_media", "lost_sessions"),
)
_SENDING: Final = tuple(attribute.name for attribute in attrs.fields(SentTotals))


@frozen
class SecondFigures:
    """One second of the run, ``at`` seconds after its beginning.  Rates are per second, latencies in seconds."""

    at: float
    members: int
    sent: float
    received: float
    bitrate: float
    lost: int
    requested: int
    repaired: int
    latency_p50: float | None
    latency_p99: float | None
    roster_errors: int
    lag: float
    own_cpu: float
    gateway_cpu: float | None
    gateway_memory: float | None


@define
class RunTotals:
    """The totals of all workers at one moment."""

    at: float = 0.0
    joined: int = 0
    joins: int = 0
    leaves: int = 0
    failed: int = 0
    silent: int = 0
    strays: int = 0
    moves: int = 0
    moves_without_media: int = 0
    lost_sessions: int = 0
    sending: dict[MediaKind, SentTotals] = field(factory=dict)
    received: dict[MediaKind, PacketCounts] = field(factory=dict)
    traffic: DatagramCounts = field(factory=DatagramCounts)
    failures: Counter[str] = field(factory=Counter)

    @property
    def all_received(self) -> PacketCounts:
        total = PacketCounts()
        for counts in self.received.values():
            total.add(counts)
        return total

    @property
    def packets_sent(self) -> int:
        return sum(sending.packets for sending in self.sending.values())


@define(eq=False)
class Totals:
    """The counts of all workers.

    Latencies and the times of repairs (``waited``) count for the result only while ``measured`` is True, not while
    clients are joining.

    ``loads`` are those of the tool's own processes: first the workers', then the conductor's.
    """

    kinds: tuple[MediaKind, ...]
    workers: int
    began_at: float = field(factory=time.monotonic)
    measured: bool = False
    latency: dict[MediaKind, Histogram] = field(factory=dict)
    waited: dict[MediaKind, Histogram] = field(factory=dict)
    join: Histogram = field(factory=Histogram)
    first_media: Histogram = field(factory=Histogram)
    move: Histogram = field(factory=Histogram)
    points: list[SecondFigures] = field(factory=list)
    loads: list[OwnLoad] = field(factory=list)
    gateway: GatewayFigures | None = None
    _latest: dict[int, Snapshot] = field(factory=dict)
    _second: Histogram = field(factory=Histogram)
    _lags: dict[int, float] = field(factory=dict)
    _cpu: dict[int, float] = field(factory=dict)
    _before: RunTotals = field(factory=RunTotals)
    _gateway_before: GatewayFigures | None = None

    def __attrs_post_init__(self) -> None:
        self.latency = {kind: Histogram() for kind in self.kinds}
        self.waited = {kind: Histogram() for kind in self.kinds}
        names = [f"worker {number}" for number in range(self.workers)] if self.workers > 1 else ["the worker"]
        self.loads = [OwnLoad(name) for name in [*names, "the conductor"]]
        self._before.at = self.began_at

    def take(self, worker: int, snapshot: Snapshot) -> None:
        """Add a worker's newest snapshot."""
        self._latest[worker] = snapshot
        self._lags[worker] = max(self._lags.get(worker, 0.0), snapshot.lag)
        self.join.add(snapshot.join)
        self.first_media.add(snapshot.first_media)
        self.move.add(snapshot.move)
        for kind, histogram in snapshot.latency.items():
            self._second.add(histogram)
            if self.measured:
                self.latency[kind].add(histogram)
                self.waited[kind].add(snapshot.waited[kind])

    def sum(self) -> RunTotals:
        total = RunTotals(
            at=time.monotonic(),
            sending={kind: SentTotals() for kind in self.kinds},
            received={kind: PacketCounts() for kind in self.kinds},
        )
        for snapshot in self._latest.values():
            for name in _COUNTS:
                setattr(total, name, getattr(total, name) + getattr(snapshot, name))
            for kind in self.kinds:
                _add_sending(total.sending[kind], snapshot.sending[kind])
                total.received[kind].add(snapshot.received[kind])
            add_traffic(total.traffic, snapshot.traffic)
            total.failures.update(snapshot.failures)
        return total

    def close_second(self, roster_errors: int, own_lag: float) -> SecondFigures:
        """Return the figures of the second, or somewhat more, since the last call."""
        total, before = self.sum(), self._before
        seconds = max(1e-3, total.at - before.at)
        received, received_before = total.all_received, before.all_received
        own_cpu = self._close_loads(seconds, own_lag)
        point = SecondFigures(
            at=total.at - self.began_at,
            members=total.joined,
            sent=(total.packets_sent - before.packets_sent) / seconds,
            received=(received.packets - received_before.packets) / seconds,
            bitrate=8 * (received.bytes - received_before.bytes) / seconds,
            lost=received.lost - received_before.lost,
            requested=received.requested - received_before.requested,
            repaired=received.repaired - received_before.repaired,
            latency_p50=self._second.quantile(0.5),
            latency_p99=self._second.quantile(0.99),
            roster_errors=roster_errors,
            lag=max([own_lag, *self._lags.values()]),
            own_cpu=own_cpu,
            gateway_cpu=self._gateway_cpu(),
            gateway_memory=None if self.gateway is None else self.gateway.memory,
        )
        self._second, self._before = Histogram(), total
        self._lags.clear()
        self.points.append(point)
        del self.points[:-_MOST_POINTS]
        return point

    def _close_loads(self, seconds: float, own_lag: float) -> float:
        """Return the greatest share of a core that one of the tool's processes used."""
        spent = {worker: snapshot.cpu for worker, snapshot in self._latest.items()}
        spent[self.workers] = time.process_time()
        shares = []
        for process, cpu in spent.items():
            share = (cpu - self._cpu.get(process, cpu)) / seconds
            shares.append(share)
            lag = own_lag if process == self.workers else self._lags.get(process, 0.0)
            if self.measured:
                self.loads[process].seconds.append(LoadSample(lag, share))
                del self.loads[process].seconds[:-_MOST_POINTS]
        self._cpu = spent
        return max(shares, default=0.0)

    def _gateway_cpu(self) -> float | None:
        before, now = self._gateway_before, self.gateway
        self._gateway_before = now
        if before is None or now is None or before.cpu is None or now.cpu is None or now.at <= before.at:
            return None
        return (now.cpu - before.cpu) / (now.at - before.at)


def _add_sending(total: SentTotals, more: SentTotals) -> None:
    for name in _SENDING:
        setattr(total, name, getattr(total, name) + getattr(more, name))
