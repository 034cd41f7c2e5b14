"""The report as one HTML page with figures, thresholds and plots over time.  It loads no other file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Final

from tools.loadtest.plots import COLOURS, Line, Plot, draw
from tools.loadtest.quantities import show_share
from tools.loadtest.repairs import loses, sayings
from tools.loadtest.results import Results
from tools.loadtest.table import rows, title
from tools.loadtest.totals import SecondFigures
from tools.loadtest.truth import MEANINGS

_STYLE: Final = """
:root { color-scheme: light dark; --soft: #6a7178; --rule: #d8dce0; --good: #0b7a4b; --bad: #b3261e; --warn: #8a5a00; }
@media (prefers-color-scheme: dark) {
  :root { --soft: #9aa3ab; --rule: #3a4046; --good: #5fd39b; --bad: #ff8a80; --warn: #f0b95a; }
  body { background: #16191c; color: #e8eaed; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.warn { color: var(--warn); } .says { font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td.value { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } .grid { stroke: var(--rule); }
.mark { stroke: var(--soft); stroke-dasharray: 3 3; } .mark-name { fill: var(--soft); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 .9em; }
"""


def write_html(results: Results) -> str:
    """Return the page."""
    run = results.conductor
    title = f"Load on {run.plan.url}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_plan(results))}</p>',
        *_sayings(results),
        "<h2>Figures</h2>",
        _table(rows(results)),
        *_thresholds(results),
        *(_drawn(plot) for plot in plots(results)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _plan(results: Results) -> str:
    plan = results.conductor.plan
    churn = f", churn {plan.churn:g}/s ({', '.join(plan.churn_kinds)})" if plan.churn else ""
    lossy = f", losing {show_share(plan.lose_up)} up and {show_share(plan.lose_down)} down" if loses(plan) else ""
    full = f", {plan.full} full client{'' if plan.full == 1 else 's'}" if plan.full else ""
    processes = "one process" if plan.processes == 1 else f"{plan.processes} processes"
    return f"{title(results)}{churn}{lossy}{full}; from {processes}."


def _sayings(results: Results) -> Iterable[str]:
    run = results.conductor
    if run.error is not None:
        yield f'<p class="bad says">Broken off: {escape(run.error)}</p>'
    if run.interrupted:
        yield '<p class="warn says">Interrupted: these are the figures up to then.</p>'
    for complaint in results.overrun:
        yield f'<p class="warn says">Not the gateway\'s result: {escape(complaint)}</p>'
    for saying in sayings(results):
        yield f'<p class="{"good" if saying.good else "bad"}">{escape(saying.text)}</p>'
    if results.status == 0:
        kept = f"All {len(results.verdicts)} thresholds kept." if results.verdicts else "Finished."
        yield f'<p class="good says">{kept}</p>'
    for kind, count in sorted(run.truth.errors.items()):
        yield f'<p class="bad">List errors: {count} {escape(MEANINGS[kind])}</p>'
    for what, count in results.total.failures.most_common():
        yield f'<p class="bad">{count} × {escape(what)}</p>'


def _table(found: Iterable[tuple[str, str, str]]) -> str:
    lines = (
        f'<tr><td>{escape(name)}</td><td class="value">{escape(value)}</td><td class="soft">{escape(remark)}</td></tr>'
        for name, value, remark in found
    )
    return f"<table>{''.join(lines)}</table>"


def _thresholds(results: Results) -> Iterable[str]:
    if not results.verdicts:
        return
    yield "<h2>Thresholds</h2><table>"
    for verdict in results.verdicts:
        mark = '<td class="good">kept</td>' if verdict.kept else '<td class="bad says">broken</td>'
        yield f"<tr>{mark}<td>{escape(str(verdict))}</td></tr>"
    yield "</table>"


def plots(results: Results) -> list[Plot]:
    """Return the plots over the seconds of the run."""
    points, run = results.conductor.totals.points, results.conductor
    times = [point.at for point in points]
    marks = []
    if (began := run.figures.get("began")) is not None:
        marks.append((began.at - run.totals.began_at, "measuring"))

    def line(name: str, values: Iterable[float | None]) -> Line:
        return Line(name, list(values))

    def plot(title: str, unit: str, *lines: Line) -> Plot:
        return Plot(title, unit, times, lines, marks)

    found = [
        plot("Clients", "", line("joined", (point.members for point in points))),
        plot(
            "Packets",
            "a second",
            line("received", (point.received for point in points)),
            line("sent", (point.sent for point in points)),
        ),
        plot("Received", "bit/s", line("all clients", (point.bitrate for point in points))),
        plot(
            "Forwarding latency",
            "ms",
            line("p99", (_ms(point.latency_p99) for point in points)),
            line("p50", (_ms(point.latency_p50) for point in points)),
        ),
        plot("Lost", "packets", line("in that second", (max(0, point.lost) for point in points))),
        *_repairs(plot, points),
        plot("List errors", "so far", line("list errors", (point.roster_errors for point in points))),
        plot("Processor", "% of a core", *_processor(points)),
        plot("The tool's own lag", "ms", line("late by at most", (1000 * point.lag for point in points))),
    ]
    if any(point.gateway_memory is not None for point in points):
        memory = (None if point.gateway_memory is None else point.gateway_memory / 1024**2 for point in points)
        found.append(plot("Memory of the gateway", "MiB", line("resident", memory)))
    return found


def _repairs(plot: Callable[..., Plot], points: list[SecondFigures]) -> list[Plot]:
    if not any(point.requested for point in points):
        return []
    requested = Line("asked for", [point.requested for point in points])
    return [plot("Missing packets", "a second", requested, Line("repaired", [point.repaired for point in points]))]


def _processor(points: list[SecondFigures]) -> list[Line]:
    own = Line("the tool's busiest process", [100 * point.own_cpu for point in points])
    gateway = [None if point.gateway_cpu is None else 100 * point.gateway_cpu for point in points]
    return [Line("gateway", gateway), own] if any(value is not None for value in gateway) else [own]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _drawn(plot: Plot) -> str:
    keys = "".join(
        f'<span class="key" style="background:{COLOURS[number % len(COLOURS)]}"></span>{escape(line.name)}'
        for number, line in enumerate(plot.lines)
    )
    unit = f' <span class="soft">{escape(plot.unit)}</span>' if plot.unit else ""
    return f"<h2>{escape(plot.title)}{unit} <small>{keys}</small></h2>\n{draw(plot)}"
