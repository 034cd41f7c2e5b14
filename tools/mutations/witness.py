"""A pytest plugin, for the pytest that runs in a scratch copy: says which test failed first, and of which code.

What it saw it writes as JSON to the file that the environment variable names.
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
    """Raises ``UsageError`` where the packages are not those of the scratch copy."""
    for name in PACKAGES:
        found = importlib.import_module(name).__file__
        if found is None or not Path(found).resolve().is_relative_to(config.rootpath.resolve()):
            raise pytest.UsageError(f"{name} is imported from {found}, not from {config.rootpath}")


def pytest_runtest_logstart(nodeid: str) -> None:
    _say(running=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _say(failed=report.nodeid, why=_first_line_of_error(report.longreprtext))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _say(uncollected=report.nodeid, why=_first_line_of_error(report.longreprtext))


def _first_line_of_error(text: str) -> str:
    lines = [line.strip(" |+-") for line in text.splitlines()]
    return next(
        (line.removeprefix("E").strip() for line in lines if line.startswith("E  ")), lines[-1] if lines else ""
    )


def _say(**seen: str) -> None:
    with Path(os.environ[REPORT]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(seen) + "\n")
