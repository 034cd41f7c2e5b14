"""``tools.check_sizes`` finds functions and files that are too long, and leaves tests and generated files alone."""

from pathlib import Path

import pytest

from tools.check_sizes import FILE_LINES, FUNCTION_LINES, too_long


def function(lines: int) -> str:
    return "async def long() -> None:\n" + "    pass\n" * (lines - 1)


def found(path: str, text: str) -> list[str]:
    return list(too_long(Path(path), text))


def test_a_function_may_have_sixty_lines_and_not_one_more() -> None:
    assert found("sfu/peer.py", function(FUNCTION_LINES)) == []
    text = "class Peer:\n" + "".join(f"    {line}\n" for line in function(FUNCTION_LINES + 1).splitlines())
    assert found("sfu/peer.py", text) == ["sfu/peer.py:2: long has 61 lines; at most 60"]


def test_functions_of_tests_have_the_same_limit() -> None:
    assert found("tests/media/test_time.py", function(61)) == [
        "tests/media/test_time.py:1: long has 61 lines; at most 60"
    ]


@pytest.mark.parametrize(
    "path", ["gateway/cli.py", "sfu/dataplane/src/core/a.rs", "gateway/web/src/a.tsx", "tools/a.py"]
)
def test_a_product_file_may_have_four_hundred_lines_and_not_one_more(path: str) -> None:
    assert found(path, "\n" * FILE_LINES) == []
    assert found(path, "\n" * (FILE_LINES + 1)) == [f"{path}: 401 lines; at most 400"]


@pytest.mark.parametrize(
    "path",
    [
        "gateway/web/src/protocol.ts",  # generated
        "gateway/web/test/session.test.ts",
        "sfu/dataplane/src/shell/tests.rs",
        "tests/media/test_time.py",
        "requirements/dev.txt",
        "gateway/web/package-lock.json",
    ],
)
def test_tests_generated_files_and_lock_files_may_be_longer(path: str) -> None:
    assert found(path, "\n" * 2000) == []
