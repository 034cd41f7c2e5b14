"""Quantities, thresholds, plans, rosters, plots, and the load of the tool itself."""

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.events import VoiceState
from protocol.vocabulary import Participant, Position
from tools.loadtest.cli import Limits, Options, make_plan
from tools.loadtest.own_load import LoadSample, OwnLoad, unsent_complaint
from tools.loadtest.plan import Plan, metrics_url, websocket_url
from tools.loadtest.plots import Line, Plot, draw, nice_ticks
from tools.loadtest.quantities import parse_bitrate, parse_rate, parse_seconds, parse_share, parse_size, show_seconds
from tools.loadtest.roster import Roster
from tools.loadtest.thresholds import FIGURES, judge, parse_thresholds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20s", 20), ("50ms", 0.05), ("1.5m", 90), ("3", 3), ("80us", 8e-5), ("80µs", 8e-5), (".5s", 0.5)],
)
def test_times_are_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


def test_other_quantities_are_read() -> None:
    assert parse_share("1%") == pytest.approx(0.01)
    assert parse_share("0.05 %") == pytest.approx(0.0005)
    assert parse_rate("2/s") == 2
    assert parse_rate("30/min") == 0.5
    assert parse_bitrate("1.2M") == 1_200_000
    assert parse_bitrate("600kbit/s") == 600_000
    assert parse_size("2M") == 2 * 1024**2


@pytest.mark.parametrize("text", ["", "x", "-1s", "1 parsec", "1s2", "nan", "inf"])
def test_a_wrong_quantity_is_refused_with_an_example(text: str) -> None:
    for parse in (parse_seconds, parse_share, parse_rate, parse_bitrate, parse_size):
        with pytest.raises(ValueError, match="An example"):
            parse(text)
    with pytest.raises(ValueError, match="more than 100%"):
        parse_share("101%")


def test_each_figure_has_an_option_and_each_option_a_figure() -> None:
    assert {attribute.name for attribute in attrs.fields(Limits)} == {f"max_{key}" for key in FIGURES}


def test_a_threshold_is_kept_up_to_its_limit_and_not_beyond() -> None:
    thresholds = parse_thresholds({"loss": "1%", "latency_p99": "50ms", "roster_errors": None, "failures": "0"})
    verdicts = judge(thresholds, {"loss": 0.01, "latency_p99": 0.0501, "failures": 0.0})
    assert [(verdict.threshold.figure.key, verdict.kept) for verdict in verdicts] == [
        ("loss", True),
        ("latency_p99", False),
        ("failures", True),
    ]
    assert str(verdicts[1]) == "latency_p99 is 50.10 ms, --max-latency-p99 50.00 ms"


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_figure_that_was_not_measured_breaks_its_threshold(value: float | None) -> None:
    [verdict] = judge(parse_thresholds({"loss": "100%"}), {"loss": value})
    assert not verdict.kept


def test_a_wrong_threshold_names_its_option() -> None:
    with pytest.raises(ValueError, match="--max-latency-p99: 'fast' is not understood"):
        parse_thresholds({"latency_p99": "fast"})
    with pytest.raises(ValueError, match="--max-roster-errors: '1%' is not a whole number"):
        parse_thresholds({"roster_errors": "1%"})


def test_durations_are_shown_short() -> None:
    assert [show_seconds(seconds) for seconds in (None, 0.0000123, 0.00125, 0.25, 3)] == [
        "–",
        "12 µs",
        "1.25 ms",
        "250 ms",
        "3.00 s",
    ]


def test_the_urls_of_websocket_and_metrics_follow_from_the_gateways() -> None:
    assert websocket_url("http://127.0.0.1:8080") == "ws://127.0.0.1:8080/ws"
    assert websocket_url("https://call.example.org/") == "wss://call.example.org/ws"
    assert websocket_url("ws://localhost:1/elsewhere") == "ws://localhost:1/elsewhere"
    assert metrics_url("wss://call.example.org/ws") == "https://call.example.org/metrics"
    for wrong in ("127.0.0.1:8080", "ftp://x/", "http://", ""):
        with pytest.raises(ValueError, match="An example"):
            websocket_url(wrong)


