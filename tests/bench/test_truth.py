"""The bench of leaves: its report, its command, and where a page's plots go."""

import math
from pathlib import Path

import pytest

from tools.bench.calls import gateway_server
from tools.bench.calls.server import Contestant
from tools.bench.command import Report
from tools.bench.paths.call import PathFigures
from tools.bench.paths.contest import PathsOutcome
from tools.bench.paths.rows import LEAVES
from tools.bench.paths.truth import TruthTable, conditions, main
from tools.page import Place

OURS = Contestant("gateway", "trio-sfu", "1", gateway_server.open_gateway)
JANUS = Contestant("janus", "Janus", "2", gateway_server.open_gateway)


def report(ours: dict[str, list[float]], janus: dict[str, list[float]]) -> Report:
    outcome = PathsOutcome()
    for name, times in (("gateway", ours), ("janus", janus)):
        for row, seconds in times.items():
            outcome.runs[row, name, "chromium"] += [PathFigures(gone=one) for one in seconds]
    return TruthTable(outcome, LEAVES, [OURS, JANUS]).report(conditions("Chromium 1", 3, 600))


def test_the_table_has_a_line_for_each_way_and_a_column_for_each_server() -> None:
    said = report({"closed": [0.1, 0.2, 0.007], "cable": [8.2]}, {"closed": [0.3], "cable": [math.inf, 62.0, 61.0]})
    text = said.text()
    assert "|  | trio-sfu | Janus |" in text
    assert "| the tab is closed | 0.1 (< 0.1–0.2) | 0.3 |" in text
    assert "| the cable is pulled for good | 8.2 | 62.0 (61.0–never) |" in text
    assert "| the laptop falls asleep | – | – |" in text
    assert "misses" not in text


def test_a_missed_aim_is_named() -> None:
    said = report({"kill": [1.5], "asleep": [9.9]}, {"kill": [99.0]}).text()
    assert "**trio-sfu misses its aims**: the browser is killed (after 1.5 s, not 1 s)." in said


def test_the_plot_leaves_out_what_never_came() -> None:
    ((name, _, drawn),) = report({"closed": [0.1], "cable": [8.0]}, {"closed": [0.2], "cable": [math.inf]}).plots
    assert name == "truth.svg"
    assert "trio-sfu: 8 (8 to 8)" in drawn
    assert "Janus: 0.2 (0.2 to 0.2)" in drawn
    assert "inf" not in drawn


def test_the_plots_of_the_readme_are_with_those_of_the_pages(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "README.md"
    page.write_text("<!-- bench-truth: begin -->\n<!-- bench-truth: end -->\n")
    report({"closed": [0.1]}, {}).write(Place("bench-truth"), page)
    assert "](docs/images/truth.svg)" in page.read_text()
    assert (tmp_path / "docs" / "images" / "truth.svg").exists()


def test_without_namespaces_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.bench.calls.wire.why_not_here", lambda: "no network namespaces here: not permitted")
    monkeypatch.setattr("tools.bench.paths.truth.browsers", lambda only, progress: {"chromium": "Chromium 1"})
    assert main(["--only", "gateway"]) == 2
    assert "error: no network namespaces here: not permitted; the bench needs root" in capsys.readouterr().err
