"""The command ``sfu-loadtest``."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
import trio
from attrs import frozen
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from protocol.vocabulary import MediaKind
from tools.loadtest.conductor import Aborted, Conductor
from tools.loadtest.failures import first_error
from tools.loadtest.full_clients import NoFullClientsError
from tools.loadtest.gateway_figures import GatewayWatch, is_running
from tools.loadtest.plan import CHURN_KINDS, LEAVE_KINDS, TOKEN_VARIABLE, ChurnKind, Plan, metrics_url, websocket_url
from tools.loadtest.processes import ProcessEnded
from tools.loadtest.quantities import parse_bitrate, parse_rate, parse_seconds, parse_share
from tools.loadtest.report import write_html
from tools.loadtest.results import Results, conclude
from tools.loadtest.table import open_live_table, print_results
from tools.loadtest.thresholds import Threshold, parse_thresholds

_FAILED: Final = 1
_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130
_STANDARD_OUTPUT: Final = Path("-")
#: Width of the final table in columns if standard output is no terminal.
_WIDTH: Final = 120
#: Default number of members.
_MEMBERS: Final = 4


@frozen
class Options:
    """Options of the command.  Their docstrings are its help texts."""

    channels: int = 1
    """Number of channels."""
    members: int | None = None
    """Clients in each channel that send and receive."""
    publishers: int = 0
    """Clients in each channel that only send."""
    subscribers: int = 0
    """Clients in each channel that only receive."""
    audio: bool = False
    """Send Opus, 32 kbit/s. This is also the default."""
    video: bool = False
    """Send VP8."""
    bitrate: str = "600k"
    """Bitrate of one video stream, in bit/s."""
    fps: int = 30
    """Frames per second of one video stream."""
    simulcast: bool = False
    """Send video in three encodings. The best one has --bitrate, the others a quarter and a twelfth of it."""
    layer: int | None = None
    """Best encoding that clients ask for, from 0, as the page does for a small tile. The default is the best one."""
    feedback: bool = False
    """Report the arrivals of packets ten times a second (transport-wide feedback), as browsers do."""
    duration: str = "20s"
    """Time for which the tool measures, after all clients have joined."""
    ramp: str = "10/s"
    """Rate at which clients join at the beginning."""
    churn: str = "0/s"
    """Rate at which clients leave while the tool measures. Each comes back within a second. "move" is short for 1/s of
    this kind."""
    churn_kinds: str = ",".join(LEAVE_KINDS)
    """Ways to leave, in turn: leave (the request), close (the WebSocket), kill (the process dies). With move, a client
    stays and changes its network."""
    lose: str = "0%"
    """Share of media that each light client loses on purpose, of what it sends and of what it receives, such as 5%."""
    lose_up: str | None = None
    """The same for what it sends. The default is --lose."""
    lose_down: str | None = None
    """The same for what it receives. The default is --lose."""
    processes: int = 1
    """Worker processes for the light clients."""
    full: int = 0
    """Full clients, which encode and decode, each in a process of its own."""
    token: Annotated[str | None, Parameter(env_var=TOKEN_VARIABLE)] = None
    """The gateway's join token."""
    ca: str | None = None
    """File with the certificates (PEM) of the authorities to trust for https and wss. The default are the system's."""
    metrics: str | None = None
    """URL of the gateway's /metrics. The default follows from the gateway's URL. With "none", the tool reads none."""
    pid: int | None = None
    """Process id of a gateway on this machine. The tool then gets CPU time and memory from the system."""
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None
    """Write the report as JSON to this file. With "-" it is the only text on standard output."""
    html: Path | None = None
    """Write an HTML page with the figures and plots over time to this file."""
    seed: int = 1
    """Seed of the random choice of the clients that leave, and of the packets that --lose loses."""


