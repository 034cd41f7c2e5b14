"""A pytest plugin for the runs in scratch copies.  It reports which test failed first.

It also checks that pytest imports the scratch copy and not the checkout.  It writes its reports as JSON into the file
that the environment variable :data:`REPORT` names.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Final

import pytest

REPORT: Final = "MUTATIONS_REPORT"
PACKAGES: Final = ("gateway", "sfu", "protocol", "tools", "tests")


def pytest_configure(config: pytest.Config) -> None:
    """Raises ``UsageError`` if the packages do not come from the scratch copy."""
    for name in PACKAGES:
        found = importlib.import_module(name).__file__
        if found is None or not Path(found).resolve().is_relative_to(config.rootpath.resolve()):
            raise pytest.UsageError(f"{name} is imported from {found}, not from {config.rootpath}")


def pytest_runtest_logstart(nodeid: str) -> None:
    _report(running=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _report(failed=report.nodeid, why=_first_line_of_error(report.longreprtext))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _report(uncollected=report.nodeid, why=_first_line_of_error(report.longreprtext))


def _first_line_of_error(text: str) -> str:
    """The line that pytest marks as the error.  Exception groups have none, so take the last line with words there."""
    lines = [line.strip(" |+-") for line in text.splitlines()]
    marked = (line.removeprefix("E").strip() for line in lines if line.startswith("E  "))
    return next(marked, None) or next((line for line in reversed(lines) if line), "")


def _report(**seen: str) -> None:
    with Path(os.environ[REPORT]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(seen) + "\n")
