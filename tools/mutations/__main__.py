"""Break each guarantee on purpose, see which test fails, and print the table.

Exit status: 0 if a test noticed every mutation, 1 if not, 2 if the run itself failed.
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
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="number of mutations to try at a time")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WHAT", help="numbers in the list, or words of the description"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help=f"write the table into this page, after {PLACE.begin}"
    )
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="longest time for one run of pytest")
    parser.add_argument("--list", action="store_true", help="list the mutations and exit")
    parser.add_argument("--baseline", action="store_true", help="first check that the tests pass without a mutation")
    return parser.parse_args(arguments)


def select(only: Sequence[str]) -> list[Mutation]:
    """The mutations with these numbers (from 1) or with these words in their description.  All if ``only`` is empty."""
    return [
        mutation
        for number, mutation in enumerate(MUTATIONS, 1)
        if not only
        or any(word == str(number) or (not word.isdigit() and word in mutation.description) for word in only)
    ]


def print_result(result: Result) -> None:
    """Print a result as soon as it is there."""
    number = MUTATIONS.index(result.mutation) + 1
    print(f"{number:3} {result.outcome} in {result.seconds:.0f} s: {result.mutation.description}", file=sys.stderr)
    if result.test:
        print(f"      {result.test}\n      {result.why}", file=sys.stderr)


def run(options: argparse.Namespace, mutations: Sequence[Mutation]) -> int:
    if options.write is not None:
        PLACE.check(options.write)
    if options.baseline:
        for tests in dict.fromkeys(mutation.tests for mutation in mutations):
            trio.run(must_pass, tests, options.seconds)
    run_them = partial(run_all, mutations, jobs=options.jobs, max_seconds=options.seconds, on_result=print_result)
    results = trio.run(run_them)
    text = table(results)
    print(text)
    if options.write is not None:
        PLACE.replace(options.write, text)
    unnoticed = [result for result in results if result.outcome is not Outcome.CAUGHT]
    print(f"{len(results)} mutations, of which {len(unnoticed)} were not noticed", file=sys.stderr)
    return 1 if unnoticed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    mutations = select(options.only)
    if options.list:
        for mutation in mutations:
            print(f"{MUTATIONS.index(mutation) + 1:3} guarantee {mutation.guarantee}: {mutation.description}")
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
