"""Every link from one page of the documentation to another, or to a file, leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, name_of, prose

_INLINE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(\s*([^()\s]+)\s*\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def links(page: Path) -> list[str]:
    """The targets of the page's links, without other sites."""
    found = _LINK.findall(_INLINE.sub("", prose(page)))
    return [link for link in found if "://" not in link and not link.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    made: dict[str, int] = {}
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        made[slug] = made.get(slug, -1) + 1
    return {slug if number == 0 else f"{slug}-{number}" for slug, last in made.items() for number in range(last + 1)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_anchors_are_made_as_github_makes_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Who's `there`?\n\n```\n# no heading\n```\n\n## 1. Order\n\n## [Two](x.md) planes\n\n## 1. Order\n"
    )
    assert anchors(page) == {"whos-there", "1-order", "1-order-1", "two-planes"}