@frozen
class Limits:
    """Thresholds of the command.  Their docstrings are its help texts."""

    max_loss: str | None = None
    """Greatest share of packets that never arrive, such as 1%."""
    max_audio_loss: str | None = None
    """Greatest share of audio packets that never arrive."""
    max_video_loss: str | None = None
    """Greatest share of video packets that never arrive."""
    max_duplicated: str | None = None
    """Greatest share of packets that arrive twice."""
    max_reordered: str | None = None
    """Greatest share of packets that arrive after a later one."""
    max_unrepaired: str | None = None
    """Greatest share of packets that a client asked for in vain, of all that it asked for."""
    max_repair_p50: str | None = None
    """Greatest median time from the notice of a gap until the missing packet comes."""
    max_repair_p99: str | None = None
    """Greatest 99th percentile of the time from the notice of a gap until the missing packet comes."""
    max_latency_p50: str | None = None
    """Greatest median of the forwarding latency, such as 5ms."""
    max_latency_p99: str | None = None
    """Greatest 99th percentile of the forwarding latency."""
    max_join_p50: str | None = None
    """Greatest median time from connecting to joined."""
    max_join_p99: str | None = None
    """Greatest 99th percentile of the time from connecting to joined."""
    max_first_media_p99: str | None = None
    """Greatest 99th percentile of the time from joined to the first packet."""
    max_leave_p50: str | None = None
    """Greatest median time from a leave until another client learns of it."""
    max_leave_p99: str | None = None
    """Greatest 99th percentile of the time from a leave until another client learns of it."""
    max_move_p50: str | None = None
    """Greatest median time from a change of the network until media flows again."""
    max_move_p99: str | None = None
    """Greatest 99th percentile of the time from a change of the network until media flows again."""
    max_moves_without_media: str | None = None
    """Most changes of the network after which no media comes."""
    max_lost_sessions: str | None = None
    """Most sessions that are lost by a change of the network."""
    max_roster_errors: str | None = None
    """Most errors in the participant lists that clients get."""
    max_failures: str | None = "0"
    """Most failures of clients: refused, lost, or not answered in time."""
    max_silent_streams: str | None = None
    """Most streams from which a client that consumes them gets no packet."""
    max_strange_packets: str | None = None
    """Most packets that belong to another stream, or that a client cannot decrypt."""
    max_full_undecoded: str | None = None
    """Most streams of which a full client decodes no frame."""
    max_cpu_per_packet: str | None = None
    """Greatest CPU time of the gateway for each packet that it sends, such as 50us."""
    max_memory_per_member: str | None = None
    """Greatest memory of the gateway for each client, such as 500k."""
    max_count_difference: str | None = None
    """Greatest difference between the gateway's counts of datagrams and the tool's."""


_DEFAULTS: Final = Options()
_NO_LIMITS: Final = Limits()

app = App(
    name="sfu-loadtest",
    help_format="plaintext",
    version=version("trio-sfu"),
)


@app.default
def run(
    url: str,
    options: Annotated[Options, Parameter(name="*", negative=())] = _DEFAULTS,
    limits: Annotated[Limits, Parameter(name="*", group="Thresholds")] = _NO_LIMITS,
) -> int:
    """Load a running gateway with synthetic clients, and measure it.

    Exit status: 0 for success, 1 for a broken threshold or a failed gateway, 2
    for a wrong command, 130 after Ctrl-C. Exit status 3 means that this tool was
    too slow, so its figures do not show the gateway alone.

    Parameters
    ----------
    url
        URL of the gateway, such as http://127.0.0.1:8080 or wss://call.example.org/ws.
    """
    try:
        plan = make_plan(url, options)
        thresholds = parse_thresholds({name.removeprefix("max_"): text for name, text in attrs.asdict(limits).items()})
        watch = _watch(plan, options)
        _check_files(options)
    except ValueError as error:
        return _fail(str(error), _USAGE_ERROR)
    return _run(plan, watch, thresholds, options)


