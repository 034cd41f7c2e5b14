"""A gateway, or a network, that misbehaves is caught, each by the right figure."""

from pathlib import Path

import pytest

from tests.gateway_process import run_gateway
from tests.loadtest.relay import (
    BAD_HOST,
    CLEAN_HOST,
    Mischief,
    delay,
    drop_every_tenth,
    hold_back_every_tenth,
    repeat_every_tenth,
    run_relay,
)
from tests.loadtest.tool import Run, run_tool

MEDIA_LIMITS = (
    *("--max-loss", "1%", "--max-duplicated", "1%", "--max-reordered", "1%", "--max-latency-p50", "50ms"),
    *("--max-roster-errors", "0", "--max-silent-streams", "0"),
)


def behind_relay(tmp_path: Path, mischief: Mischief) -> Run:
    hosts = ("--media-host", CLEAN_HOST, "--media-announce", BAD_HOST)
    with run_gateway(tmp_path / "log", *hosts) as gateway, run_relay(gateway.media_port, mischief):
        return run_tool(gateway.url, "--members", "3", "--duration", "3s", *MEDIA_LIMITS)


@pytest.mark.parametrize(
    ("mischief", "figure", "least", "most"),
    [
        (drop_every_tenth, "loss", 0.08, 0.12),
        (repeat_every_tenth, "duplicated", 0.07, 0.11),
        (hold_back_every_tenth, "reordered", 0.08, 0.12),
        (delay, "latency_p50", 0.08, 0.12),
    ],
)
def test_what_happens_to_packets_shows_in_its_own_figure(
    tmp_path: Path, mischief: Mischief, figure: str, least: float, most: float
) -> None:
    run = behind_relay(tmp_path, mischief)
    assert run.status == 1
    assert run.broken == {figure}
    assert least < run.figures[figure] < most


def told_by(tmp_path: Path, fault: str) -> Run:
    with run_gateway(tmp_path / "log", module=("tests.loadtest.lying_gateway", fault)) as gateway:
        return run_tool(
            gateway.url,
            *("--members", "4", "--duration", "3s", "--churn", "3/s", "--max-roster-errors", "0"),
            *("--max-leave-p50", "200ms", "--max-loss", "1%"),
        )


def test_who_is_not_told_of_leaves_missed_them(tmp_path: Path) -> None:
    run = told_by(tmp_path, "forget-one")
    assert run.status == 1
    assert run.broken == {"roster_errors"}
    assert run.errors["missed"] >= 3
    assert "unannounced" not in run.errors


def test_a_leave_that_nobody_is_told_of_is_missed_by_all(tmp_path: Path) -> None:
    run = told_by(tmp_path, "forget-all")
    assert "roster_errors" in run.broken
    assert run.errors["missed"] >= 3
    assert run.errors["unannounced"] >= 1


def test_leaves_that_are_told_late_are_measured(tmp_path: Path) -> None:
    run = told_by(tmp_path, "tell-late")
    assert "leave_p50" in run.broken
    assert run.figures["leave_p50"] > 0.4


def test_leaves_that_are_told_twice_are_counted(tmp_path: Path) -> None:
    run = told_by(tmp_path, "tell-twice")
    assert "roster_errors" in run.broken
    assert run.errors["repeated"] >= 6


def test_invented_reasons_are_counted(tmp_path: Path) -> None:
    run = told_by(tmp_path, "invent-reasons")
    assert run.broken == {"roster_errors"}
    assert set(run.errors) == {"reason"}


def test_leaves_that_did_not_happen_are_counted(tmp_path: Path) -> None:
    run = told_by(tmp_path, "slander")
    assert "roster_errors" in run.broken
    assert run.errors["untrue"] >= 3
