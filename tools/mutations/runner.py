"""Applies each mutation in a scratch copy, and runs the tests that should notice it."""

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

#: Longest time for one run of pytest, in seconds.  No selection of tests takes nearly as long without a mutation.
MOST_SECONDS: Final = 240.0
_COPIED: Final = (*witness.PACKAGES, "docs", "pyproject.toml", "README.md")
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "node_modules", "target", ".*")


class NotGreen(Exception):
    """Tests fail without a mutation, so their results with mutations mean nothing."""


class Outcome(enum.StrEnum):
    """The result of a mutation.

    Only ``CAUGHT`` counts as noticed.  After ``HUNG`` nobody knows the cause, and with ``NOT_RUN`` the edit broke more
    than it should.
    """

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    HUNG = "HUNG"
    NOT_RUN = "NOT RUN"


@frozen
class Result:
    """The outcome of a mutation.

    ``test`` is the first test that failed or hung, and ``why`` the first line of its error.
    """

    mutation: Mutation
    outcome: Outcome
    seconds: float
    test: str = ""
    why: str = ""


def copy(target: Path, origin: Path = REPOSITORY) -> None:
    """Copy the checkout's packages, and the other files that the tests read."""
    for name in _COPIED:
        source = origin / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=_LEFT_OUT)
        else:
            shutil.copy(source, target / name)


@contextmanager
def scratch_copy(origin: Path = REPOSITORY) -> Iterator[Path]:
    """A scratch copy for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
        copy(Path(directory), origin)
        yield Path(directory)


async def run_all(
    mutations: Sequence[Mutation], *, jobs: int, max_seconds: float, on_result: Callable[[Result], None]
) -> list[Result]:
    """Try all mutations on the checkout as it is now, ``jobs`` at a time.  ``on_result`` gets each result.

    Raises :exc:`StaleMutation`.
    """
    results: dict[Mutation, Result] = {}
    limiter = trio.CapacityLimiter(jobs)
    with scratch_copy() as snapshot:

        async def one(mutation: Mutation) -> None:
            async with limiter:
                results[mutation] = await try_one(mutation, snapshot, max_seconds)
                on_result(results[mutation])

        for mutation in mutations:
            mutation.check(snapshot)
        async with trio.open_nursery() as nursery:
            for mutation in mutations:
                nursery.start_soon(one, mutation)
    return [results[mutation] for mutation in mutations]


async def try_one(mutation: Mutation, origin: Path, max_seconds: float) -> Result:
    """Apply one mutation, and run its tests."""
    with scratch_copy(origin) as root:
        mutation.apply(root)
        begun = time.monotonic()
        status, output = await _pytest(root, mutation.tests, max_seconds)
        return _judge(mutation, _seen(root), status, output, time.monotonic() - begun)


async def must_pass(selections: Iterable[str], max_seconds: float) -> None:
    """Check that the tests pass without a mutation.  Raises :exc:`NotGreen` if they do not."""
    with scratch_copy() as root:
        status, output = await _pytest(root, list(selections), max_seconds)
        if status != 0:
            raise NotGreen(f"the tests fail or hang without a mutation:\n{output}")


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
        return result(
            Outcome.CAUGHT, seconds, running, "the test process ended, as it does after a run that cannot be cancelled"
        )
    if status != 0:
        return result(Outcome.NOT_RUN, seconds, running, f"pytest ended with {status}:\n{output}")
    return result(Outcome.SURVIVED, seconds)


async def _pytest(root: Path, tests: Sequence[str], max_seconds: float) -> tuple[int | None, str]:
    """pytest's exit status (None if it took too long) and its output."""
    # The copy must come before an editable install on the path.  The witness checks that it does.
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
    return None, f"pytest took more than {max_seconds:.0f} s"


def _seen(root: Path) -> list[dict[str, str]]:
    try:
        lines = (root / "seen").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]
