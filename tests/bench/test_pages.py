"""A tool replaces only the text between its two markers of a page."""

from pathlib import Path

import pytest

from tools.page import NoPlace, Place

PLACE = Place("table")


def page(folder: Path, text: str) -> Path:
    made = folder / "page.md"
    made.write_text(text, encoding="utf-8")
    return made


def test_only_the_text_between_the_markers_is_replaced(tmp_path: Path) -> None:
    written = page(tmp_path, "before\n<!-- table: begin -->\nold\n<!-- table: end -->\nafter\n")
    PLACE.check(written)
    PLACE.replace(written, "\n| new |\n")
    assert written.read_text() == "before\n<!-- table: begin -->\n\n| new |\n\n<!-- table: end -->\nafter\n"


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    written = page(tmp_path, "<!-- table: begin --><!-- table: end -->")
    PLACE.replace(written, "text")
    once = written.read_text()
    PLACE.replace(written, "text")
    assert written.read_text() == once


def test_places_of_one_page_are_independent(tmp_path: Path) -> None:
    written = page(tmp_path, "<!-- table: begin --><!-- table: end --> <!-- other: begin -->kept<!-- other: end -->")
    PLACE.replace(written, "text")
    assert written.read_text().endswith(" <!-- other: begin -->kept<!-- other: end -->")


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- table: begin -->",
        "<!-- table: end --><!-- table: begin -->",
        "<!-- table: begin --><!-- table: end --><!-- table: end -->",
    ],
)
def test_a_page_without_exactly_one_place_is_refused_and_unchanged(tmp_path: Path, text: str) -> None:
    written = page(tmp_path, text)
    with pytest.raises(NoPlace, match="needs one line <!-- table: begin -->"):
        PLACE.check(written)
    with pytest.raises(NoPlace):
        PLACE.replace(written, "text")
    assert written.read_text() == text


def test_an_error_names_an_unreadable_page(tmp_path: Path) -> None:
    with pytest.raises(NoPlace, match=r"missing\.md"):
        PLACE.check(tmp_path / "missing.md")
