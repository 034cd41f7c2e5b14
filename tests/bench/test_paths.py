"""The bench of paths: timelines of pages, the report, the command, and a short call on the emulated network."""

import json
import math
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from attrs import evolve

from tools.bench.calls import gateway_server
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.server import Contestant
from tools.bench.calls.wire import RECEIVER, SERVER, Namespace, ipv4, ipv6, open_ends, open_wire, why_not_here
from tools.bench.command import Progress, Report
from tools.bench.paths.__main__ import conditions, main
from tools.bench.paths.call import PathFigures
from tools.bench.paths.contest import PathsContest, PathsOutcome
from tools.bench.paths.rows import ROWS, PathRow
from tools.bench.paths.tables import PathsTables
from tools.bench.paths.timeline import Seen, Timeline

OURS = Contestant("gateway", "trio-sfu", "1", gateway_server.open_gateway)
LIVEKIT = Contestant("livekit", "LiveKit", "2", gateway_server.open_gateway)
ROW = {row.name: row for row in ROWS}


def steady(*spans: tuple[float, float]) -> list[float]:
    """Times of pictures: ten a second in each span."""
    return [start + number / 10 for start, end in spans for number in range(round(10 * (end - start)))]


def test_the_picture_is_back_after_the_last_gap() -> None:
    seen = Timeline(steady((0, 10), (12, 12.5), (14, 20), (20.5, 30), (30.1, 35)), [])
    assert seen.back_after(10.0, 20.0) == pytest.approx(4.0)
    assert seen.back_after(15.0, 20.0) == 0.0
    assert seen.back_after(10.0, 13.5) == math.inf
    assert seen.back_after(11.9, 12.4) == pytest.approx(0.1)
    assert seen.back_after(20.0, 25.0) == pytest.approx(0.5)
    assert seen.back_after(29.5, 34.0) == 0.0
    assert seen.back_after(17.0, 25.0) == 0.0
    assert seen.back_after(30.0, 40.0) == math.inf


def test_a_first_picture_that_goes_away_again_does_not_count() -> None:
    assert Timeline(steady((0.3, 10)), []).first_after(0.0, 10.0) == pytest.approx(0.3)
    assert Timeline(steady((0.3, 2), (5, 10)), []).first_after(0.0, 10.0) == pytest.approx(5.0)
    assert Timeline([], []).first_after(0.0, 10.0) == math.inf


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([(0, "udp a")], 0.0),
        ([(0, "udp a"), (12, "udp b")], 0.0),
        ([(0, "udp a"), (5, "tcp a"), (13, "udp b")], 3.0),
        ([(0, "udp a"), (5, "tcp a"), (11, "udp b"), (12, "tcp a"), (14, "udp b")], 4.0),
        ([(0, "udp a"), (5, "tcp a")], math.inf),
        ([(0, "udp a"), (5, "tcp a"), (25, "udp b")], math.inf),
        ([], math.inf),
    ],
)
def test_the_picture_is_over_udp_again_once_it_stays_there(paths: list[tuple[float, str]], expected: float) -> None:
    seen = Timeline(steady((0, 30)), [Seen(at, "path", path) for at, path in paths])
    assert seen.udp_after(10.0, 20.0) == expected


def test_events_are_found_by_name_and_time() -> None:
    seen = Timeline.read({"pictures": [500], "events": [[1000, "user_left", "Ben"], [4000, "user_left", "Ben"]]})
    assert seen.pictures == [0.5]
    assert seen.first("user_left", 0.0) == 1.0
    assert seen.first("user_left", 2.0) == 2.0
    assert seen.first("user_left", 2.0, until=3.0) == math.inf
    assert seen.first("user_joined", 0.0) == math.inf


def report(row: str, *runs: PathFigures, livekit: PathFigures | None = None) -> Report:
    outcome = PathsOutcome()
    outcome.runs[row, "gateway", "chromium"] += runs
    if livekit is not None:
        outcome.runs[row, "livekit", "chromium"].append(livekit)
    return PathsTables(outcome, ROWS, [OURS, LIVEKIT]).report(conditions("Chromium 1", 3, 600, 0.4))


def test_the_report_has_a_line_for_each_row_and_contestant() -> None:
    run = PathFigures(picture=2.0, udp=4.0, seen_leaving=False)
    said = report("blocked", run, evolve(run, picture=3.0), run, livekit=PathFigures(18.0, math.inf, None, True)).text()
    assert "| UDP is blocked for 30 s | trio-sfu | 2.0 (2.0–3.0) | 4.0 | – | no |" in said
    assert "| UDP is blocked for 30 s | LiveKit | 18.0 | never | – | in 1 of 1 |" in said
    assert "load was 0.4" in said
    assert "reaches its aims in every row" in said


