"""The results of a run: its figures, their parts, and whether the tool's own load has distorted them."""

from __future__ import annotations

from typing import Any, Final

import attrs
from attrs import frozen

from protocol.vocabulary import MediaKind
from tools.light import Histogram
from tools.loadtest.conductor import Conductor
from tools.loadtest.gateway_figures import GatewayFigures
from tools.loadtest.own_load import unsent_complaint
from tools.loadtest.thresholds import Threshold, Verdict, judge
from tools.loadtest.totals import RunTotals

#: Version of the JSON report.  It rises when a part of the report changes its meaning.
SCHEMA: Final = 2
QUANTILES: Final = (0.5, 0.9, 0.99, 1.0)


@frozen
class Results:
    """The results of a finished run.

    ``figures`` has each figure by its key in :data:`tools.loadtest.thresholds.FIGURES`.  ``overrun`` says why the
    tool's own load has distorted them.  It is empty if that did not happen.
    """

    conductor: Conductor
    total: RunTotals
    figures: dict[str, float | None]
    verdicts: tuple[Verdict, ...]
    overrun: tuple[str, ...]

    @property
    def status(self) -> int:
        """Exit status: 0 success, 1 broken run or threshold, 3 the tool was too slow, 130 Ctrl-C."""
        if self.conductor.error is not None:
            return 1
        if self.conductor.interrupted:
            return 130
        if self.overrun:
            return 3
        return 0 if all(verdict.kept for verdict in self.verdicts) else 1

    def as_json(self) -> dict[str, Any]:
        """Return the JSON report."""
        run, plan = self.conductor, self.conductor.plan
        shown = attrs.asdict(plan, filter=lambda attribute, _: attribute.name not in ("token", "run_id"))
        return {
            "schema": SCHEMA,
            "plan": shown,
            "status": self.status,
            "error": run.error,
            "interrupted": run.interrupted,
            "valid": not self.overrun,
            "overrun": list(self.overrun),
            "measured_seconds": round(run.measured_seconds, 3),
            "figures": self.figures,
            "thresholds": [
                {"figure": one.threshold.figure.key, "limit": one.threshold.limit, "value": one.value, "kept": one.kept}
                for one in self.verdicts
            ],
            "media": {kind: self._media(kind) for kind in plan.kinds},
            "clients": self._clients(),
            "roster": {
                "notices": run.truth.notices,
                "errors": dict(run.truth.errors),
                "examples": run.truth.examples,
                "leave_to_notice": {kind: _quantiles(each) for kind, each in run.truth.leave_to_notice.items()},
            },
            "full_clients": self._full_clients(),
            "gateway": self._gateway(),
            "own": [
                {
                    "process": load.name,
                    "cpu_mean": round(load.mean_cpu, 4),
                    "cpu_most": round(load.most_cpu, 4),
                    "lag_most": round(load.worst_lag, 6),
                }
                for load in run.totals.loads
            ],
            "series": [attrs.asdict(point) for point in run.totals.points],
        }

    def _media(self, kind: MediaKind) -> dict[str, Any]:
        received = self.total.received[kind]
        return {
            "sent": attrs.asdict(self.total.sending[kind]),
            "received": {
                **attrs.asdict(received),
                "loss": received.loss,
                "lost_for_good": received.lost_for_good,
            },
            "latency": _quantiles(self.conductor.totals.latency[kind]),
            "repair": _quantiles(self.conductor.totals.waited[kind]),
            "bitrate_of_a_stream": round(self.conductor.bitrate(kind)) if kind in self.conductor.media else None,
        }

    def _clients(self) -> dict[str, Any]:
        totals = self.conductor.totals
        return {
            "joins": self.total.joins,
            "leaves": self.total.leaves,
            "failed": self.total.failed,
            "failures": dict(self.total.failures),
            "silent_streams": self.total.silent,
            "join": _quantiles(totals.join),
            "first_media": _quantiles(totals.first_media),
            "moves": self.total.moves,
            "moves_without_media": self.total.moves_without_media,
            "lost_sessions": self.total.lost_sessions,
            "move_to_media": _quantiles(totals.move),
        }

    def _full_clients(self) -> list[dict[str, Any]]:
        return [
            {
                "user": client.user_id,
                "decoded": client.decoded,
                "undecoded": client.undecoded,
                "streams": client.streams,
            }
            for client in self.conductor.full
        ]

    def _gateway(self) -> dict[str, Any]:
        run, traffic = self.conductor, self.total.traffic
        return {
            "unavailable": run.no_figures,
            "figures": {moment: attrs.asdict(figures) for moment, figures in run.figures.items()},
            "counted_by_us": attrs.asdict(traffic),
            "difference": _differences(run, self.total),
        }


def _quantiles(histogram: Histogram) -> dict[str, float | int | None]:
    """Return quantiles in seconds."""
    shown: dict[str, float | int | None] = {"count": histogram.count, "mean": histogram.mean}
    for share in QUANTILES:
        name = "max" if share == 1 else f"p{share * 100:g}"
        shown[name] = histogram.quantile(share)
    return shown


