"""The table of what was broken and who noticed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.mutations.runner import Outcome, Result

BEGIN: Final = "<!-- mutations: begin -->"
END: Final = "<!-- mutations: end -->"


class NoPlace(Exception):
    """The page has no place for the table."""


def table(results: Sequence[Result]) -> str:
    """As Markdown, in the order of the guarantees."""
    lines = ["| | broken on purpose | in | noticed by |", "|---|---|---|---|"]
    for result in sorted(results, key=lambda result: result.mutation.guarantee):
        mutation = result.mutation
        noticed = _code(result.test) if result.outcome is Outcome.CAUGHT else f"**{result.outcome}**"
        lines.append(f"| {mutation.guarantee} | {mutation.broken} | {_code(mutation.file)} | {noticed} |")
    return "\n".join(lines)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def check(page: Path) -> None:
    """Raises :exc:`NoPlace`: better before the tests than after them."""
    _split(page)


def replace(page: Path, text: str) -> None:
    """Put ``text`` between the two marker comments, in place of what is there.  Raises :exc:`NoPlace`."""
    before, after = _split(page)
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", encoding="utf-8")


def _split(page: Path) -> tuple[str, str]:
    try:
        whole = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoPlace(f"cannot read {page}: {error}") from error
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(BEGIN) > whole.index(END):
        raise NoPlace(f"{page} needs one line {BEGIN} and, after it, one line {END}; the table goes between them")
    return whole[: whole.index(BEGIN)], whole[whole.index(END) + len(END) :]
