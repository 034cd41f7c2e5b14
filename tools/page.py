"""The part of a page that a tool writes: what is between two marker comments."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


class NoPlace(Exception):
    """The page has no place for what a tool writes."""


@frozen
class Place:
    """Between ``<!-- name: begin -->`` and ``<!-- name: end -->``."""

    name: str

    @property
    def begin(self) -> str:
        return f"<!-- {self.name}: begin -->"

    @property
    def end(self) -> str:
        return f"<!-- {self.name}: end -->"

    def check(self, page: Path) -> None:
        """Raises :exc:`NoPlace` where there is nothing to write into: better before the work than after it."""
        self._split(page)

    def replace(self, page: Path, text: str) -> None:
        """Put ``text`` between the markers, in place of what is there.  Raises :exc:`NoPlace`."""
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