def test_the_options_make_the_slots() -> None:
    plan = Plan("ws://x/ws", "r", channels=2, publishers=1, subscribers=2, processes=2)
    slots = plan.slots()
    assert [(slot.channel_id, slot.publishes, slot.subscribes, slot.process) for slot in slots] == [
        ("load-r-0", True, False, 0),
        ("load-r-1", True, False, 1),
        ("load-r-0", False, True, 0),
        ("load-r-1", False, True, 1),
        ("load-r-0", False, True, 0),
        ("load-r-1", False, True, 1),
    ]
    assert len({slot.user_id for slot in slots}) == 6
    everybody = make_plan("http://x", Options(members=3, video=True))
    assert everybody.kinds == ("video",)
    assert all(slot.publishes and slot.subscribes and slot.churns for slot in everybody.slots())
    assert make_plan("http://x", Options()).kinds == ("audio",)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (Options(members=2, publishers=1), "--members cannot be combined with"),
        (Options(members=0), "there would be no clients"),
        (Options(churn="often"), "--churn: 'often'"),
        (Options(churn_kinds="leave,explode"), "--churn-kinds: 'explode'"),
        (Options(duration="0"), "duration"),
        (Options(bitrate="0"), "--bitrate"),
    ],
)
def test_a_contradictory_plan_is_refused(options: Options, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        make_plan("http://x", options)


def seconds(count: int, *, lag: float = 0.001, cpu: float = 0.2) -> list[LoadSample]:
    return [LoadSample(lag, cpu) for _ in range(count)]


def test_a_process_with_spare_time_is_no_bottleneck() -> None:
    assert OwnLoad("w", seconds(20)).complaints() == []
    assert OwnLoad("w", seconds(18) + seconds(2, lag=0.2)).complaints() == []
    assert OwnLoad("w", seconds(5) + seconds(2, cpu=1.0) + seconds(5)).complaints() == []
    assert OwnLoad("w", []).complaints() == []


def test_a_late_or_busy_process_is_a_bottleneck() -> None:
    [late] = OwnLoad("w", seconds(10) + seconds(5, lag=0.06)).complaints()
    assert late == "w woke up more than 50 ms late in 5 of 15 seconds"
    [busy] = OwnLoad("w", seconds(10) + seconds(4, cpu=0.97)).complaints()
    assert busy == "w took more than 90% of a core for 4 seconds"


def test_unsent_packets_are_the_tools_fault() -> None:
    assert unsent_complaint(1, 10_000) is None
    complaint = unsent_complaint(100, 10_000)
    assert complaint is not None
    assert complaint.startswith("100 of 10100")


def person(name: str) -> Participant:
    return Participant(name, name, "2026-11-01T09:30:00.250Z", {})


def change(kind: str, name: str, count: int, listed: tuple[str, ...] | None = None) -> VoiceState:
    return VoiceState(
        type="user_joined" if kind == "joined" else "user_left" if kind == "left" else "user_updated",
        channel_id="c",
        user_id=name,
        username=name,
        epoch=1,
        revision=2,
        participant=person(name),
        count=count,
        participants=None if listed is None else tuple(map(person, listed)),
        reason="left" if kind == "left" else None,
    )


@pytest.mark.parametrize(
    ("event", "fits"),
    [
        (change("joined", "cleo", 3), True),
        (change("joined", "cleo", 3, ("anna", "ben", "cleo")), True),
        (change("left", "ben", 1, ("anna",)), True),
        (change("updated", "ben", 2), True),
        (change("joined", "ben", 2), False),
        (change("left", "cleo", 2), False),
        (change("updated", "cleo", 3), False),
        (change("left", "ben", 2), False),
        (change("left", "ben", 1, ("anna", "ben")), False),
        (change("joined", "cleo", 3, ("ben", "anna", "cleo")), False),
    ],
)
def test_a_roster_knows_whether_a_change_fits(event: VoiceState, fits: bool) -> None:
    roster = Roster((person("anna"), person("ben")), Position(1, 1))
    assert roster.apply(event) is fits
    if event.participants is not None:
        assert roster.users == tuple(each.user_id for each in event.participants)


@given(st.floats(min_value=0, max_value=1e12))
def test_few_ticks_reach_the_highest_value(highest: float) -> None:
    ticks = nice_ticks(highest)
    assert ticks[0] == 0
    assert ticks[-1] >= highest * 0.999999 - 1e-9
    assert 2 <= len(ticks) <= 7


def test_a_plot_has_gaps_and_escapes_its_texts() -> None:
    svg = draw(Plot("<a & b>", "ms", [0, 1, 2, 3], [Line("p99", [1, None, 3, 4])], [(1.0, "now")]))
    assert "&lt;a &amp; b&gt;" in svg
    path = svg.partition('<path d="')[2].partition('"')[0]
    assert path.count("M") == 2
    assert path.count("L") == 1
    assert draw(Plot("nothing", "", [], [Line("x", [])])).startswith("<svg")