def make_plan(url: str, options: Options) -> Plan:
    """Raises ``ValueError``, whose text names the wrong option."""
    members = options.members
    if members is not None and (options.publishers or options.subscribers):
        raise ValueError("--members cannot be combined with --publishers and --subscribers")
    if members is None:
        members = 0 if options.publishers or options.subscribers else _MEMBERS
    kinds: list[MediaKind] = []
    if options.audio or not options.video:
        kinds.append("audio")
    if options.video:
        kinds.append("video")
    churn, churn_kinds = ("1/s", "move") if options.churn == "move" else (options.churn, options.churn_kinds)
    plan = Plan(
        url=websocket_url(url),
        run_id=secrets.token_hex(4),
        channels=options.channels,
        members=members,
        publishers=options.publishers,
        subscribers=options.subscribers,
        kinds=tuple(kinds),
        bitrate=_parsed("--bitrate", parse_bitrate, options.bitrate),
        fps=options.fps,
        simulcast=options.simulcast,
        layer=options.layer,
        feedback=options.feedback,
        duration=_parsed("--duration", parse_seconds, options.duration),
        ramp=_parsed("--ramp", parse_rate, options.ramp),
        churn=_parsed("--churn", parse_rate, churn),
        churn_kinds=_churn_kinds(churn_kinds),
        lose_up=_share("--lose-up", options.lose_up, options),
        lose_down=_share("--lose-down", options.lose_down, options),
        processes=options.processes,
        full=options.full,
        token=options.token,
        ca=options.ca,
        seed=options.seed,
    )
    plan.ssl_context()
    if plan.simulcast and "video" not in kinds:
        raise ValueError("--simulcast needs --video")
    if not plan.slots():
        raise ValueError("there would be no clients: --members, --publishers and --subscribers are 0")
    return plan


def _parsed(option: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error


def _share(option: str, text: str | None, options: Options) -> float:
    """Return the share of lost media of one direction.  ``--lose`` is the default of both."""
    share: float = _parsed("--lose", parse_share, options.lose)
    return share if text is None else float(_parsed(option, parse_share, text))


def _churn_kinds(text: str) -> tuple[ChurnKind, ...]:
    kinds: list[ChurnKind] = []
    for word in text.split(","):
        kind = next((kind for kind in CHURN_KINDS if kind == word.strip()), None)
        if kind is None:
            raise ValueError(f"--churn-kinds: {word.strip()!r} is none of {', '.join(CHURN_KINDS)}")
        kinds.append(kind)
    return tuple(kinds)


def _watch(plan: Plan, options: Options) -> GatewayWatch:
    if options.pid is not None and not is_running(options.pid):
        raise ValueError(f"--pid: there is no process {options.pid}")
    metrics = options.metrics or metrics_url(plan.url)
    return GatewayWatch(None if metrics == "none" else metrics, options.pid, plan.ssl_context())


def _check_files(options: Options) -> None:
    """Check before the run that the reports can be written."""
    for option, file in (("--json", options.json), ("--html", options.html)):
        if file is not None and file != _STANDARD_OUTPUT and not os.access(file.absolute().parent, os.W_OK):
            raise ValueError(f"{option}: the folder {file.parent} is not writable")


def _run(plan: Plan, watch: GatewayWatch, thresholds: tuple[Threshold, ...], options: Options) -> int:
    quiet = options.json == _STANDARD_OUTPUT
    screen = Console(stderr=True, quiet=quiet)
    results = None
    with open_live_table(screen) as table:
        conductor = Conductor(plan, watch, table.look)
        try:
            trio.run(conductor.run, strict_exception_groups=True)
            results = conclude(conductor, thresholds)
        except* (Aborted, KeyboardInterrupt):
            pass
        except* (ProcessEnded, NoFullClientsError) as group:
            conductor.error = f"{first_error(group)}"
            results = conclude(conductor, thresholds)
    if results is None:
        return _fail("stopped at once, without a report", _INTERRUPTED)
    return _write(results, options, quiet=quiet)


def _write(results: Results, options: Options, *, quiet: bool) -> int:
    status = results.status
    if not quiet:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH)
        print_results(results, console)
    try:
        if options.html is not None:
            options.html.write_text(write_html(results))
        if options.json is not None:
            text = json.dumps(results.as_json(), indent=1) + "\n"
            if quiet:
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                options.json.write_text(text)
    except OSError as error:
        return _fail(f"the report cannot be written: {error}", _FAILED)
    if results.conductor.error is not None:
        return _fail(results.conductor.error, status)
    return status


def _fail(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with the status of :func:`run`."""
    try:
        command, bound, _ = app.parse_args(
            sys.argv[1:] if arguments is None else arguments, exit_on_error=False, print_error=False
        )
    except (CycloptsError, ValueError) as error:
        sys.exit(_fail(str(error).strip().partition("\n")[0].rstrip(" :"), _USAGE_ERROR))
    sys.exit(command(*bound.args, **bound.kwargs))
