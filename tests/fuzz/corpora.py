"""The kept inputs of each target: those that once found a fault, and those that reach much of the code.

A corpus of a Python target is a text file with a bytes literal on each line.  A corpus of the crate has hexadecimal
digits instead, and for some targets words about what is read (``sfu/dataplane/src/core/fuzzing``).
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CRATE: Final = ROOT / "sfu/dataplane/fuzz"
FOLDER: Final = Path(__file__).parent / "corpus"
CRATES_FOLDER: Final = CRATE / "corpus"


def read(target: str) -> list[bytes]:
    """Return the kept inputs of a Python target."""
    return [ast.literal_eval(line) for line in _lines(FOLDER / f"{target}.txt")]


def read_crates(target: str) -> list[tuple[bytes, str]]:
    """Return the kept inputs of a target of the crate, each with the words about it."""
    split = (line.partition(" ") for line in _lines(CRATES_FOLDER / f"{target}.txt"))
    return [(bytes.fromhex(digits), words) for digits, _, words in split]


def write(target: str, inputs: Iterable[bytes]) -> None:
    """Replace the corpus of a Python target."""
    _write(FOLDER / f"{target}.txt", map(repr, inputs))


def write_crates(target: str, inputs: Iterable[tuple[bytes, str]]) -> None:
    """Replace the corpus of a target of the crate."""
    _write(CRATES_FOLDER / f"{target}.txt", (f"{data.hex()} {words}".strip() for data, words in inputs))


def _lines(file: Path) -> Iterator[str]:
    return (line for line in file.read_text().splitlines() if line and not line.startswith("#"))


def _write(file: Path, lines: Iterable[str]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))
