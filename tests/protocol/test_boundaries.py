"""The package protocol needs neither media nor gateway nor asyncio, and its messages need no trio."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import protocol

PACKAGE = Path(protocol.__file__).parent
FORBIDDEN = {"sfu", "gateway", "tools", "tests", "asyncio", "anyio"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_nothing_that_it_must_not(path: Path) -> None:
    assert not imported(path) & FORBIDDEN


def test_the_messages_can_be_used_without_trio() -> None:
    program = "import sys, protocol; sys.exit('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent, check=False).returncode == 0
