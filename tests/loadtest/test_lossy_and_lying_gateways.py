"""Each fault of a gateway or of the network shows in the right figure."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway_process import run_gateway
from tests.loadtest.relay import (
    BAD_HOST,
    CLEAN_HOST,
    Impairment,
    delay,
    drop_every_tenth,
    hold_back_every_tenth,
    repeat_every_tenth,
    run_relay,
    stop_in_the_middle,
    swallow,
)
from tests.loadtest.run_tool import Run, run_tool

MEDIA_LIMITS = (
    *("--max-loss", "1%", "--max-duplicated", "1%", "--max-reordered", "1%", "--max-latency-p50", "50ms"),
    *("--max-roster-errors", "0", "--max-silent-streams", "0"),
)


def behind_relay(tmp_path: Path, impairment: Impairment) -> Run:
    options = ("--media-host", CLEAN_HOST, "--media-announce", BAD_HOST, "--planes", "1")
    with run_gateway(tmp_path / "log", *options) as gateway, run_relay(gateway.media_port, impairment):
        return run_tool(gateway.url, "--members", "3", "--duration", "2s", "--ramp", "50", *MEDIA_LIMITS)


CASES: dict[str, tuple[Impairment, str, float, float]] = {
    "drop": (drop_every_tenth, "loss", 0.08, 0.12),
    "repeat": (repeat_every_tenth, "duplicated", 0.07, 0.11),
    "hold back": (hold_back_every_tenth, "reordered", 0.08, 0.12),
    "delay": (delay, "latency_p50", 0.079, 0.12),  # 80 ms, by a histogram that is up to 1 % off
    "stop": (stop_in_the_middle, "loss", 0.1, 0.7),
    "swallow": (swallow, "silent_streams", 5.9, 6.1),
}
Runs = dict[str, "Future[Run]"]
LIES = ("forget-one", "forget-all", "notify-late", "notify-twice", "invent-reasons", "slander")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Do all runs, some at a time, because each of them mostly waits."""
    with ThreadPoolExecutor(3) as pool:
        started = {
            name: pool.submit(behind_relay, tmp_path_factory.mktemp("relay"), case[0]) for name, case in CASES.items()
        }
        started |= {lie: pool.submit(run_with_lie, tmp_path_factory.mktemp("lie"), lie) for lie in LIES}
        yield started


@pytest.mark.parametrize("name", CASES)
def test_each_fault_of_the_network_shows_in_its_own_figure(runs: Runs, name: str) -> None:
    _, figure, least, most = CASES[name]
    run = runs[name].result()
    assert run.status == 1
    assert {broken for broken in run.broken if run.figures[broken] is not None} == {figure}
    assert least < run.figures[figure] < most


def run_with_lie(tmp_path: Path, fault: str) -> Run:
    with run_gateway(tmp_path / "log", module=("tests.loadtest.lying_gateway", fault)) as gateway:
        return run_tool(
            gateway.url,
            *("--members", "4", "--duration", "3s", "--ramp", "50", "--churn", "3/s", "--max-roster-errors", "0"),
            *("--max-leave-p50", "200ms", "--max-loss", "1%"),
        )


def test_a_client_without_notices_of_leaves_has_missed_them(runs: Runs) -> None:
    run = runs["forget-one"].result()
    assert run.status == 1
    assert run.broken == {"roster_errors"}
    assert run.errors["missed"] >= 3
    assert run.figures["leave_p50"] < 0.2


def test_a_leave_without_any_notice_is_missed_by_all(runs: Runs) -> None:
    run = runs["forget-all"].result()
    assert "roster_errors" in run.broken
    assert run.errors["missed"] >= 3
    assert run.errors["unannounced"] >= 1


def test_late_notices_of_leaves_are_measured(runs: Runs) -> None:
    run = runs["notify-late"].result()
    assert "leave_p50" in run.broken
    assert run.figures["leave_p50"] > 0.4


def test_repeated_notices_of_leaves_are_counted(runs: Runs) -> None:
    run = runs["notify-twice"].result()
    assert "roster_errors" in run.broken
    assert run.errors["repeated"] >= 6


def test_wrong_reasons_are_counted(runs: Runs) -> None:
    run = runs["invent-reasons"].result()
    assert run.broken == {"roster_errors"}
    assert set(run.errors) == {"reason"}


def test_notices_of_leaves_that_did_not_happen_are_counted(runs: Runs) -> None:
    run = runs["slander"].result()
    assert "roster_errors" in run.broken
    assert run.errors["untrue"] >= 3
