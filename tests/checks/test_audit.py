"""``tools.audit`` tells apart what is fine, what was found, and what could not be checked."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.audit import (
    Audit,
    Outcome,
    Output,
    Result,
    audits,
    read_cargo_deny,
    read_npm_audit,
    read_pip_audit,
    report,
    status_of,
)

PACKAGE = {"name": "h11", "version": "0.15"}
FLAW = {"id": "PYSEC-2025-1", "fix_versions": ["0.16"]}
SUMMARY = '{"fields":{"advisories":{"errors":0}},"type":"summary"}'
# As cargo-deny 0.18 writes it when it cannot reach the database.
NO_DATABASE = '{"fields":{"level":"ERROR","message":"failed to fetch advisory database\\nfatal: no host"},"type":"log"}'
DIAGNOSTIC = json.dumps(
    {
        "type": "diagnostic",
        "fields": {"severity": "error", "code": "vulnerability", "message": "Overflow in foo"},
    }
)
WARNING = DIAGNOSTIC.replace('"error"', '"warning"')


def printed(value: Any, status: int = 0) -> Output:
    return Output(status, value if isinstance(value, str) else json.dumps(value), "")


@pytest.mark.parametrize(
    ("dependencies", "outcome"),
    [
        ([{**PACKAGE, "vulns": []}], Outcome.FINE),
        ([{**PACKAGE, "vulns": [FLAW]}], Outcome.FOUND),
        ([{**PACKAGE, "skip_reason": "not found on PyPI"}], Outcome.NOT_CHECKED),
        ([{**PACKAGE, "vulns": []}, {**PACKAGE, "skip_reason": "not found on PyPI"}], Outcome.NOT_CHECKED),
        ([{**PACKAGE, "vulns": [FLAW]}, {**PACKAGE, "skip_reason": "not found on PyPI"}], Outcome.FOUND),
        ([], Outcome.NOT_CHECKED),
    ],
)
def test_pip_audit_that_skipped_a_package_has_not_checked_it(
    dependencies: list[dict[str, Any]], outcome: Outcome
) -> None:
    assert read_pip_audit(printed({"dependencies": dependencies, "fixes": []})).outcome is outcome


def test_a_found_flaw_says_where_it_is_fixed() -> None:
    result = read_pip_audit(printed({"dependencies": [{**PACKAGE, "vulns": [FLAW]}]}))
    assert result.lines == ("h11 0.15: PYSEC-2025-1, fixed in 0.16",)


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ({"auditReportVersion": 2, "vulnerabilities": {}}, Outcome.FINE),
        ({"vulnerabilities": {"vite": {"severity": "high", "range": "<8"}}}, Outcome.FOUND),
        ({"message": "405 Method Not Allowed", "method": "POST", "statusCode": 405}, Outcome.NOT_CHECKED),
        ("npm error audit endpoint returned an error", Outcome.NOT_CHECKED),
        ("", Outcome.NOT_CHECKED),
    ],
)
def test_npm_audit_that_got_an_error_has_not_checked(value: Any, outcome: Outcome) -> None:
    assert read_npm_audit(printed(value, 1)).outcome is outcome


@pytest.mark.parametrize(
    ("lines", "status", "outcome"),
    [
        ([SUMMARY], 0, Outcome.FINE),
        ([WARNING, SUMMARY], 0, Outcome.FINE),
        ([DIAGNOSTIC, SUMMARY], 1, Outcome.FOUND),
        ([NO_DATABASE], 1, Outcome.NOT_CHECKED),
        ([], 1, Outcome.NOT_CHECKED),
        ([], 0, Outcome.NOT_CHECKED),
        (["error: no such command"], 2, Outcome.NOT_CHECKED),
    ],
)
def test_cargo_deny_without_a_database_has_not_checked(lines: list[str], status: int, outcome: Outcome) -> None:
    assert read_cargo_deny(Output(status, "", "\n".join(lines))).outcome is outcome


def test_a_missing_tool_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    result = Audit("x", ("no-such-tool",), tmp_path, read_npm_audit, "apt install it").run()
    assert result == Result(Outcome.NOT_CHECKED, ("no-such-tool is missing: apt install it",))


def test_each_ecosystem_is_looked_at_and_its_files_exist() -> None:
    found = audits("pip-audit")
    assert {audit.subject.partition(":")[0] for audit in found} == {"Python", "npm", "Rust"}
    for audit in found:
        for word in audit.command:
            if word.startswith("--requirement="):
                assert (audit.folder / word.partition("=")[2]).is_file()


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([Outcome.FINE], 0),
        ([Outcome.FINE, Outcome.NOT_CHECKED], 3),
        ([Outcome.NOT_CHECKED, Outcome.FOUND], 1),
    ],
)
def test_the_exit_status_tells_the_outcomes_apart(outcomes: list[Outcome], status: int) -> None:
    assert status_of([("x", Result(outcome)) for outcome in outcomes]) == status


def test_a_long_list_of_findings_is_cut() -> None:
    shown = report([("Python", Result(Outcome.FOUND, tuple(map(str, range(30)))))])
    assert shown.splitlines()[0] == "found        Python"
    assert shown.splitlines()[-1].strip() == "- and 10 more"
