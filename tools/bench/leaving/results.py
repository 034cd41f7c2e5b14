"""The results as Markdown, with what was aimed at beside what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from protocol import limits
from tools.bench.leaving import at_once, cost, one_by_one
from tools.bench.leaving.at_once import AtOnce
from tools.bench.leaving.cost import Cost
from tools.bench.leaving.one_by_one import Leave, Load
from tools.bench.leaving.silence import Silence
from tools.bench.leaving.watched_gateway import Report
from tools.bench.leaving.ways import WAYS

TOLD_AIM: Final = 0.05
SILENCE_AIM: Final = 10.0
OUTBOXES_AIM: Final = 200e6
STEP_AIM: Final = 0.1


@frozen
class Results:
    """All that the bench found out.  ``watched`` and ``report`` are of the run that watched itself."""

    machine: str
    seconds: float
    load: Load
    leaves: Sequence[Leave]
    silence: Silence
    at_once: AtOnce
    watched: AtOnce
    report: Report
    costs: Sequence[Cost]

    def __str__(self) -> str:
        parts = [
            f"On {self.machine}; the clients on the same cores, in a process of their own.  "
            f"The whole bench took {self.seconds:.0f} s.",
            *_one_by_one(self.load, self.leaves),
            *_silence(self.silence),
            *_at_once(self.at_once, self.watched, self.report),
            *_costs(self.costs),
        ]
        return "\n\n".join(parts)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of the values that is not below ``share`` of them (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _ms(seconds: float, digits: int = 1) -> str:
    return f"{seconds * 1000:.{digits}f}"


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def _met(measured: float, aim: float) -> str:
    return "met" if measured <= aim else "**missed**"


def _one_by_one(load: Load, leaves: Sequence[Leave]) -> list[str]:
    p99 = percentile((leave.last_told for leave in leaves), 0.99)
    rows = [_leaves_row(way.name, [leave for leave in leaves if leave.way is way]) for way in WAYS]
    rows.append(_leaves_row("**all**", leaves))
    head = ["the socket closes by", "leaves", "p50", "p99", "longest", "first told, p50", "the bench itself late by"]
    return [
        f"### One of {one_by_one.MEMBERS} leaves",
        f"{load.consumers:,} consumers, {one_by_one.SPEAKERS} members speak: {load.packets_out:,.0f} packets out a "
        f"second, which keep one core busy for {load.cpu_share:.0%} while nobody leaves.  Milliseconds from the "
        f"socket's closing until the last of the others has been told; p99 is the nearest rank.",
        table(head, rows),
        f"Aim: p99 of all at most {_ms(TOLD_AIM, 0)} ms: {_met(p99, TOLD_AIM)}.",
    ]


def _leaves_row(name: str, leaves: Sequence[Leave]) -> list[str]:
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
            ("each just after a pong, the worst there is", silent.after_pong),
        )
    ]
    worst = max(silent.at_one_moment + silent.after_pong)
    return [
        f"### Members of {one_by_one.MEMBERS} fall silent",
        "Their sockets stay open.  Seconds from the last sign of life until the last of the others has been told.",
        table(["silent", "members", "shortest", "p50", "longest"], rows),
        f"Aim: at most {SILENCE_AIM:g} s with the defaults (a ping every {limits.PING_INTERVAL:g} s, "
        f"{limits.PONG_TIMEOUT:g} s for its pong): {_met(worst, SILENCE_AIM)}"
        + ("." if worst <= SILENCE_AIM else f" by {_ms(worst - SILENCE_AIM, 0)} ms."),
    ]


def _at_once(measured: AtOnce, watched: AtOnce, report: Report) -> list[str]:
    step, name = report.longest_steps[0]
    rows = [
        ["the first of the others told of one", f"{measured.first_told:.2f} s", ""],
        ["the last of the others told of all", f"{measured.last_told:.2f} s", ""],
        ["processor time of the gateway until then", f"{measured.cpu:.2f} s", ""],
        ["lists, revisions, one `user_left` each, checked at", f"{measured.others} of {measured.others}", "met"],
        ["readers that keep up and were closed", "0", "met"],
        ["resident memory before, at most", f"{_mb(measured.memory_before)}, {_mb(measured.memory_peak)}", ""],
        [
            "all outboxes together, at most †",
            _mb(report.outboxes),
            f"{_mb(OUTBOXES_AIM)}: {_met(report.outboxes, OUTBOXES_AIM)}",
        ],
        ["the largest outbox †", _mb(report.largest_outbox), ""],
        [f"the longest step († in `{name}`)", f"{_ms(step)} ms", f"{_ms(STEP_AIM, 0)} ms: {_met(step, STEP_AIM)}"],
        ["the longest step, without garbage collection †", f"{_ms(report.longest_own)} ms", ""],
        [
            "collections of the oldest generation, the longest †",
            f"{report.collections}, {_ms(report.longest_collection)} ms",
            "",
        ],
        ["the longest time without a look at the network †", f"{_ms(report.longest_round)} ms", ""],
        ["the bench itself late by", f"{_ms(measured.lag)} ms at most", ""],
    ]
    return [
        f"### {at_once.LEAVERS} of {at_once.MEMBERS} leave at once",
        f"Their sockets are closed in one loop, which took {_ms(measured.closing)} ms, by FIN, close frame and reset "
        f"in turn.  All have two transports and a microphone and take {at_once.SPEAKERS} streams.",
        table(["what", "measured", "aim"], rows),
        f"† in a second run, in which the gateway watched its own steps; there the last was told after "
        f"{watched.last_told:.2f} s.  What waits in many outboxes is in memory once and counted in each.",
    ]


def _costs(costs: Sequence[Cost]) -> list[str]:
    head = ["members, with who comes and goes", "media", "a join", "a leave"]
    rows = [[str(one.members), "yes" if one.with_media else "no", _ms(one.join, 2), _ms(one.leave, 2)] for one in costs]
    return [
        "### What a join and a leave cost",
        f"Milliseconds of the gateway's processor time, medians of {cost.ROUNDS}; a join is all that follows from it: "
        "the WebSocket's opening, and with media two handshakes, a microphone, a consumer of each other member's, and "
        "one at each other member of the new one's; a leave is all of that closing.  Telling the others is in it.",
        table(head, rows),
    ]