def all_of(histograms: dict[Any, Histogram]) -> Histogram:
    total = Histogram()
    for histogram in histograms.values():
        total.add(histogram)
    return total


def conclude(run: Conductor, thresholds: tuple[Threshold, ...]) -> Results:
    """Compute the results after a run."""
    total = run.totals.sum()
    figures = _figures(run, total)
    overrun = [complaint for load in run.totals.loads for complaint in load.complaints()]
    skipped = sum(sending.skipped for sending in total.sending.values())
    unsent = unsent_complaint(total.traffic.unsent + skipped, total.traffic.sent)
    # A gateway that is gone takes no packets.  Then the tool is not to blame.
    if unsent is not None and run.error is None:
        overrun.append(unsent)
    return Results(run, total, figures, judge(thresholds, figures), tuple(overrun))


def _figures(run: Conductor, total: RunTotals) -> dict[str, float | None]:
    received, latency = total.all_received, all_of(run.totals.latency)
    waited, decided = all_of(run.totals.waited), received.repaired + received.given_up
    left = all_of(run.truth.leave_to_notice)
    expected = bool(received.packets or received.lost)
    return {
        "loss": received.loss if expected else None,
        "audio_loss": _loss(total, "audio"),
        "video_loss": _loss(total, "video"),
        "duplicated": received.duplicated / received.packets if received.packets else None,
        "reordered": received.reordered / received.packets if received.packets else None,
        "unrepaired": received.given_up / decided if decided else None,
        "repair_p50": waited.quantile(0.5),
        "repair_p99": waited.quantile(0.99),
        "latency_p50": latency.quantile(0.5),
        "latency_p99": latency.quantile(0.99),
        "join_p50": run.totals.join.quantile(0.5),
        "join_p99": run.totals.join.quantile(0.99),
        "first_media_p99": run.totals.first_media.quantile(0.99),
        "leave_p50": left.quantile(0.5),
        "leave_p99": left.quantile(0.99),
        "move_p50": run.totals.move.quantile(0.5),
        "move_p99": run.totals.move.quantile(0.99),
        "moves_without_media": float(total.moves_without_media) if total.moves else None,
        "lost_sessions": float(total.lost_sessions) if total.moves else None,
        "roster_errors": float(run.truth.total),
        "failures": float(sum(total.failures.values())),
        "silent_streams": float(total.silent),
        "strange_packets": float(received.strange + received.unopened),
        "full_undecoded": float(sum(client.undecoded for client in run.full)) if run.full else None,
        "cpu_per_packet": _cpu_per_packet(run),
        "memory_per_member": _memory_per_member(run, total),
        "count_difference": _count_difference(run, total),
    }


def _loss(total: RunTotals, kind: MediaKind) -> float | None:
    counts = total.received.get(kind)
    return counts.loss if counts is not None and (counts.packets or counts.lost) else None


def _cpu_per_packet(run: Conductor) -> float | None:
    began, ended = run.figures.get("began"), run.figures.get("ended")
    if began is None or ended is None or began.cpu is None or ended.cpu is None:
        return None
    packets = _packets_out(run, began, ended)
    return (ended.cpu - began.cpu) / packets if packets else None


def _packets_out(run: Conductor, began: GatewayFigures, ended: GatewayFigures) -> float | None:
    """Return the number of packets that the gateway sent while measuring.

    Without the gateway's own count, this is the number of received packets.
    """
    if began.packets_out is not None and ended.packets_out is not None:
        return ended.packets_out - began.packets_out
    points = [point for point in run.totals.points if began.at <= run.totals.began_at + point.at <= ended.at]
    if not points:
        return None
    return (ended.at - began.at) * sum(point.received for point in points) / len(points)


def _memory_per_member(run: Conductor, total: RunTotals) -> float | None:
    before, ended = run.figures.get("before"), run.figures.get("ended")
    members = len(run.plan.slots()) - total.failed + len(run.full)
    if before is None or ended is None or before.memory is None or ended.memory is None or members <= 0:
        return None
    return (ended.memory - before.memory) / members


def _differences(run: Conductor, total: RunTotals) -> dict[str, int] | None:
    """Return the gateway's counts of datagrams minus the tool's own, ``in`` and ``out``.

    Returns None if a count is unknown.  The tool does not know the datagrams of full clients.
    """
    before, after = run.figures.get("before"), run.figures.get("after")
    if before is None or after is None or run.full:
        return None
    if None in (before.packets_in, before.packets_out, after.packets_in, after.packets_out):
        return None
    assert before.packets_in is not None
    assert before.packets_out is not None
    assert after.packets_in is not None
    assert after.packets_out is not None
    return {
        "in": after.packets_in - before.packets_in - total.traffic.sent,
        "out": after.packets_out - before.packets_out - total.traffic.received,
    }


def _count_difference(run: Conductor, total: RunTotals) -> float | None:
    differences = _differences(run, total)
    return None if differences is None else float(sum(abs(each) for each in differences.values()))
