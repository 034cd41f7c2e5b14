"""The part of a page that the bench writes: what is between two marker comments."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tools.bench.leaving import BenchError

BEGIN: Final = "<!-- bench-leave: begin -->"
END: Final = "<!-- bench-leave: end -->"


def check(page: Path) -> None:
    """Raises :exc:`BenchError` where there is nothing to write into: better before measuring than after."""
    _split(page)


def replace(page: Path, text: str) -> None:
    """Put ``text`` between the markers, in place of what is there.  Raises :exc:`BenchError`."""
    before, after = _split(page)
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", encoding="utf-8")


def _split(page: Path) -> tuple[str, str]:
    try:
        whole = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read {page}: {error}") from error
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(BEGIN) > whole.index(END):
        raise BenchError(f"{page} needs one line {BEGIN} and, after it, one line {END}; the results go between them")
    return whole[: whole.index(BEGIN)], whole[whole.index(END) + len(END) :]
