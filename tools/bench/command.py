"""The command line, progress, errors, reports and exit statuses of all benches."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import trio
from attrs import define, field, frozen

from tools.bench import BenchError
from tools.light.websocket import UpgradeRefused
from tools.loadtest.failures import FAILURES, describe, first_error
from tools.page import NoPlace, Place
from tools.servers import ServerEnded

T = TypeVar("T")
K = TypeVar("K")
INTERRUPTED: Final = 130
#: The folder for plots is in the folder of the pages.  README.md is beside the folder of the pages.
IMAGES: Final = "images"
PAGES: Final = "docs"
#: Errors that end a run without a traceback.
KNOWN: Final = (BenchError, ServerEnded, NoPlace, UpgradeRefused, subprocess.CalledProcessError, *FAILURES)
# Shortest time between two lines, in seconds, if a line cannot be overwritten (in a file or a pipe).
EVERY_SECONDS: Final = 5.0
_WRITE_OVER: Final = "\r\x1b[K"


@define
class Progress:
    """Shows the present step in one line on standard error.

    Call it with the step's text. ``round`` goes before the text.
    """

    round: str = ""
    _begun: float = field(factory=time.monotonic)
    _said_at: float = float("-inf")

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        line = f"{now - self._begun:4.0f} s  {self.round}{': ' if self.round else ''}{text}"
        if sys.stderr.isatty():
            print(f"{_WRITE_OVER}{line}", end="", file=sys.stderr, flush=True)
        elif now >= self._said_at + EVERY_SECONDS:
            self._said_at = now
            print(line, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.end()
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print(_WRITE_OVER, end="", file=sys.stderr, flush=True)

    def by_turns(self, contestants: Sequence[T], rounds: int, title: str = "") -> Iterator[T]:
        """Yield all contestants once in each round, and reverse their order each time.

        So changes of the machine's speed affect all alike.
        """
        for number in range(rounds):
            self.round = f"{title}round {number + 1} of {rounds}"
            yield from contestants if number % 2 == 0 else reversed(contestants)


@define
class Outcome(Generic[K, T]):
    """The results of a contest. ``failures`` describes failed runs in words."""

    runs: dict[K, list[T]] = field(factory=lambda: defaultdict(list))
    failures: list[str] = field(factory=list)

    async def attempt(self, key: K, title: str, run: Callable[[], Awaitable[T]], progress: Progress) -> None:
        """Run one contestant once. After a known error the contest goes on with the next run."""
        try:
            result = await run()
            self.runs[key].append(result)
        except* KNOWN as errors:
            self.failures.append(f"{title}: {explain(errors)}")
            progress.say(self.failures[-1].partition("\n")[0])

    def remarks(self, doubts: Iterable[str], why: str) -> Iterator[str]:
        """Yield the lines about doubtful and failed runs."""
        if said := "; ".join(doubts):
            yield f"**Doubtful**, since {why}: {said}."
        for failure in self.failures:
            yield f"**Failed**: {failure.partition(chr(10))[0]}"


@frozen
class Report:
    """A report in Markdown: ``above``, then its ``plots``, then ``below``. Empty parts are left out.

    Each plot has the name of its file, a title, and an SVG.
    """

    above: Sequence[str]
    plots: Sequence[tuple[str, str, str]] = ()
    below: Sequence[str] = ()
    status: int = 0

    def text(self, links: Sequence[str] = ()) -> str:
        """Return the whole report with these links to its plots."""
        return "\n\n".join(part for part in (*self.above, *links, *self.below) if part)

    def write(self, place: Place, page: Path) -> None:
        """Put the report into a page, and its plots into a folder beside the page."""
        images = f"{PAGES}/{IMAGES}" if (page.parent / PAGES).is_dir() else IMAGES
        for name, _, drawn in self.plots:
            file = page.parent / images / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(drawn, encoding="utf-8")
        place.replace(page, self.text([f"![{title}]({images}/{name})" for name, title, _ in self.plots]))


@frozen
class Bench:
    """The command ``python -m <package>.<name>``.

    ``about`` is its module's docstring, ``failed`` its exit status after an error.
    """

    name: str
    about: str | None
    add_options: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace, Progress], Report]
    failed: int = 1
    package: str = "tools.bench"

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the bench and return the exit status. A known error becomes one line of output."""
        description = (self.about or "").partition("\n")[0]
        parser = argparse.ArgumentParser(prog=f"python -m {self.package}.{self.name}", description=description)
        self.add_options(parser)
        parser.add_argument("--write", type=Path, metavar="FILE", help="put the report between markers of this page")
        options = parser.parse_args(arguments)
        place, progress, status = Place(f"bench-{self.name}"), Progress(), self.failed
        try:
            if options.write is not None:
                place.check(options.write)
            report = self.run(options, progress)
            progress.end()
            print(report.text())
            if options.write is not None:
                report.write(place, options.write)
            status = report.status
        except* KeyboardInterrupt:
            status = INTERRUPTED
        except* KNOWN as errors:
            progress.say(f"error: {explain(errors)}")
        finally:
            progress.end()
        return status


def available(finders: Mapping[str, Callable[[], T]], only: Collection[str] | None, progress: Progress) -> dict[str, T]:
    """Return what the finders of the contestants return, of those in ``only`` if given. Say who is missing, and why."""
    found = {}
    for name, find in finders.items():
        if not only or name in only:
            try:
                found[name] = find()
            except BenchError as error:
                progress.say(f"without {name}: {error}")
    return found


def run_within(seconds: float, work: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Run an asynchronous function. If it takes more than ``seconds``, something hangs, so it is cancelled."""

    async def bounded() -> T:
        with trio.fail_after(seconds):
            return await work(*arguments)

    return trio.run(bounded, strict_exception_groups=True)


def explain(error: BaseException) -> str:
    """Return the first error of a group in words."""
    match first_error(error):
        case subprocess.CalledProcessError(cmd=command, stderr=said):
            return f"{' '.join(command)}: {said.strip()}"
        case trio.TooSlowError() as slow:
            return str(slow) or "the server, or the bench, was too slow to go on"
        case other:
            return describe(other)
