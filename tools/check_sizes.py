"""Fails if a Python function or a product file is too long to read in one go: ``python -m tools.check_sizes``.

It reads the files that git knows.  The limit for files applies to Python, Rust, TypeScript and CSS of the packages,
without tests and generated files.  The limit for functions applies to every Python file.  Clippy limits functions in
Rust.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

FUNCTION_LINES: Final = 60
FILE_LINES: Final = 400
_PACKAGES: Final = frozenset({"gateway", "protocol", "sfu", "tools"})
_SUFFIXES: Final = frozenset({".css", ".py", ".rs", ".ts", ".tsx"})
_TEST_FOLDERS: Final = frozenset({"test", "tests"})
_TEST_FILES: Final = frozenset({"tests.rs"})
_GENERATED: Final = frozenset({Path("gateway/web/src/protocol.ts")})


def is_product(path: Path) -> bool:
    """Whether the limit for files applies to this file."""
    if path.parts[0] not in _PACKAGES or path.suffix not in _SUFFIXES or path in _GENERATED:
        return False
    return _TEST_FOLDERS.isdisjoint(path.parts) and path.name not in _TEST_FILES


def too_long(path: Path, text: str) -> Iterator[str]:
    """Yield a line about each function of a file, and about the file itself, that is above its limit."""
    lines = len(text.splitlines())
    if is_product(path) and lines > FILE_LINES:
        yield f"{path}: {lines} lines; at most {FILE_LINES}"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines; at most {FUNCTION_LINES}"


def check(paths: Iterable[Path]) -> list[str]:
    """Return a line about each function and each file that is too long."""
    return [line for path in paths for line in too_long(path, path.read_text(encoding="utf-8"))]


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *(f"*{suffix}" for suffix in _SUFFIXES)],
        check=True,
        capture_output=True,
        text=True,
    )
    # A file may be deleted and not committed yet.
    paths = [path for line in sorted(listed.stdout.splitlines()) if (path := Path(line)).exists()]
    found = check(paths)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
