"""What a check found, and how people and programs read it."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

import attrs
from attrs import frozen

_WIDTH: Final = 100
_COLUMN: Final = 30


class Level(StrEnum):
    """How bad a finding is. ``UNKNOWN`` means that nobody could check."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"


@frozen
class Finding:
    """One fact about the machine or the configuration. ``remedy`` says what to do about it, if there is something."""

    level: Level
    subject: str
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    """Everything is as it should be."""
    return Finding(Level.OK, subject, text)


def unknown(subject: str, text: str, remedy: str = "") -> Finding:
    """It could not be checked here."""
    return Finding(Level.UNKNOWN, subject, text, remedy)


def warning(subject: str, text: str, remedy: str = "") -> Finding:
    """The gateway runs, and something is probably not as intended."""
    return Finding(Level.WARNING, subject, text, remedy)


def error(subject: str, text: str, remedy: str = "") -> Finding:
    """The gateway would not start, or nobody could use it."""
    return Finding(Level.ERROR, subject, text, remedy)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether something is wrong."""
    return any(finding.level is Level.ERROR for finding in findings)


def as_json(findings: Iterable[Finding]) -> str:
    """The findings as one JSON object: ``ok`` and ``findings``."""
    found = list(findings)
    entries = [attrs.asdict(finding) for finding in found]
    return json.dumps({"ok": not has_errors(found), "findings": entries}, indent=2, ensure_ascii=False)


def as_table(findings: Iterable[Finding]) -> str:
    """The findings as lines with columns, and the counts in the last line."""
    found = list(findings)
    counts = {level: sum(finding.level is level for finding in found) for level in Level}
    total = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    return "\n".join([*(line for finding in found for line in _lines(finding)), "", total or "nothing to report"])


def _lines(finding: Finding) -> Iterator[str]:
    begin = f"{finding.level:<8} {_printable(finding.subject):<{_COLUMN}} "
    indent = " " * len(f"{'':<8} {'':<{_COLUMN}} ")
    width = _WIDTH - len(indent)
    first, *more = textwrap.wrap(_printable(finding.text), width, break_on_hyphens=False) or [""]
    yield begin + first
    yield from (indent + line for line in more)
    for number, line in enumerate(textwrap.wrap(_printable(finding.remedy), width - 2, break_on_hyphens=False)):
        yield indent + ("  " if number else "→ ") + line


def _printable(text: str) -> str:
    """Escape control characters: names of processes and answers of servers may have any."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
