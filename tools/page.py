"""Replaces the part of a page that a tool writes, between two marker comments."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


class NoPlace(Exception):
    """The page lacks the marker comments, or cannot be read."""


@frozen
class Place:
    """The place between ``<!-- name: begin -->`` and ``<!-- name: end -->``."""

    name: str

    @property
    def begin(self) -> str:
        return f"<!-- {self.name}: begin -->"

    @property
    def end(self) -> str:
        return f"<!-- {self.name}: end -->"

    def check(self, page: Path) -> None:
        """Raises :exc:`NoPlace` if the page has no such place.  Call this before the work whose result it will hold."""
        self._split(page)

    def replace(self, page: Path, text: str) -> None:
        """Replace the text between the markers.  Raises :exc:`NoPlace`."""
        before, after = self._split(page)
        page.write_text(f"{before}{self.begin}\n\n{text.strip()}\n\n{self.end}{after}", encoding="utf-8")

    def _split(self, page: Path) -> tuple[str, str]:
        try:
            whole = page.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NoPlace(f"cannot read {page}: {error}") from error
        begins, ends = whole.count(self.begin), whole.count(self.end)
        if begins != 1 or ends != 1 or whole.index(self.begin) > whole.index(self.end):
            raise NoPlace(f"{page} needs one line {self.begin} and, after it, one line {self.end}")
        return whole[: whole.index(self.begin)], whole[whole.index(self.end) + len(self.end) :]
