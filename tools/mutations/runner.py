"""Making a scratch copy, a mutation in it, and running the tests that ought to notice."""

from __future__ import annotations

import enum
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from tools.mutations import witness
from tools.mutations.mutation import REPOSITORY, Mutation

#: Seconds; no selection of tests takes nearly as long by itself.
MOST_SECONDS: Final = 240.0
_COPIED: Final = (*witness.PACKAGES, "docs", "pyproject.toml", "README.md")
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "node_modules", "target", ".*")


class NotGreen(Exception):
    """Tests fail where nothing is broken: what they say of mutations means nothing."""


class Outcome(enum.StrEnum):
    """What became of a mutation.

    ``HUNG`` tells nobody what is wrong, and ``NOT_RUN`` broke more than it meant to: neither counts as noticed.
    """

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    HUNG = "HUNG"
    NOT_RUN = "NOT RUN"


@frozen
class Result:
    """``test`` is the first that failed (or hangs), ``why`` the first line of what it says."""

    mutation: Mutation
    outcome: Outcome
    seconds: float
    test: str = ""
    why: str = ""


def copy(target: Path, origin: Path = REPOSITORY) -> None:
    """A scratch copy of the checkout's packages and of what the tests read beside them."""
    for name in _COPIED:
        source = origin / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=_LEFT_OUT)
        else:
            shutil.copy(source, target / name)


@contextmanager
def scratch_copy(origin: Path = REPOSITORY) -> Iterator[Path]:
    """One that is there for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
        copy(Path(directory), origin)
        yield Path(directory)


async def run_all(
    mutations: Sequence[Mutation], *, jobs: int, max_seconds: float, told: Callable[[Result], None]
) -> list[Result]:
    """Try all of them, ``jobs`` at a time, on the checkout as it is now; ``told`` gets each result as it comes.

    Raises :exc:`StaleMutation`.
    """
    results: dict[Mutation, Result] = {}
    turn = trio.CapacityLimiter(jobs)
    with scratch_copy() as snapshot:

        async def one(mutation: Mutation) -> None:
            async with turn:
                results[mutation] = await try_one(mutation, snapshot, max_seconds)
                told(results[mutation])

        for mutation in mutations:
            mutation.check(snapshot)
        async with trio.open_nursery() as nursery:
            for mutation in mutations:
                nursery.start_soon(one, mutation)
    return [results[mutation] for mutation in mutations]


async def try_one(mutation: Mutation, origin: Path, max_seconds: float) -> Result:
    """Make one mutation and see."""
    with scratch_copy(origin) as root:
        mutation.apply(root)
        begun = time.monotonic()
        status, output = await _pytest(root, mutation.tests, max_seconds)
        return _judge(mutation, _seen(root), status, output, time.monotonic() - begun)


async def must_pass(selections: Iterable[str], max_seconds: float) -> None:
    """See that the tests pass where nothing is broken.  Raises :exc:`NotGreen` where they do not."""
    with scratch_copy() as root:
        status, output = await _pytest(root, list(selections), max_seconds)
        if status != 0:
            raise NotGreen(f"the tests fail, or hang, where nothing is broken:\n{output}")


def _judge(mutation: Mutation, seen: list[dict[str, str]], status: int | None, output: str, seconds: float) -> Result:
    result = partial(Result, mutation)
    for line in seen:
        if "failed" in line:
            return result(Outcome.CAUGHT, seconds, line["failed"], line["why"])
        if "uncollected" in line:
            return result(Outcome.NOT_RUN, seconds, line["uncollected"], line["why"])
    running = seen[-1].get("running", "") if seen else ""
    if status is None:
        return result(Outcome.HUNG, seconds, running)
    if status < 0 and running:
        return result(Outcome.CAUGHT, seconds, running, "it ended the process, as a run that ignores its cancellation")
    if status != 0:
        return result(Outcome.NOT_RUN, seconds, running, f"pytest ended with {status}:\n{output}")
    return result(Outcome.SURVIVED, seconds)


async def _pytest(root: Path, tests: Sequence[str], max_seconds: float) -> tuple[int | None, str]:
    """Its exit status, None where it took too long, and what it said."""
    # First on the path, before what an editable install has put there; the witness checks that it worked.
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        witness.REPORT: str(root / "seen"),
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", witness.__name__, *tests]
    with trio.move_on_after(max_seconds):
        done = await trio.run_process(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace")
    return None, f"it took more than {max_seconds:.0f} s"


def _seen(root: Path) -> list[dict[str, str]]:
    try:
        lines = (root / "seen").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]
