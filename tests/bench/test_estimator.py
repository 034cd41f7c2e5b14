"""The page of the bandwidth estimator's figures and curves."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools.bench import estimator

CURVE = "at,truth,estimate,media,queue\n0.00,3000000,300000,150000,0.0\n0.20,10000000,900000,150000,0.012\n"
FIGURES = (
    "scenario,figure,median,p95,limit\n"
    "1. start,s to the top layer,2.878,2.927,AtMost(4.0)\n"
    "4. loss,bits/s at least,500000.000,500000.000,AtLeast(500000.0)\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "page.md").write_text("a\n<!-- estimator: begin -->\nold\n<!-- estimator: end -->\nb\n")
    (tmp_path / "figures.csv").write_text(FIGURES)
    for name in estimator.CURVES:
        (tmp_path / f"{name}.csv").write_text(CURVE)
    return tmp_path


def test_figures_and_curves_go_into_the_page(folder: Path) -> None:
    page = folder / "page.md"
    assert estimator.main([str(folder), "--write", str(page)]) == 0
    text = page.read_text()
    assert "| 1. start | s to the top layer | 2.88 | 2.93 | at most 4 |" in text
    assert "| 4. loss | bits/s at least | 500,000 | 500,000 | at least 500,000 |" in text
    assert "old" not in text
    assert text.startswith("a\n")
    for name in estimator.CURVES:
        assert f"(images/estimator-{name}.svg)" in text
        drawn = ElementTree.parse(folder / "images" / f"estimator-{name}.svg")
        lines = [path for path in drawn.iter("{http://www.w3.org/2000/svg}path") if path.get("fill") == "none"]
        assert len(lines) == 3


def test_nothing_is_written_if_a_file_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = folder / "page.md"
    before = page.read_text()
    (folder / "tcp.csv").unlink()
    assert estimator.main([str(folder), "--write", str(page)]) == 2
    assert "tcp.csv" in capsys.readouterr().err
    assert page.read_text() == before


def test_a_limit_of_an_unknown_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="Exactly"):
        list(
            estimator.figures_table([{"limit": "Exactly(1)", "scenario": "", "figure": "", "median": "1", "p95": "1"}])
        )
