"""Every page begins with its readers, and the log events that a page names exist."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, name_of

_OPENING = re.compile(r"# [^\n]+\n\nThis page is for ")
_EVENTS = (
    "client disconnected",
    "media closed",
    "removed from channel",
    "members notified",
    "request refused",
    "log lines lost",
    "address found",
    "address gone",
)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=name_of)
def test_a_page_begins_with_its_readers(page: Path) -> None:
    assert _OPENING.match(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("event", _EVENTS)
def test_the_operating_page_names_log_events_that_exist(event: str) -> None:
    assert f"`{event}`" in (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    sources = [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "sfu").rglob("*.py")]
    assert any(re.search(f"[\"']{event}[\"']", source.read_text(encoding="utf-8")) for source in sources)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_no_leftover_of_a_merge(page: Path) -> None:
    assert not re.search("<{7}|>{7}", page.read_text(encoding="utf-8"))
