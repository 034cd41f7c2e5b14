"""A mutation: one small edit that breaks a guarantee, as a developer might do by mistake."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

REPOSITORY = Path(__file__).parents[2]


class StaleMutation(Exception):
    """The text that a mutation replaces does not occur exactly once in its file."""


@frozen
class Mutation:
    """One edit that breaks a guarantee.

    ``guarantee`` is its number in docs/protocol.md.  ``description`` says in one sentence what the gateway then does
    wrong.  ``file`` is a path from the repository's root.  The edit replaces ``before``, which occurs exactly once in
    the file, with ``after``.  ``tests`` are arguments for pytest that select a few tests, of which one should fail.
    """

    guarantee: int
    description: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def check(self, root: Path = REPOSITORY) -> None:
        """Check that the edit is possible.  Raises :exc:`StaleMutation`."""
        self._mutated(root)

    def apply(self, root: Path) -> None:
        """Make the edit in the copy at ``root``.  Raises :exc:`StaleMutation`."""
        (root / self.file).write_text(self._mutated(root), encoding="utf-8")

    def _mutated(self, root: Path) -> str:
        text = (root / self.file).read_text(encoding="utf-8")
        if (found := text.count(self.before)) != 1:
            raise StaleMutation(f"{self.file} has the text to replace {found} times ({self.description})")
        return text.replace(self.before, self.after)
