"""The verdicts about a soak, and its table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen

from tools.bench.figures import NOT_MEASURED, machine, ms, table, today
from tools.soak.attacks import KINDS
from tools.soak.capacity import LOAD
from tools.soak.load import Call, Cores, Phase

MORE_LOSS: Final = 0.001
"""Part of the packets that people may lose more than without the attack."""
LEAVE_P99: Final = 0.05
"""Seconds until the others know of a leave, at the 99th percentile."""
MEMORY_SLOPE: Final = 2 * 1024**2
"""Bytes by which the gateway's memory may grow in a minute, without anybody in it."""
_MEGABYTE: Final = 1024**2
_MINUTE: Final = 60.0
_FEWEST_SAMPLES: Final = 6
_LATE: Final = "leaves were noticed late"
NO_VERDICT: Final = "met but for the leaves: the load test was too slow to time them"


@frozen
class Soak:
    """A whole run. ``phases`` alternate between nobody and one attack, and begin and end with nobody.

    ``memory`` has the gateway's memory after each phase, when everybody had left, with the time in seconds.
    """

    call: Call
    cores: Cores
    phases: Sequence[Phase]
    memory: Sequence[tuple[float, int]]
    seconds: float

    @property
    def attacks(self) -> Iterator[tuple[Phase, Sequence[Phase]]]:
        """Each attack, with the phases before and after it."""
        for number, phase in enumerate(self.phases):
            if phase.attack is not None:
                yield phase, [self.phases[number - 1], self.phases[number + 1]]

    @property
    def memory_slope(self) -> float | None:
        """Bytes a second by which the memory grew. The first third does not count: caches fill then."""
        settled = self.memory[len(self.memory) // 3 :]
        if len(settled) < _FEWEST_SAMPLES:
            return None
        return statistics.linear_regression(*zip(*settled, strict=True)).slope


def complaints(phase: Phase, before_and_after: Sequence[Phase]) -> list[str]:
    """Return what people noticed of an attack, in words. Nothing if they noticed nothing."""
    found = []
    if (more := more_loss(phase, before_and_after)) is None or more >= MORE_LOSS:
        found.append("packets were lost" if more is not None else "no packet came")
    usual = [one.leave_p99 for one in before_and_after if one.leave_p99 is not None]
    if phase.leave_p99 is None:
        found.append("no leave was noticed")
    elif phase.leave_p99 > LEAVE_P99:
        also = ", as without the attack" if usual and max(usual) > LEAVE_P99 else ""
        found.append(f"{_LATE}{also}")
    if phase.list_errors:
        found.append(f"{phase.list_errors} list errors")
    if phase.lost:
        found.append(f"{phase.lost} people were thrown out")
    return found


def more_loss(phase: Phase, before_and_after: Sequence[Phase]) -> float | None:
    """Return the part of the packets that were lost because of an attack."""
    usual = [one.loss for one in before_and_after if one.loss is not None]
    return None if phase.loss is None or not usual else phase.loss - statistics.mean(usual)


def verdict(phase: Phase, before_and_after: Sequence[Phase]) -> str:
    """Return a cell of the table: the aims are met, missed, or cannot be judged."""
    found = complaints(phase, before_and_after)
    if found and all(complaint.startswith(_LATE) for complaint in found) and phase.doubts:
        return NO_VERDICT
    return f"**missed**: {'; '.join(found)}" if found else "met"


def status(soak: Soak) -> int:
    """Exit status: 0 if nobody noticed any attack, 1 if somebody did, 3 if the load test was too slow to tell."""
    slope, verdicts = soak.memory_slope, [verdict(*attack) for attack in soak.attacks]
    if (slope is not None and slope * _MINUTE > MEMORY_SLOPE) or any(one.startswith("**") for one in verdicts):
        return 1
    return 3 if NO_VERDICT in verdicts else 0


def report(soak: Soak) -> list[str]:
    """Return the parts of the report."""
    return [_conditions(soak), _table(soak), _memory(soak), *_doubts(soak)]


def _conditions(soak: Soak) -> str:
    call = soak.call
    quiet = [phase for phase in soak.phases if phase.attack is None]
    load = statistics.mean(phase.gateway_cpu for phase in quiet)
    less = "" if load > LOAD * 0.9 else f" ({LOAD:.0%} was wanted, but the people's own core carries no more)"
    pinned = (
        "The gateway has one core, the people and the attacker another" if soak.cores.gateway else "All share a core"
    )
    return (
        f"On {machine()}, {today()}. {pinned}. A call of {call.members} members, of whom {call.speakers} talk and 2 a "
        f"second leave and come back, uses {load:.0%} of the gateway's core{less}. Each attack lasts about "
        f"{call.seconds:.0f} s, and as long a time without an attack comes before and after it. The whole run took "
        f"{soak.seconds / _MINUTE:.0f} minutes. The aims: less than {MORE_LOSS:.1%} of the packets lost more than "
        f"without the attack, p99 of noticing a leave at most {ms(LEAVE_P99, 0)} ms, no list error, nobody thrown out."
    )


def _table(soak: Soak) -> str:
    quiet = [phase for phase in soak.phases if phase.attack is None]
    rows = [["nobody (the worst)", "", *_figures(_worst(quiet), None), ""]]
    for phase, around in soak.attacks:
        assert phase.attack is not None
        done = ", ".join(f"{number:,} {what}" for what, number in sorted(phase.done.items()))
        figures = _figures(phase, more_loss(phase, around))
        rows.append([KINDS[phase.attack].about, done, *figures, verdict(phase, around)])
    head = ["attack", "done", "lost", "more than without", "leave noticed, p99, ms", "list errors", "thrown out"]
    of_gateway = ["CPU of the gateway", "its loop late, at most, ms", "memory at most, MB", "aims"]
    return table([*head, *of_gateway], rows)


def _worst(phases: Sequence[Phase]) -> Phase:
    return Phase(
        None,
        max((phase.loss for phase in phases if phase.loss is not None), default=None),
        max((phase.leave_p99 for phase in phases if phase.leave_p99 is not None), default=None),
        max(phase.list_errors for phase in phases),
        max(phase.lost for phase in phases),
        max(phase.gateway_cpu for phase in phases),
        max(phase.memory for phase in phases),
        max(phase.loop_delay for phase in phases),
    )


def _figures(phase: Phase, more: float | None) -> list[str]:
    return [
        NOT_MEASURED if phase.loss is None else f"{phase.loss:.3%}",
        "" if more is None else f"{more:+.3%}",
        NOT_MEASURED if phase.leave_p99 is None else ms(phase.leave_p99),
        str(phase.list_errors),
        str(phase.lost),
        f"{phase.gateway_cpu:.0%}",
        ms(phase.loop_delay),
        f"{phase.memory / _MEGABYTE:.0f}",
    ]


def _memory(soak: Soak) -> str:
    samples = [size / _MEGABYTE for _, size in soak.memory]
    growth = f"from {samples[0]:.0f} to {samples[-1]:.0f} MB, at most {max(samples):.0f} MB"
    slope = soak.memory_slope
    if slope is None:
        return f"Memory of the empty gateway, after each phase: {growth}. The run was too short for a verdict."
    met = "met" if slope * _MINUTE <= MEMORY_SLOPE else "**missed**"
    return (
        f"Memory of the empty gateway, after each phase: {growth}. In the last two thirds of the run it changed by "
        f"{slope * _MINUTE / _MEGABYTE:+.2f} MB a minute. Aim: at most {MEMORY_SLOPE / _MEGABYTE:.0f}: {met}."
    )


def _doubts(soak: Soak) -> Iterator[str]:
    doubtful = [phase for phase in soak.phases if phase.doubts]
    if doubtful:
        which = f"in {len(doubtful)} of {len(soak.phases)} phases. The first: {doubtful[0].doubts[0]}"
        yield f"**Doubtful**, since the load test itself was too slow {which}."


def alternates(phases: Sequence[Phase]) -> bool:
    """Whether phases with and without an attack take turns, and the first and the last have none."""
    ends = bool(phases) and phases[0].attack is None and phases[-1].attack is None
    return ends and all((one.attack is None) != (other.attack is None) for one, other in pairwise(phases))
