"""The results as Markdown, each beside its aim."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import frozen

from protocol import limits
from tools.bench.figures import table
from tools.bench.leave import at_once, cost, full_channel
from tools.bench.leave.at_once import AtOnce
from tools.bench.leave.cost import Cost
from tools.bench.leave.full_channel import Load, MeasuredLeave, Silence
from tools.bench.leave.listeners import ENDINGS
from tools.bench.leave.watched_gateway import Watched

NOTICE_AIM: Final = 0.05
SILENCE_AIM: Final = 10.0
OUTBOXES_AIM: Final = 200e6
STEP_AIM: Final = 0.1


@frozen
class LeaveResults:
    """All results of the bench.

    ``watched`` is from a second run of the leave at once, whose gateway watched itself. In that run the last notice
    came ``watched_notice`` seconds after the first connection ended.
    """

    machine: str
    seconds: float
    load: Load
    leaves: Sequence[MeasuredLeave]
    silence: Silence
    at_once: AtOnce
    watched_notice: float
    watched: Watched
    costs: Sequence[Cost]

    def __str__(self) -> str:
        parts = [
            f"On {self.machine}. The clients run on the same cores, in a process of their own. "
            f"The whole bench took {self.seconds:.0f} s.",
            *_one_by_one(self.load, self.leaves),
            *_silence(self.silence),
            *_at_once(self.at_once, self.watched_notice, self.watched),
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


def _one_by_one(load: Load, leaves: Sequence[MeasuredLeave]) -> Iterator[str]:
    p99 = percentile((leave.last_notice for leave in leaves), 0.99)
    kinds = {ending.name: [leave for leave in leaves if leave.ending is ending] for ending in ENDINGS}
    head = ["the socket closes by", "leaves", "p50", "p99", "longest", "first notice, p50", "the bench itself late by"]
    yield f"### One of {full_channel.MEMBERS} leaves"
    yield (
        f"{load.consumers:,} consumers. {full_channel.SPEAKERS} members speak. While nobody leaves, the gateway sends "
        f"{load.packets_out:,.0f} packets a second and uses {load.cpu_share:.0%} of a core. The times are milliseconds "
        "from the socket's closing to the last notice at another member. p99 is the nearest rank."
    )
    yield table(head, (_leaves_row(*kind) for kind in [*kinds.items(), ("**all**", leaves)]))
    yield f"Aim: p99 of all at most {_ms(NOTICE_AIM, 0)} ms: {_met(p99, NOTICE_AIM)}."


def _leaves_row(name: str, leaves: Sequence[MeasuredLeave]) -> list[object]:
    last = [leave.last_notice for leave in leaves]
    first, late = statistics.median(leave.first_notice for leave in leaves), max(leave.lag for leave in leaves)
    times = [statistics.median(last), percentile(last, 0.99), max(last), first]
    return [name, len(leaves), *map(_ms, times), f"{_ms(late)} at most"]


def _silence(silent: Silence) -> Iterator[str]:
    kinds = {
        "all at one moment": silent.at_one_moment,
        "each just after a pong, the worst moment": silent.after_pong,
    }
    rows = [
        [name, len(times), *(f"{one(times):.2f}" for one in (min, statistics.median, max))]
        for name, times in kinds.items()
    ]
    worst = max(silent.at_one_moment + silent.after_pong)
    yield f"### Members of {full_channel.MEMBERS} fall silent"
    yield (
        "Their sockets stay open. The times are seconds from the last sign of life to the last notice at another "
        "member."
    )
    yield table(["silent", "members", "shortest", "p50", "longest"], rows)
    yield (
        f"Aim: at most {SILENCE_AIM:g} s with the defaults (a ping every {limits.PING_INTERVAL:g} s, "
        f"{limits.PONG_TIMEOUT:g} s for its pong): {_met(worst, SILENCE_AIM)}"
        + ("." if worst <= SILENCE_AIM else f" by {_ms(worst - SILENCE_AIM, 0)} ms.")
    )


def _at_once(measured: AtOnce, watched_notice: float, watched: Watched) -> Iterator[str]:
    outboxes_met = f"{_mb(OUTBOXES_AIM)}: {_met(watched.outboxes, OUTBOXES_AIM)}"
    step_met = f"{_ms(STEP_AIM, 0)} ms: {_met(watched.longest_step, STEP_AIM)}"
    collections = f"{watched.collections}, {_ms(watched.longest_collection)} ms"
    rows = [
        ["first notice of a leave after", f"{measured.first_notice:.2f} s", ""],
        ["last notice of the last leave after", f"{measured.last_notice:.2f} s", ""],
        ["processor time of the gateway until then", f"{measured.cpu:.2f} s", ""],
        ["lists, revisions, one `user_left` each, checked at", f"{measured.others} of {measured.others}", "met"],
        ["readers that keep up and were closed", "0", "met"],
        ["resident memory before, at most", f"{_mb(measured.memory_before)}, {_mb(measured.memory_peak)}", ""],
        ["all outboxes together, at most †", _mb(watched.outboxes), outboxes_met],
        ["the largest outbox †", _mb(watched.largest_outbox), ""],
        [f"the longest step († in `{watched.task}`)", f"{_ms(watched.longest_step)} ms", step_met],
        ["the longest step, without garbage collection †", f"{_ms(watched.longest_own)} ms", ""],
        ["collections of the oldest generation, the longest †", collections, ""],
        ["the longest time without a look at the network †", f"{_ms(watched.longest_round)} ms", ""],
        ["the bench itself late by", f"{_ms(measured.lag)} ms at most", ""],
    ]
    yield f"### {at_once.LEAVERS} of {at_once.MEMBERS} leave at once"
    yield (
        f"The bench closes their sockets in one loop, in {_ms(measured.closing)} ms, by FIN, close frame and reset in "
        f"turn. Each member has two transports and a microphone and consumes {at_once.SPEAKERS} streams."
    )
    yield table(["what", "measured", "aim"], rows)
    yield (
        "† From a second run, in which the gateway watched its own steps. In that run the last notice came after "
        f"{watched_notice:.2f} s. A message that waits in many outboxes is in memory once and counts in each."
    )


def _costs(costs: Sequence[Cost]) -> Iterator[str]:
    head = ["members, the new or leaving one included", "media", "a join", "a leave"]
    yield "### What a join and a leave cost"
    yield (
        f"Milliseconds of the gateway's processor time, medians of {cost.ROUNDS}. A join begins with the WebSocket. "
        "With media it has two handshakes and a microphone. The new member then consumes every other member's stream, "
        "and every other member consumes the new member's stream. A leave closes all of that. Both include the notices "
        "to the others."
    )
    yield table(
        head, ((one.members, "yes" if one.with_media else "no", _ms(one.join, 2), _ms(one.leave, 2)) for one in costs)
    )
