"""The bench of quality: statistics of browsers, the report, the command, and short runs on the emulated network."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from tools.bench.calls import gateway_server, livekit_server
from tools.bench.calls.carry import Carried, carry
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.readings import Figures, Reading
from tools.bench.calls.server import Contestant
from tools.bench.calls.taking_part import contestants
from tools.bench.calls.wire import SENDER, Lateness, Namespace, open_ends, open_wire, why_not_here
from tools.bench.command import Progress, Report
from tools.bench.janus import process as janus
from tools.bench.quality.__main__ import conditions, main
from tools.bench.quality.contest import QualityContest, QualityOutcome, QualityRun
from tools.bench.quality.rows import ROWS
from tools.bench.quality.tables import QualityTables
from tools.namespaces import why_not

FIGURES = Figures(
    seconds=20.0,
    frames=20.0,
    frozen=0.25,
    freezes=1,
    longest_gap=0.3,
    concealed=0.004,
    silent=0.001,
    video_delay=0.04,
    audio_delay=0.05,
    video_rate=700_000,
    audio_rate=32_000,
    video_lost=60,
    audio_lost=50,
    nacks=55,
    plis=0,
    repaired=59,
    key_frames=0,
    sent_frames=20.0,
    sent_nacks=0,
    sent_plis=0,
    resent=0,
    sent_rate=700_000,
    size="640×360",
)
RUN = QualityRun(FIGURES, 0.0001)
OURS = Contestant("gateway", "trio-sfu", "1", gateway_server.open_gateway)
JANUS = Contestant("janus", "Janus", "2", gateway_server.open_gateway)
CONDITIONS = conditions("Chromium 1", 3, 20, 600, Carried(3000, 2999, 0.0001, 0.0004))
CLEAN, TO_5 = ROWS[:2]


def reading(at: float, still: float = 0.0, **values: float) -> Reading:
    """Statistics as a browser gives them.  The names of the values are ``video_framesDecoded`` and the like."""
    entries: list[dict[str, Any]] = []
    for kind in ("video", "audio"):
        own = {name.partition("_")[2]: value for name, value in values.items() if name.startswith(kind)}
        for type_ in ("inbound-rtp", "outbound-rtp"):
            entries.append({"id": kind + type_, "type": type_, "kind": kind, **own})
    return Reading(at, still, 0.1, entries)


def report(*runs: QualityRun, janus: QualityRun | None = None) -> Report:
    outcome = QualityOutcome()
    outcome.runs["to-5", "gateway", "chromium"] = [*runs]
    if janus is not None:
        outcome.runs["to-5", "janus", "chromium"] = [janus]
    return QualityTables(outcome, [CLEAN, TO_5], [OURS, JANUS]).report(CONDITIONS)


def test_figures_are_differences_of_two_readings() -> None:
    before = reading(100.0, video_framesDecoded=50, audio_totalSamplesReceived=1000, video_framesEncoded=50)
    after = reading(
        110.0,
        video_framesDecoded=250,
        video_totalFreezesDuration=0.5,
        video_freezeCount=1,
        video_frameWidth=640,
        video_frameHeight=360,
        audio_totalSamplesReceived=481_000,
        audio_concealedSamples=4800,
        audio_bytesReceived=40_000,
        video_framesEncoded=260,
    )
    figures = Figures.between((before, after), (before, after))
    assert figures.frames == 20.0
    assert figures.frozen == 0.5
    assert figures.concealed == 0.01
    assert figures.audio_rate == 32_000
    assert figures.sent_frames == 21.0
    assert figures.size == "640×360"


def test_a_freeze_that_lasts_until_the_end_counts() -> None:
    before = reading(0.0)
    after = reading(10.0, still=3.0, video_totalFreezesDuration=1.0, video_freezeCount=1)
    figures = Figures.between((before, after), (before, after))
    assert (figures.frozen, figures.freezes) == (4.0, 2.0)
    usual = reading(10.0, still=0.06, video_totalFreezesDuration=1.0, video_freezeCount=1)
    assert Figures.between((before, usual), (before, usual)).frozen == 1.0
    whole = reading(10.0, still=12.0)
    assert Figures.between((before, whole), (before, whole)).frozen == 10.0


def test_the_report_has_a_line_for_each_row_and_contestant() -> None:
    said = report(RUN, evolve(RUN, figures=evolve(FIGURES, frames=18.0)), RUN, janus=RUN).text()
    assert "| 5 % loss to the receiver | trio-sfu | 20.0 (18.0–20.0) | 0.25 | 0.30 | 0.40 | 0.10 | 40 | 50 |" in said
    assert "| 5 % loss to the receiver | Janus | 20.0 |" in said
    assert "| clean |" not in said
    assert "the switch itself lost 1 of 3,000 packets, and took 0.10 ms (p99: 0.40 ms)" in said
    assert "3 runs of 20 s, after 10 s on a perfect network; 10 minutes" in said
    assert "doubted" not in said


def test_the_report_names_every_missed_aim() -> None:
    assert "reaches its aims" in report(RUN).text()
    bad = evolve(FIGURES, frames=0.8, frozen=18.3, concealed=0.06)
    said = report(evolve(RUN, figures=bad), janus=RUN).text()
    assert (
        "misses its aims**: 5 % loss to the receiver "
        "(0.8 frames/s, not 19, 18.30 s frozen, not 0.5, 6.00% of the sound concealed, not 0.5%)."
    ) in said


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (evolve(RUN, switch_late=0.02), "frames left the switch 20 ms late"),
        (evolve(RUN, figures=evolve(FIGURES, sent_frames=15.0)), "the sender encoded 15.0 frames/s"),
    ],
)
def test_the_report_says_when_the_machine_was_too_slow(run: QualityRun, why: str) -> None:
    said = report(RUN, run).text()
    assert f"5 % loss to the receiver, trio-sfu, chromium ({why})" in said


def test_each_plot_has_all_contestants_and_one_without_heights_is_left_out() -> None:
    drawn = {name: svg for name, _, svg in report(RUN, janus=RUN).plots}
    assert [*drawn] == ["quality-frames.svg", "quality-frozen.svg", "quality-concealed.svg"]
    assert all("Janus" in svg for svg in drawn.values())
    never = evolve(RUN, figures=evolve(FIGURES, frozen=0.0))
    assert "quality-frozen.svg" not in [name for name, _, _ in report(never).plots]


def test_quantiles_of_the_switchs_lateness() -> None:
    counts = [90, 5, 4, 1, 0, 0, 0, 0, 0, 0]
    assert Lateness(counts).quantile(0.5) == 0.0001
    assert Lateness(counts).quantile(0.99) == 0.0005
    assert Lateness(counts).quantile(1.0) == 0.001
    assert Lateness(counts).since(Lateness(counts)).quantile(0.99) == 0.0


def test_livekits_token_is_signed() -> None:
    head, claims, signature = livekit_server.token("secret", "ada", 1000.0).split(".")
    expected = hmac.digest(b"secret", f"{head}.{claims}".encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(signature + "==") == expected
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (read["sub"], read["exp"], read["video"]["roomJoin"]) == ("ada", 1600, True)


def test_servers_that_are_not_installed_are_skipped_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(livekit_server, "INSTALLED", tmp_path)

    def find() -> None:
        raise janus.NoJanus("there is no Janus here")

    monkeypatch.setattr(janus, "find", find)
    assert [one.name for one in contestants(None, Progress())] == ["gateway"]
    said = capsys.readouterr().err
    assert "without janus: there is no Janus here" in said
    assert "without livekit: there is no LiveKit here" in said


def test_without_namespaces_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.bench.calls.wire.why_not_here", lambda: "no network namespaces here: not permitted")
    monkeypatch.setattr("tools.bench.quality.__main__.browsers", lambda only, progress: {})
    assert main(["--only", "gateway"]) == 2
    assert "error: no network namespaces here: not permitted; the bench needs root" in capsys.readouterr().err


def test_without_tap_devices_the_bench_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    monkeypatch.setattr("tools.bench.calls.wire._TUN", tmp_path / "tun")
    assert "there are no TAP devices" in str(why_not_here())


@pytest.fixture
def ends() -> Iterator[tuple[list[Namespace], list[int]]]:
    if (reason := why_not_here()) is not None:
        pytest.skip(reason)
    with open_ends() as made:
        yield made


def test_a_perfect_network_loses_nothing_and_a_bad_one_has_its_conditions(
    ends: tuple[list[Namespace], list[int]],
) -> None:
    async def measure(conditions: Conditions) -> Carried:
        async with open_wire(*ends, seed=1) as wire:
            await wire.set(SENDER, "from", conditions)
            carried = await trio.to_thread.run_sync(carry, ends[0], 0.4)
            counts = await wire.counts()
            assert counts.of("from", SENDER, "frames") >= carried.sent
            return carried

    perfect = trio.run(measure, Conditions())
    assert perfect.loss == 0
    far = trio.run(measure, Conditions(delay=0.03, loss=0.2))
    assert far.p50 >= 0.03
    assert 0.1 < far.loss < 0.3
    assert trio.run(measure, Conditions(udp=False)).arrived == 0


@pytest.mark.browser
def test_a_short_call_through_the_gateway(ends: tuple[list[Namespace], list[int]]) -> None:
    async def measure() -> QualityOutcome:
        async with open_wire(*ends, seed=1) as wire:
            contest = QualityContest(wire, 1.0, Progress(), warm=0.5)
            return await contest.run([CLEAN], [gateway_server.find()], 1)

    outcome = trio.run(measure)
    assert outcome.failures == []
    (run,) = outcome.runs["clean", "gateway", "chromium"]
    assert run.figures.frames > 0
    assert run.figures.video_lost == run.figures.audio_lost == 0
    assert run.figures.size.count("×") == 1
