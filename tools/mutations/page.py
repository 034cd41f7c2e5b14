"""The table of mutations and the tests that noticed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tools.mutations.runner import Outcome, Result
from tools.page import Place

PLACE: Final = Place("mutations")


def table(results: Sequence[Result]) -> str:
    """The results as Markdown, in the order of the guarantees."""
    lines = ["| | broken on purpose | in | noticed by |", "|---|---|---|---|"]
    for result in sorted(results, key=lambda result: result.mutation.guarantee):
        mutation = result.mutation
        noticed = _code(result.test) if result.outcome is Outcome.CAUGHT else f"**{result.outcome}**"
        lines.append(f"| {mutation.guarantee} | {mutation.description} | {_code(mutation.file)} | {noticed} |")
    return "\n".join(lines)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
