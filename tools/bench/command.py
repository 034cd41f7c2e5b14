"""Progress, errors and exit statuses of all benches."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Final

import trio

from tools.bench import BenchError
from tools.bench.progress import Progress
from tools.light.websocket import UpgradeRefused
from tools.loadtest.failures import FAILURES, describe, first_error
from tools.page import NoPlace

INTERRUPTED: Final = 130
#: Errors that end a run without a traceback.
KNOWN: Final = (BenchError, NoPlace, UpgradeRefused, subprocess.CalledProcessError, *FAILURES)


def run_bench(bench: Callable[[Progress], int], *, failed: int) -> int:
    """Return the exit status of ``bench``; ``failed`` where it raises a known error, which one line then names."""
    progress, status = Progress(), failed
    try:
        status = bench(progress)
    except* KeyboardInterrupt:
        status = INTERRUPTED
    except* KNOWN as errors:
        progress.say(f"error: {explain(errors)}")
    finally:
        progress.end()
    return status


def explain(error: BaseException) -> str:
    """Return the first error of a group in words."""
    match first_error(error):
        case subprocess.CalledProcessError(cmd=command, stderr=said):
            return f"{' '.join(command)}: {said.strip()}"
        case trio.TooSlowError() as slow:
            return str(slow) or "the server, or the bench, was too slow to go on"
        case other:
            return describe(other)