@pytest.mark.parametrize(
    ("row", "run", "why"),
    [
        ("no-udp", PathFigures(picture=math.inf), "the receiver has no UDP at all (picture never)"),
        (
            "blocked",
            PathFigures(6.0, 12.0, None, False),
            "UDP is blocked for 30 s (picture after 6.0 s, not 5 s, UDP after 12.0 s, not 10 s)",
        ),
        ("gap", PathFigures(picture=0.5, seen_leaving=True), "nothing passes for 8 s (seen leaving)"),
        ("cable", PathFigures(gone=21.9), "the cable is pulled for good (gone after 21.9 s, not 10 s)"),
    ],
)
def test_the_report_names_every_missed_aim(row: str, run: PathFigures, why: str) -> None:
    assert f"misses its aims**: {why}" in report(row, run).text()


def test_one_run_in_which_somebody_was_seen_leaving_misses_the_aim() -> None:
    good = PathFigures(picture=0.5, seen_leaving=False)
    assert "(seen leaving)" in report("gap", good, good, evolve(good, seen_leaving=True)).text()


def test_the_plot_leaves_out_what_never_came() -> None:
    run = PathFigures(picture=2.0, seen_leaving=False)
    ((name, _, drawn),) = report("gap", run, livekit=evolve(run, picture=math.inf)).plots
    assert name == "paths.svg"
    assert "trio-sfu: 2 (2 to 2)" in drawn
    assert "LiveKit: " not in drawn


def test_without_namespaces_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.bench.calls.wire.why_not_here", lambda: "no network namespaces here: not permitted")
    monkeypatch.setattr("tools.bench.paths.__main__.browsers", lambda only, progress: {})
    assert main(["--only", "gateway"]) == 2
    assert "error: no network namespaces here: not permitted; the bench needs root" in capsys.readouterr().err


@pytest.fixture
def ends() -> Iterator[tuple[list[Namespace], list[int]]]:
    if (reason := why_not_here()) is not None:
        pytest.skip(reason)
    with open_ends() as made:
        yield made


def reaches(ends: list[Namespace], address: str) -> bool:
    """Whether a packet from the server reaches this address of the receiver."""
    with ends[RECEIVER].entered():
        sink = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with ends[SERVER].entered():
        source = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with sink, source:
        sink.bind(("::", 9000))
        source.sendto(b"hello", (address, 9000))
        return bool(select.select([sink], [], [], 0.3)[0])


def test_an_end_can_change_its_addresses_and_back(ends: tuple[list[Namespace], list[int]]) -> None:
    spaces, devices = ends
    usual = [f"::ffff:{ipv4(RECEIVER)}", ipv6(RECEIVER)]
    others = [f"::ffff:{ipv4(RECEIVER, True)}", ipv6(RECEIVER, True)]

    async def try_all() -> list[bool]:
        async with open_wire(spaces, devices, seed=1):
            return [await trio.to_thread.run_sync(reaches, spaces, address) for address in (*usual, *others)]

    for home, away in ((True, False), (True, True), (False, True), (True, False), (False, True), (True, False)):
        spaces[RECEIVER].set_addresses(home=home, away=away)
        assert trio.run(try_all) == [home, home, away, away]


def test_the_switch_keeps_the_frames_that_it_got(ends: tuple[list[Namespace], list[int]], tmp_path: Path) -> None:
    spaces, devices = ends

    async def send() -> None:
        async with open_wire(spaces, devices, seed=1) as wire:
            await wire.set(RECEIVER, "to", Conditions(loss=1.0))
            await wire.capture(tmp_path / "frames.pcap")
            assert not await trio.to_thread.run_sync(reaches, spaces, ipv6(RECEIVER))
            await wire.capture(None)

    trio.run(send)
    kept = (tmp_path / "frames.pcap").read_bytes()
    assert struct.unpack("=I", kept[:4]) == (0xA1B23C4D,)
    assert kept.count(b"hello") == 1


@pytest.mark.browser
def test_a_killed_browser_is_seen_gone(ends: tuple[list[Namespace], list[int]], tmp_path: Path) -> None:
    async def play(*rows: PathRow) -> PathsOutcome:
        async with open_wire(*ends, seed=1) as wire:
            contest = PathsContest(wire, Progress(), tmp_path, settled=0.5)
            return await contest.run(rows, [gateway_server.find()], 1)

    outcome = trio.run(play, ROW["kill"])
    assert outcome.failures == []
    (run,) = outcome.runs["kill", "gateway", "chromium"]
    assert run.gone is not None
    assert run.gone < 5
    (folder,) = tmp_path.iterdir()
    kept = json.loads((folder / "timelines.json").read_text(encoding="utf-8"))
    assert "user_left" in [event["what"] for event in kept["sender"]["events"]]
    assert (folder / "frames.pcap").stat().st_size > 1000
