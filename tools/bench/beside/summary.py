"""From runs to figures: medians over the rounds, and how far they were apart."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

from tools.bench.beside.contest import Contestant, Outcome
from tools.bench.beside.measure import Result

T = TypeVar("T")


@frozen
class Figure:
    """The median of some rounds, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        return cls(statistics.median(values), min(values), max(values))


@frozen
class Row:
    """One server in one scenario.  Times in seconds, memory in bytes, shares from 0 to 1; None where nothing is known.

    ``told`` is None where in some round nobody was told in time; ``late`` and ``busy`` are the load generator's.
    """

    cpu: Figure
    latency_p50: Figure | None
    latency_p99: Figure | None
    loss: Figure
    join: Figure
    join_slowest: Figure
    told: Figure | None
    memory: Figure
    threads: int
    late: Figure
    busy: Figure
    drain_busy: Figure
    dropped: int
    unopened: int
    profiles: frozenset[str]


def row(runs: Sequence[Result]) -> Row:
    """Of at least one run."""
    return Row(
        cpu=_figure(runs, lambda run: run.cpu_per_packet),
        latency_p50=_perhaps(runs, lambda run: run.received.latency_p50),
        latency_p99=_perhaps(runs, lambda run: run.received.latency_p99),
        loss=_figure(runs, lambda run: run.loss),
        join=_figure(runs, lambda run: statistics.median(run.joins)),
        join_slowest=_figure(runs, lambda run: max(run.joins)),
        told=_perhaps(runs, lambda run: run.told),
        memory=_figure(runs, lambda run: run.memory_per_member),
        threads=max(run.threads for run in runs),
        late=_figure(runs, lambda run: run.late_p99),
        busy=_figure(runs, lambda run: run.busy),
        drain_busy=_figure(runs, lambda run: run.drain_busy),
        dropped=sum(run.received.dropped for run in runs),
        unopened=sum(run.received.unopened for run in runs),
        profiles=frozenset().union(*(run.profiles for run in runs)),
    )


def cpu(outcome: Outcome, scenario: str, contestant: Contestant) -> Figure | None:
    """Seconds a packet, of a server or of the floor; None where that was not measured."""
    if runs := outcome.runs.get((scenario, contestant)):
        return _figure(runs, lambda run: run.cpu_per_packet)
    if floors := outcome.floors.get((scenario, contestant)):
        return _figure(floors, lambda run: run.cpu_per_packet)
    return None


def _figure(runs: Sequence[T], value: Callable[[T], float]) -> Figure:
    return Figure.of([value(run) for run in runs])


def _perhaps(runs: Sequence[T], value: Callable[[T], float | None]) -> Figure | None:
    values = [value(run) for run in runs]
    known = [one for one in values if one is not None]
    return Figure.of(known) if len(known) == len(values) else None
