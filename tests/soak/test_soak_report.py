"""The soak's verdicts, its search for the capacity, and its table."""

from typing import Any

import attrs
import pytest
import trio

from tools.soak.attacks import KINDS
from tools.soak.capacity import FIRST, Cost, speakers_for
from tools.soak.load import Call, Cores, Phase, _cost
from tools.soak.report import MEMORY_SLOPE, NO_VERDICT, Soak, alternates, complaints, more_loss, report, status, verdict

QUIET = Phase(None, 0.0004, 0.02, 0, 0, 0.7, 100 << 20, 0.003)
PINGS = attrs.evolve(QUIET, attack="pings", done={"pings": 70_000})
AROUND = [QUIET, QUIET]


def run_of(*attacks: Phase, memory: list[tuple[float, int]] | None = None) -> Soak:
    phases = [QUIET, *(phase for attack in attacks for phase in (attack, QUIET))]
    return Soak(Call(100, 7, 20.0), Cores((0,), (1,)), phases, memory or [(0.0, 90 << 20), (30.0, 91 << 20)], 600)


def test_an_attack_that_nobody_notices_meets_the_aims() -> None:
    assert complaints(PINGS, AROUND) == []
    assert status(run_of(PINGS)) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": 0.0014}, "packets were lost"),
        ({"loss": None}, "no packet came"),
        ({"leave_p99": 0.051}, "leaves were noticed late"),
        ({"leave_p99": None}, "no leave was noticed"),
        ({"list_errors": 1}, "1 list errors"),
        ({"lost": 2}, "2 people were thrown out"),
    ],
)
def test_each_harm_is_a_complaint(change: dict[str, Any], words: str) -> None:
    harmed = attrs.evolve(PINGS, **change)
    assert complaints(harmed, AROUND) == [words]
    assert status(run_of(harmed)) == 1
    assert f"**missed**: {words}" in "\n".join(report(run_of(harmed)))


def test_loss_counts_beyond_the_usual() -> None:
    lossy = attrs.evolve(QUIET, loss=0.002)
    attack = attrs.evolve(PINGS, loss=0.0021)
    assert more_loss(attack, [lossy, lossy]) == pytest.approx(0.0001)
    assert complaints(attack, [lossy, lossy]) == []
    assert complaints(attack, AROUND) == ["packets were lost"]


def test_a_machine_that_is_always_late_is_named() -> None:
    late = attrs.evolve(QUIET, leave_p99=0.06)
    assert complaints(attrs.evolve(PINGS, leave_p99=0.06), [late, late]) == [
        "leaves were noticed late, as without the attack"
    ]


def test_a_load_test_that_was_too_slow_gives_no_verdict_about_time_but_about_losses() -> None:
    late = attrs.evolve(PINGS, leave_p99=0.06, doubts=("the worker was late",))
    assert verdict(late, AROUND) == NO_VERDICT
    assert status(run_of(late)) == 3
    lossy = attrs.evolve(late, loss=0.01)
    assert verdict(lossy, AROUND) == "**missed**: packets were lost; leaves were noticed late"
    assert status(run_of(late, lossy)) == 1


@pytest.mark.parametrize(("growth", "kept"), [(0.9, True), (1.2, False)])
def test_memory_that_grows_misses_its_aim(growth: float, kept: bool) -> None:
    per_second = growth * MEMORY_SLOPE / 60
    samples = [(float(at), round((50 << 20) + per_second * at)) for at in range(0, 300, 10)]
    found = run_of(PINGS, memory=samples)
    assert found.memory_slope == pytest.approx(per_second, rel=0.01)
    assert status(found) == (0 if kept else 1)
    assert ("**missed**" in "\n".join(report(found))) is not kept


def test_a_short_run_says_nothing_about_memory() -> None:
    found = run_of(PINGS)
    assert found.memory_slope is None
    assert "too short" in "\n".join(report(found))


def test_the_report_has_a_row_for_each_attack_and_names_doubts() -> None:
    attacks = [attrs.evolve(PINGS, attack=name) for name in KINDS]
    text = "\n".join(report(run_of(*attacks)))
    for kind in KINDS.values():
        assert f"| {kind.about} | 70,000 pings | 0.040% | +0.000% | 20.0 | 0 | 0 | 70% | 3.0 | 100 | met |" in text
    assert "Doubtful" not in text
    doubted = attrs.evolve(PINGS, doubts=("the worker was late",))
    assert "**Doubtful**" in "\n".join(report(run_of(doubted)))


def test_phases_take_turns() -> None:
    assert alternates(run_of(PINGS, PINGS).phases)
    assert not alternates([QUIET, QUIET])
    assert not alternates([PINGS, QUIET])
    assert not alternates([])


@pytest.mark.parametrize(
    ("cost", "speakers"),
    [
        (Cost(14.1e-6, 1e-6), 10),  # 0.7 / 14.1 µs are 49,645 packets a second, 10 voices of 50 for 99 receivers
        (Cost(1e-6, 12.1e-6), 10),  # the people's own core is full first
        (Cost(1.0, 1.0), 1),
        (Cost(1e-9, 1e-9), 100),
    ],
)
async def test_the_number_of_speakers_follows_from_the_cost_of_a_packet(cost: Cost, speakers: int) -> None:
    async def measure(_: int) -> Cost:
        await trio.lowlevel.checkpoint()
        return cost

    assert await speakers_for(0.7, 100, measure) == speakers


async def test_a_cost_that_falls_with_the_number_is_corrected() -> None:
    asked: list[int] = []

    async def measure(number: int) -> Cost:
        await trio.lowlevel.checkpoint()
        asked.append(number)
        return Cost(10e-6 if number > FIRST else 20e-6, 1e-6)

    assert await speakers_for(0.7, 100, measure) == 14
    assert asked == [FIRST, 7]


def test_the_cost_of_a_packet_is_read_from_the_report_of_the_load() -> None:
    report = {
        "figures": {"cpu_per_packet": 12e-6},
        "measured_seconds": 5.0,
        "own": [{"cpu_mean": 0.2}, {"cpu_mean": 0.02}],
        "series": [{"received": 0.0}, {"received": 9_000.0}, {"received": 10_000.0}, {"received": 11_000.0}],
    }
    found = _cost(report)
    assert found is not None
    assert found.gateway == 12e-6
    assert found.clients == pytest.approx(22e-6)
    assert _cost({**report, "figures": {"cpu_per_packet": None}}) is None
