"""Write the figures and the curves of the bandwidth estimator's scenarios into a page.

    python -m tools.bench.estimator FOLDER --write docs/quality.md

``FOLDER`` has what the crate's ignored test wrote (``make estimator``): ``figures.csv``, and a file of each curve. The
plots go into the folder ``images`` beside the page.

Exit status: 0 if everything was written, 2 if something is missing.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.bench.plots import line_plot
from tools.loadtest.plots import Line, Plot
from tools.page import NoPlace, Place

PLACE: Final = Place("estimator")
#: The files of the curves, and what they show.
CURVES: Final = {
    "step": "3 Mbit/s, 0.8 Mbit/s, and 3 Mbit/s again",
    "paused": "80 kbit/s, then 10 Mbit/s",
    "bucket": "A token bucket of 1 Mbit/s and 50 kB",
    "tcp": "A TCP flow joins on 5 Mbit/s",
}
#: A path that carries more than this is drawn no higher, in Mbit/s: the media need less.
_MOST_DRAWN: Final = 6.0
_LIMIT: Final = re.compile(r"At(Most|Least)\((.*)\)")

Rows = Sequence[Mapping[str, str]]


def read(file: Path) -> Rows:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def figures_table(rows: Rows) -> Iterator[str]:
    """Yield the lines of a Markdown table. Raises :exc:`ValueError` for a limit of an unknown form."""
    yield "| scenario | figure | median | p95 | aim |"
    yield "|---|---|---|---|---|"
    for row in rows:
        limit = _LIMIT.fullmatch(row["limit"])
        if limit is None:
            raise ValueError(f"a limit of an unknown form: {row['limit']}")
        aim = f"{'at most' if limit[1] == 'Most' else 'at least'} {_short(limit[2])}"
        yield f"| {row['scenario']} | {row['figure']} | {_short(row['median'])} | {_short(row['p95'])} | {aim} |"


def _short(figure: str) -> str:
    return f"{float(figure):,.3g}" if float(figure) < 1000 else f"{float(figure):,.0f}"


def plots(name: str, title: str, rows: Rows) -> Iterator[tuple[str, str, str]]:
    """Yield the file name, the title and the SVG of two plots: the rates, and the queue."""
    times = [float(row["at"]) for row in rows]
    rates = [
        Line(said, [min(float(row[column]) / 1e6, _MOST_DRAWN) for row in rows])
        for said, column in (("estimate", "estimate"), ("media", "media"), ("what the path carries", "truth"))
    ]
    yield f"estimator-{name}.svg", title, line_plot(Plot(title, "Mbit/s", times, rates))
    queue = Line("queue", [1e3 * float(row["queue"]) for row in rows])
    title = f"{title}: the queue"
    yield f"estimator-{name}-queue.svg", title, line_plot(Plot(title, "ms", times, [queue]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.estimator", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what the crate's test has written")
    parser.add_argument("--write", type=Path, required=True, metavar="PAGE", help="the page to write into")
    options = parser.parse_args(arguments)
    try:
        PLACE.check(options.write)
        parts = list(figures_table(read(options.folder / "figures.csv")))
        for name, title in CURVES.items():
            for file, said, svg in plots(name, title, read(options.folder / f"{name}.csv")):
                (options.write.parent / "images" / file).write_text(svg, encoding="utf-8")
                parts += ["", f"![{said}](images/{file})"]
    except (NoPlace, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    PLACE.replace(options.write, "\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
