"""Looks for known vulnerabilities and forbidden licences in the dependencies: ``make audit``.

It needs nothing but Python. The tools of the three ecosystems do the work. Some of them report success when they could
not ask anybody, so this program reads their reports instead of their exit status. Its own exit status is 0 if all is
fine, 1 if something was found, and 3 if nothing was found but not everything could be checked.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
_SECONDS: Final = 300
_SHOWN: Final = 20
_NOT_CHECKED_STATUS: Final = 3


class Outcome(StrEnum):
    """What an audit says."""

    FINE = "fine"
    FOUND = "found"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Result:
    """The outcome of one audit, with a line for each finding or for what could not be checked."""

    outcome: Outcome
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """What a tool printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """The last line that a person would read."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1][:200] if lines else f"status {self.status}"


def read_pip_audit(output: Output) -> Result:
    """Read the JSON of ``pip-audit``, which succeeds even if the index knows nothing of vulnerabilities."""
    report = _parse(output.stdout)
    dependencies = report.get("dependencies") if isinstance(report, dict) else None
    if not isinstance(dependencies, list):
        return Result(Outcome.NOT_CHECKED, (output.last_line,))
    found = [
        f"{entry['name']} {entry['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no version'}"
        for entry in dependencies
        for flaw in entry.get("vulns", ())
    ]
    skipped = [entry for entry in dependencies if "skip_reason" in entry]
    if found:
        return Result(Outcome.FOUND, tuple(found))
    if skipped or not dependencies:
        reason = skipped[0]["skip_reason"] if skipped else "the report is empty"
        return Result(Outcome.NOT_CHECKED, (f"{len(skipped)} of {len(dependencies)} packages: {reason}",))
    return Result(Outcome.FINE)


def read_npm_audit(output: Output) -> Result:
    """Read the JSON of ``npm audit``."""
    report = _parse(output.stdout)
    if not isinstance(report, dict) or "vulnerabilities" not in report:
        message = report.get("message") if isinstance(report, dict) else None
        return Result(Outcome.NOT_CHECKED, (str(message or output.last_line),))
    found = [
        f"{name} {entry.get('range', '')}: {entry['severity']}" for name, entry in report["vulnerabilities"].items()
    ]
    return Result(Outcome.FOUND if found else Outcome.FINE, tuple(found))


def read_cargo_deny(output: Output) -> Result:
    """Read the JSON lines of ``cargo deny``. It ends with an error if it has no advisories, too."""
    entries = [entry for line in output.stderr.splitlines() if isinstance(entry := _parse(line), dict)]
    found = [
        f"{entry['fields']['message']} ({entry['fields']['code']})"
        for entry in entries
        if entry.get("type") == "diagnostic" and entry["fields"].get("severity") == "error"
    ]
    if found:
        return Result(Outcome.FOUND, tuple(found))
    if output.status != 0 or not any(entry.get("type") == "summary" for entry in entries):
        messages = [entry["fields"]["message"] for entry in entries if entry.get("type") == "log"]
        return Result(Outcome.NOT_CHECKED, ((messages[-1].splitlines()[0][:200] if messages else output.last_line),))
    return Result(Outcome.FINE)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Audit:
    """One look at one ecosystem. ``hint`` says how to get the tool."""

    subject: str
    command: Sequence[str]
    folder: Path
    read: Callable[[Output], Result]
    hint: str

    def run(self) -> Result:
        """Run the tool, for at most five minutes."""
        try:
            done = subprocess.run(
                self.command, cwd=self.folder, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except FileNotFoundError:
            return Result(Outcome.NOT_CHECKED, (f"{self.command[0]} is missing: {self.hint}",))
        except subprocess.TimeoutExpired:
            return Result(Outcome.NOT_CHECKED, (f"no answer within {_SECONDS} s",))
        return self.read(Output(done.returncode, done.stdout, done.stderr))


def audits(pip_audit: str) -> list[Audit]:
    """All audits. ``pip_audit`` is the program."""
    pip = (pip_audit, "--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json")
    npm = ("npm", "audit", "--json", "--package-lock-only")
    deny = ("cargo-deny", "--format=json", "check", "--hide-inclusion-graph")
    crate = ROOT / "sfu" / "dataplane"
    get_deny = "cargo install --locked cargo-deny"
    return [
        *(
            Audit(
                f"Python: {name}", (*pip, f"--requirement=requirements/{name}.txt"), ROOT, read_pip_audit, "make audit"
            )
            for name in ("runtime", "dev", "audit")
        ),
        Audit("npm: the page", (*npm, "--omit=dev"), ROOT / "gateway" / "web", read_npm_audit, "Node.js"),
        Audit("npm: its build and tests", npm, ROOT / "gateway" / "web", read_npm_audit, "Node.js"),
        Audit("Rust: advisories", (*deny, "advisories"), crate, read_cargo_deny, get_deny),
        Audit("Rust: licences, sources", (*deny, "licenses", "bans", "sources"), crate, read_cargo_deny, get_deny),
    ]


def report(results: Sequence[tuple[str, Result]]) -> str:
    """The results as a table, with the lines of each."""
    lines = []
    for subject, result in results:
        lines.append(f"{result.outcome:<12} {subject}")
        lines += [f"{'':<12} - {line}" for line in result.lines[:_SHOWN]]
        if (more := len(result.lines) - _SHOWN) > 0:
            lines.append(f"{'':<12} - and {more} more")
    return "\n".join(lines)


def status_of(results: Sequence[tuple[str, Result]]) -> int:
    """The exit status."""
    outcomes = {result.outcome for _, result in results}
    if Outcome.FOUND in outcomes:
        return 1
    return _NOT_CHECKED_STATUS if Outcome.NOT_CHECKED in outcomes else 0


def main() -> None:
    """Run all audits, and end the process. The argument is the program ``pip-audit``."""
    pip_audit = sys.argv[1] if len(sys.argv) > 1 else "pip-audit"
    results = [(audit.subject, audit.run()) for audit in audits(pip_audit)]
    print(report(results))
    status = status_of(results)
    if status == _NOT_CHECKED_STATUS:
        print("Nothing was found, but not everything could be checked. This is no clean result.", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
