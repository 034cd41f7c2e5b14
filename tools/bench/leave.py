"""How soon the others know that somebody has left, and what it costs.

    python -m tools.bench.leave [--write docs/guarantees.md] [--leaves 200]

Starts gateways of its own on loopback, one after the other, fills channels with clients that have real transports,
lets them leave in several ways, checks that everybody was told the truth, and prints tables; with ``--write`` they go
between the two marker comments of a page, too.  Machines are noisy: compare figures of one run, not of two.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import trio

from tools.bench import machine
from tools.bench.gateway_process import GatewayEnded, running_gateway
from tools.bench.leaving import BenchError, at_once, cost
from tools.bench.leaving.at_once import AtOnce
from tools.bench.leaving.channel import open_channel
from tools.bench.leaving.cost import Cost
from tools.bench.leaving.one_by_one import Leave, Load, leave_one_by_one, measure_load, open_full_channel
from tools.bench.leaving.results import Results
from tools.bench.leaving.silence import Silence, fall_silent
from tools.bench.leaving.watched import MODULE, Watched
from tools.bench.leaving.watched_gateway import Report
from tools.bench.progress import Progress
from tools.bench.websocket import Refused
from tools.page import NoPlace, Place

PLACE = Place("bench-leave")
LEAVES = 200
# Well above what it takes: something hangs.
BENCH_SECONDS = 900.0
INTERRUPTED = 130


async def full_channel(leaves: int, progress: Progress) -> tuple[Load, list[Leave], Silence]:
    async with running_gateway() as gateway, open_full_channel(gateway, progress) as channel:
        load = await measure_load(gateway)
        left = await leave_one_by_one(channel, leaves, progress)
        return load, left, await fall_silent(channel, progress)


async def half_at_once(progress: Progress) -> AtOnce:
    async with running_gateway() as gateway, open_channel(gateway, "bench") as channel:
        await at_once.fill(channel, progress)
        return await at_once.leave_at_once(gateway, channel)


async def half_at_once_watched(progress: Progress) -> tuple[AtOnce, Report]:
    async with running_gateway(MODULE, pipes=True) as gateway, open_channel(gateway, "bench") as channel:
        watched = Watched(gateway)
        await at_once.fill(channel, progress)
        await watched.begin()
        left = await at_once.leave_at_once(gateway, channel)
        return left, await watched.report()


async def costs(progress: Progress) -> list[Cost]:
    async with running_gateway() as gateway:
        return await cost.run(gateway, progress)


async def measure(leaves: int, progress: Progress) -> Results:
    begun = time.monotonic()
    with trio.fail_after(BENCH_SECONDS):
        load, left, silent = await full_channel(leaves, progress)
        spent = await costs(progress)
        together = await half_at_once(progress)
        watched, report = await half_at_once_watched(progress)
    seconds = time.monotonic() - begun
    return Results(machine.describe(), seconds, load, left, silent, together, watched, report, spent)


def run(leaves: int, target: Path | None) -> None:
    """Raises groups of what went wrong."""
    progress = Progress()
    try:
        if target is not None:
            PLACE.check(target)
        results = trio.run(measure, leaves, progress, strict_exception_groups=True)
    finally:
        progress.end()
    print(results)
    if target is not None:
        PLACE.replace(target, str(results))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--leaves", type=int, default=LEAVES, help="of one member each (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between this page's markers")
    arguments = parser.parse_args()
    status = 0
    try:
        run(max(3, arguments.leaves), arguments.write)
    except* KeyboardInterrupt:
        status = INTERRUPTED
    except* (BenchError, GatewayEnded, NoPlace, Refused) as errors:
        print(f"error: {_first(errors)}", file=sys.stderr)
        status = 1
    except* trio.TooSlowError:
        print("error: the gateway, or the bench, was too slow to go on", file=sys.stderr)
        status = 1
    return status


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(main())
