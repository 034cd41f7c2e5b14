"""Break every guarantee on purpose, see which test fails, and print the table.

Exit status: 0 where every mutation was noticed, 1 where one was not, 2 where nothing can be said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

from tools.mutations.catalogue import MUTATIONS
from tools.mutations.mutation import Mutation, StaleMutation
from tools.mutations.page import PLACE, table
from tools.mutations.runner import MOST_SECONDS, NotGreen, Outcome, Result, must_pass, run_all
from tools.page import NoPlace


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutations", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at a time")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WHAT", help="numbers in the list, or words of what is broken"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"put the table there, after {PLACE.begin}")
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="the bound of one run of pytest")
    parser.add_argument("--list", action="store_true", help="list the mutations and do nothing")
    parser.add_argument("--baseline", action="store_true", help="first see that the tests pass where nothing is broken")
    return parser.parse_args(arguments)


def chosen(only: Sequence[str]) -> list[Mutation]:
    """Those that are meant by number (from 1) or by words; all where nothing is said."""
    return [
        mutation
        for number, mutation in enumerate(MUTATIONS, 1)
        if not only or any(word == str(number) or (not word.isdigit() and word in mutation.broken) for word in only)
    ]


def tell(result: Result) -> None:
    """One line for each, as it comes."""
    number = MUTATIONS.index(result.mutation) + 1
    print(f"{number:3} {result.outcome} in {result.seconds:.0f} s: {result.mutation.broken}", file=sys.stderr)
    if result.test:
        print(f"      {result.test}\n      {result.why}", file=sys.stderr)


def run(options: argparse.Namespace, mutations: Sequence[Mutation]) -> int:
    if options.write is not None:
        PLACE.check(options.write)
    if options.baseline:
        for tests in dict.fromkeys(mutation.tests for mutation in mutations):
            trio.run(must_pass, tests, options.seconds)
    run_them = partial(run_all, mutations, jobs=options.jobs, max_seconds=options.seconds, told=tell)
    results = trio.run(run_them)
    text = table(results)
    print(text)
    if options.write is not None:
        PLACE.replace(options.write, text)
    unnoticed = [result for result in results if result.outcome is not Outcome.CAUGHT]
    print(f"{len(results)} mutations, {len(unnoticed)} not noticed", file=sys.stderr)
    return 1 if unnoticed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    mutations = chosen(options.only)
    if options.list:
        for mutation in mutations:
            print(f"{MUTATIONS.index(mutation) + 1:3} guarantee {mutation.guarantee}: {mutation.broken}")
        return 0
    try:
        return run(options, mutations)
    except* (NotGreen, StaleMutation, NoPlace) as errors:
        for error in errors.exceptions:
            print(f"error: {error}", file=sys.stderr)
    except* KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
