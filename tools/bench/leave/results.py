"""The results as Markdown, each beside its aim."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from protocol import limits
from tools.bench.leave import at_once, cost, one_by_one
from tools.bench.leave.at_once import AtOnce
from tools.bench.leave.cost import Cost
from tools.bench.leave.endings import ENDINGS
from tools.bench.leave.one_by_one import Load, MeasuredLeave
from tools.bench.leave.silence import Silence
from tools.bench.leave.watched_gateway import Report
from tools.bench.markdown import table

TOLD_AIM: Final = 0.05
SILENCE_AIM: Final = 10.0
OUTBOXES_AIM: Final = 200e6
STEP_AIM: Final = 0.1


@frozen
class LeaveResults:
    """Everything that the bench measured.  ``watched`` and ``report`` are of the run whose gateway watched itself."""

    machine: str
    seconds: float
    load: Load
    leaves: Sequence[MeasuredLeave]
    silence: Silence
    at_once: AtOnce
    watched: AtOnce
    report: Report
    costs: Sequence[Cost]

    def __str__(self) -> str:
        parts = [
            f"On {self.machine}; the clients on the same cores, in a process of their own. "
            f"The whole bench took {self.seconds:.0f} s.",
            *_one_by_one(self.load, self.leaves),
            *_silence(self.silence),
            *_at_once(self.at_once, self.watched, self.report),
            *_costs(self.costs),
        ]
        return "\n\n".join(parts)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _ms(seconds: float, digits: int = 1) -> str:
    return f"{seconds * 1000:.{digits}f}"


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def _met(measured: float, aim: float) -> str:
    return "met" if measured <= aim else "**missed**"


def _one_by_one(load: Load, leaves: Sequence[MeasuredLeave]) -> list[str]:
    p99 = percentile((leave.last_told for leave in leaves), 0.99)
    rows = [_leaves_row(ending.name, [leave for leave in leaves if leave.ending is ending]) for ending in ENDINGS]
    rows.append(_leaves_row("**all**", leaves))
    head = ["the socket closes by", "leaves", "p50", "p99", "longest", "first told, p50", "the bench itself late by"]
    return [
        f"### One of {one_by_one.MEMBERS} leaves",
        f"{load.consumers:,} consumers. {one_by_one.SPEAKERS} members speak: the gateway sends {load.packets_out:,.0f} "
        f"packets a second, for which it needs {load.cpu_share:.0%} of a core while nobody leaves. The times are "
        "milliseconds from the socket's closing until the last of the others was told; p99 is the nearest rank.",
        table(head, rows),
        f"Aim: p99 of all at most {_ms(TOLD_AIM, 0)} ms: {_met(p99, TOLD_AIM)}.",
    ]


def _leaves_row(name: str, leaves: Sequence[MeasuredLeave]) -> list[str]:
    last = [leave.last_told for leave in leaves]
    first = statistics.median(leave.first_told for leave in leaves)
    worst = max(leave.lag for leave in leaves)
    told = [_ms(seconds) for seconds in (statistics.median(last), percentile(last, 0.99), max(last))]
    return [name, str(len(leaves)), *told, _ms(first), f"{_ms(worst)} at most"]


def _silence(silent: Silence) -> list[str]:
    rows = [
        [name, str(len(times)), f"{min(times):.2f}", f"{statistics.median(times):.2f}", f"{max(times):.2f}"]
        for name, times in (
            ("all at one moment", silent.at_one_moment),
            ("each just after a pong, the worst moment", silent.after_pong),
        )
    ]
    worst = max(silent.at_one_moment + silent.after_pong)
    return [
        f"### Members of {one_by_one.MEMBERS} fall silent",
        "Their sockets stay open. The times are seconds from the last sign of life until the last of the others was "
        "told.",
        table(["silent", "members", "shortest", "p50", "longest"], rows),
        f"Aim: at most {SILENCE_AIM:g} s with the defaults (a ping every {limits.PING_INTERVAL:g} s, "
        f"{limits.PONG_TIMEOUT:g} s for its pong): {_met(worst, SILENCE_AIM)}"
        + ("." if worst <= SILENCE_AIM else f" by {_ms(worst - SILENCE_AIM, 0)} ms."),
    ]


def _at_once(measured: AtOnce, watched: AtOnce, report: Report) -> list[str]:
    return [
        f"### {at_once.LEAVERS} of {at_once.MEMBERS} leave at once",
        f"The bench closes their sockets in one loop, in {_ms(measured.closing)} ms, by FIN, close frame and reset in "
        f"turn. Each member has two transports and a microphone and consumes {at_once.SPEAKERS} streams.",
        table(["what", "measured", "aim"], [*_at_once_rows(measured), *_watched_rows(report), _lag_row(measured)]),
        "† in a second run, in which the gateway watched its own steps; in that run the last was told after "
        f"{watched.last_told:.2f} s. A message that waits in many outboxes is in memory once and counts in each.",
    ]


def _at_once_rows(measured: AtOnce) -> list[list[str]]:
    return [
        ["the first of the others learns of a first leave after", f"{measured.first_told:.2f} s", ""],
        ["the last of the others learns of all leaves after", f"{measured.last_told:.2f} s", ""],
        ["processor time of the gateway until then", f"{measured.cpu:.2f} s", ""],
        ["lists, revisions, one `user_left` each, checked at", f"{measured.others} of {measured.others}", "met"],
        ["readers that keep up and were closed", "0", "met"],
        ["resident memory before, at most", f"{_mb(measured.memory_before)}, {_mb(measured.memory_peak)}", ""],
    ]


def _watched_rows(report: Report) -> list[list[str]]:
    step, name = report.longest_steps[0]
    outboxes_met = f"{_mb(OUTBOXES_AIM)}: {_met(report.outboxes, OUTBOXES_AIM)}"
    collections = f"{report.collections}, {_ms(report.longest_collection)} ms"
    return [
        ["all outboxes together, at most †", _mb(report.outboxes), outboxes_met],
        ["the largest outbox †", _mb(report.largest_outbox), ""],
        [f"the longest step († in `{name}`)", f"{_ms(step)} ms", f"{_ms(STEP_AIM, 0)} ms: {_met(step, STEP_AIM)}"],
        ["the longest step, without garbage collection †", f"{_ms(report.longest_own)} ms", ""],
        ["collections of the oldest generation, the longest †", collections, ""],
        ["the longest time without a look at the network †", f"{_ms(report.longest_round)} ms", ""],
    ]


def _lag_row(measured: AtOnce) -> list[str]:
    return ["the bench itself late by", f"{_ms(measured.lag)} ms at most", ""]


def _costs(costs: Sequence[Cost]) -> list[str]:
    head = ["members, the new or leaving one included", "media", "a join", "a leave"]
    rows = [[str(one.members), "yes" if one.with_media else "no", _ms(one.join, 2), _ms(one.leave, 2)] for one in costs]
    return [
        "### What a join and a leave cost",
        f"Milliseconds of the gateway's processor time, medians of {cost.ROUNDS}. A join begins with the WebSocket. "
        "With media it has two handshakes and a microphone; the new member consumes every other member's stream, and "
        "every other member the new one's. A leave closes all of that. Both include telling the others.",
        table(head, rows),
    ]
