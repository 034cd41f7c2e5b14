"""The live table on a terminal during a run, and the table of results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tools.light import Histogram
from tools.loadtest.conductor import Conductor, Phase
from tools.loadtest.own_load import BUSY, LATE
from tools.loadtest.quantities import show_bitrate, show_seconds, show_share, show_size
from tools.loadtest.repairs import gateway_rows, lost_rows, repair_rows, sayings
from tools.loadtest.results import Results, all_of
from tools.loadtest.thresholds import FIGURES
from tools.loadtest.totals import SecondFigures
from tools.loadtest.truth import MEANINGS

#: Seconds that the live table shows.
_ROWS: Final = 10
_PHASES: Final[dict[Phase, str]] = {
    "starting": "starting",
    "joining": "clients join",
    "measuring": "measuring",
    "settling": "coming to rest",
    "ending": "clients leave",
    "done": "done",
}


@define
class LiveTable:
    """A table on a terminal.  :func:`open_live_table` makes it, and the conductor calls :meth:`look`."""

    _live: Live | None
    _points: list[SecondFigures] = field(factory=list)

    def look(self, run: Conductor, point: SecondFigures) -> None:
        """Show the newest second."""
        if self._live is None:
            return
        self._points.append(point)
        del self._points[:-_ROWS]
        self._live.update(render(run, self._points), refresh=True)


@contextmanager
def open_live_table(console: Console) -> Iterator[LiveTable]:
    """Show a table on a terminal, and nothing elsewhere."""
    if not console.is_terminal:
        yield LiveTable(None)
        return
    with Live(Text("starting"), console=console, auto_refresh=False, transient=True) as live:
        yield LiveTable(live)


def render(run: Conductor, points: list[SecondFigures]) -> RenderableType:
    """Draw the newest seconds and the progress of the run."""
    table = Table(expand=False, pad_edge=False, box=None, header_style="bold", padding=(0, 2, 0, 0))
    heads = ("s", "clients", "sent/s", "received/s", "bitrate", "lost", "p50", "p99", "list errors", "gateway", "ours")
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    for point in points:
        table.add_row(*_cells(point))
    return Group(_progress(run), table, _remarks(run))


def _cells(point: SecondFigures) -> list[str | Text]:
    cpu = "–" if point.gateway_cpu is None else f"{point.gateway_cpu:.0%}"
    own = f"{point.own_cpu:.0%} {point.lag * 1000:.0f} ms"
    return [
        f"{point.at:.0f}",
        str(point.members),
        f"{point.sent:.0f}",
        f"{point.received:.0f}",
        show_bitrate(point.bitrate),
        _red_if(point.lost > 0, str(point.lost)),
        show_seconds(point.latency_p50),
        show_seconds(point.latency_p99),
        _red_if(point.roster_errors > 0, str(point.roster_errors)),
        cpu,
        _red_if(point.own_cpu > BUSY or point.lag > LATE, own),
    ]


def _red_if(wrong: bool, text: str) -> Text:
    return Text(text, style="red" if wrong else "")


def _progress(run: Conductor) -> RenderableType:
    plan, passed = run.plan, time.monotonic() - run.phase_began
    lengths: dict[Phase, float] = {"joining": len(plan.slots()) / plan.ramp, "measuring": plan.duration}
    whole = lengths.get(run.phase)
    line = Table.grid(padding=(0, 2, 0, 0))
    if whole is None:
        line.add_row(Text(_PHASES[run.phase], style="bold"))
    else:
        bar = ProgressBar(total=whole, completed=min(passed, whole), width=40)
        line.add_row(Text(_PHASES[run.phase], style="bold"), bar, f"{min(passed, whole):.0f} of {whole:.0f} s")
    return line


def _remarks(run: Conductor) -> RenderableType:
    lines = []
    if run.interrupted:
        lines.append(Text("stopping in order (press Ctrl-C again to stop at once)", style="yellow"))
    failures = run.totals.sum().failures
    lines += [Text(f"{count} × {what}", style="red") for what, count in failures.most_common(3)]
    return Group(*lines)


def print_results(results: Results, console: Console) -> None:
    """Print the table of results, errors and thresholds."""
    run = results.conductor
    console.print(title(results), style="bold")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", style="dim")
    for name, value, remark in rows(results):
        table.add_row(name, value, remark)
    console.print(table)
    for kind, count in sorted(run.truth.errors.items()):
        console.print(f"list errors: {count} {MEANINGS[kind]}", style="red", highlight=False)
    for what, count in results.total.failures.most_common():
        console.print(f"{count} × {what}", style="red", highlight=False, markup=False)
    for saying in sayings(results):
        console.print(saying.text, style="green" if saying.good else "bold red", highlight=False, markup=False)
    for verdict in results.verdicts:
        mark, style = ("kept", "green") if verdict.kept else ("BROKEN", "bold red")
        console.print(f"{mark}: {verdict}", style=style, highlight=False, markup=False)
    if run.no_figures is not None:
        console.print(f"figures of the gateway itself are missing: {run.no_figures}", highlight=False, markup=False)
    for complaint in results.overrun:
        console.print(f"not the gateway's result: {complaint}", style="bold yellow", highlight=False, markup=False)
    if run.interrupted:
        console.print("interrupted: these are the figures up to then", style="yellow")
    if run.error is not None:
        console.print(f"broken off: {run.error}", style="bold red", highlight=False, markup=False)


def title(results: Results) -> str:
    """Return clients, media and measuring time in one line."""
    plan, run = results.conductor.plan, results.conductor
    who = [
        f"{count} {name}{'' if count == 1 else 's'}"
        for count, name in ((plan.members, "member"), (plan.publishers, "publisher"), (plan.subscribers, "subscriber"))
        if count
    ]
    channels = "1 channel" if plan.channels == 1 else f"{plan.channels} channels, in each"
    kinds = " and ".join(plan.kinds)
    return f"{channels}: {', '.join(who)}; {kinds}; measured for {run.measured_seconds:.0f} s"


def rows(results: Results) -> list[tuple[str, str, str]]:
    """Return name, value and remark of each row."""
    run, total, figures = results.conductor, results.total, results.figures
    found: list[tuple[str, str, str]] = []
    for kind in run.plan.kinds:
        sent, got = total.sending[kind], total.received[kind]
        found.append((f"{kind} sent", f"{sent.packets} packets", _sent_remark(results, kind)))
        remark = f"lost {got.lost} ({show_share(got.loss)}), duplicated {got.duplicated}, reordered {got.reordered}"
        found.append((f"{kind} received", f"{got.packets} packets", remark))
        found += repair_rows(results, kind)
        found.append(_timed(f"{kind} latency", run.totals.latency[kind], "decrypted"))
    measured = [point.bitrate for point in run.totals.points if point.received]
    found.append(("received at most", show_bitrate(max(measured, default=None)), "of all clients together"))
    found.append(_timed("connect to joined", run.totals.join, "joins"))
    found.append(_timed("joined to media", run.totals.first_media, "joins"))
    found.append(_timed("leave to notice", all_of(run.truth.leave_to_notice), "notices"))
    if total.moves:
        found.append(_timed("move to media", run.totals.move, "moves"))
        remark = f"{total.lost_sessions} sessions lost, {total.moves_without_media} times no media came"
        found.append(("moves", str(total.moves), remark))
    found.append(("list errors", str(run.truth.total), f"of {run.truth.notices} changes received"))
    if run.full:
        decoded = sum(client.decoded for client in run.full)
        frames = sum(client.frames("camera") for client in run.full)
        sounds = sum(client.frames("microphone") for client in run.full)
        remark = f"{frames} pictures, {sounds} frames of sound by {len(run.full)} full clients"
        found.append(("decoded", f"{decoded} streams", remark))
    if run.plan.feedback:
        remark = "sent by receivers" if total.traffic.feedback else "the gateway offers none"
        found.append(("arrival reports", f"{total.traffic.feedback} packets", remark))
    found += lost_rows(results) + _gateway_rows(results) + gateway_rows(results)
    for load in run.totals.loads:
        if load.seconds:
            remark = f"at most {load.most_cpu:.0%}, late by {show_seconds(load.worst_lag)} at most"
            found.append((f"own load: {load.name}", f"{load.mean_cpu:.0%} of a core", remark))
    if figures["silent_streams"]:
        found.append(("silent streams", str(total.silent), FIGURES["silent_streams"].meaning))
    return found


def _sent_remark(results: Results, kind: str) -> str:
    sent = results.total.sending["video" if kind == "video" else "audio"]
    if kind != "video":
        return f"{sent.frames} frames"
    return f"{sent.frames} frames, {sent.key_frames} key frames, {sent.key_frame_requests} requested"


def _timed(name: str, histogram: Histogram, what: str) -> tuple[str, str, str]:
    """Return a row with the median as its value."""
    if not histogram.count:
        return name, "–", "not measured"
    p99, longest = show_seconds(histogram.quantile(0.99)), show_seconds(histogram.quantile(1))
    return name, show_seconds(histogram.quantile(0.5)), f"p99 {p99}, max {longest}, of {histogram.count} {what}"


def _gateway_rows(results: Results) -> list[tuple[str, str, str]]:
    run, figures = results.conductor, results.figures
    found = []
    began, ended = run.figures.get("began"), run.figures.get("ended")
    if began is not None and ended is not None and began.cpu is not None and ended.cpu is not None:
        share = (ended.cpu - began.cpu) / (ended.at - began.at) if ended.at > began.at else 0.0
        cost = figures["cpu_per_packet"]
        shown = "–" if cost is None else f"{cost * 1e6:.1f} µs a packet"
        found.append(("gateway CPU", shown, f"{share:.0%} of a core"))
        found.append(("gateway memory", show_size(ended.memory), f"{show_size(figures['memory_per_member'])} a member"))
    difference = results.as_json()["gateway"]["difference"]
    if difference is not None:
        agree = "agree" if not any(difference.values()) else "differ"
        remark = f"the gateway's less ours: {difference['in']:+d} in, {difference['out']:+d} out"
        if run.plan.churn:
            remark += " (sent to clients that had just left)"
        found.append(("datagram counts", agree, remark))
    return found
