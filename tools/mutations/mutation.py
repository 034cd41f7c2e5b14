"""One thing that a tired developer might do."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

REPOSITORY = Path(__file__).parents[2]


class StaleMutation(Exception):
    """The text that a mutation replaces does not stand exactly once in its file."""


@frozen
class Mutation:
    """One edit that breaks a guarantee.

    ``guarantee`` is its number in docs/protocol.md, ``broken`` says in one sentence what is done wrong, ``file`` is a
    path from the repository's root.  ``before`` stands there exactly once, and ``after`` comes in its place.
    ``tests`` are arguments for pytest: few tests, of which one ought to fail.
    """

    guarantee: int
    broken: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def check(self, root: Path = REPOSITORY) -> None:
        """Raises :exc:`StaleMutation`."""
        self._mutated(root)

    def apply(self, root: Path) -> None:
        """Make the edit in the copy at ``root``.  Raises :exc:`StaleMutation`."""
        (root / self.file).write_text(self._mutated(root), encoding="utf-8")

    def _mutated(self, root: Path) -> str:
        text = (root / self.file).read_text(encoding="utf-8")
        if (found := text.count(self.before)) != 1:
            raise StaleMutation(f"{self.file} has the text to replace {found} times ({self.broken})")
        return text.replace(self.before, self.after)
