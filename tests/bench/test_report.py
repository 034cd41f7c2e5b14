"""The tables and plots of a contest."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from attrs import evolve

from tools.bench.beside.call import RunResult
from tools.bench.beside.contest import ContestOutcome
from tools.bench.beside.drain import DrainTotals
from tools.bench.beside.figures import report
from tools.bench.beside.floor import FloorResult
from tools.bench.beside.scenarios import SCENARIOS
from tools.bench.plots import linear, logarithmic
from tools.page import Place

SCENARIO = SCENARIOS[0]
RECEIVED = DrainTotals(1000, [], 0.001, 0.002, 0, cpu=0.1, dropped=0)
RUN = RunResult(
    cpu=0.02,
    seconds=4.0,
    expected=1000,
    received=RECEIVED,
    joins=[0.01, 0.02, 0.09],
    notice=0.003,
    memory_per_member=200_000,
    threads=1,
    late_p99=0.001,
    busy=0.05,
    profiles=frozenset({"AEAD_AES_128_GCM"}),
)
CONDITIONS = "2 cores"


def outcome(*runs: RunResult) -> ContestOutcome:
    made = ContestOutcome()
    made.runs[SCENARIO.name, "gateway"] = list(runs)
    made.runs[SCENARIO.name, "janus"] = [evolve(RUN, cpu=0.06)]
    made.runs[SCENARIO.name, "floor"] = [FloorResult(1000, 1000, 0.008, 1000)]
    made.runs[SCENARIO.name, "floor-segmented"] = [FloorResult(1000, 200, 0.004, 1000)]
    return made


def said(made: ContestOutcome) -> str:
    return report(made, [SCENARIO], CONDITIONS).text()


def test_a_cell_has_the_median_the_least_and_the_most() -> None:
    table = said(outcome(RUN, evolve(RUN, cpu=0.018), evolve(RUN, cpu=0.03)))
    assert "| video to 10 | 1,500 | 20.0 (18.0–30.0) | 60.0 | 8.0 | 4.0 | 3.0 | 5.0 |" in table


def test_every_column_has_its_unit() -> None:
    table = said(outcome(RUN))
    assert "| video to 10 | trio-sfu | 1.00 | 2.00 | 0.00% | 20 | 90 | 3.0 | 200 | 1 | 1.0 | 8% |" in table


def test_packets_that_did_not_arrive_are_lost_and_not_in_the_cost() -> None:
    run = evolve(RUN, expected=1250)
    assert run.loss == pytest.approx(0.2)
    assert run.cpu_per_packet == pytest.approx(20e-6)


def test_a_leave_that_no_member_learned_of_has_no_time() -> None:
    assert "| > 10000 |" in said(outcome(RUN, evolve(RUN, notice=None)))


def test_a_figure_that_was_not_measured_is_a_dash() -> None:
    table = said(ContestOutcome(runs={(SCENARIO.name, "gateway"): [RUN]}))
    assert "| video to 10 | 1,500 | 20.0 | – | – | – | – | – |" in table


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (evolve(RUN, late_p99=0.02), "sources were 20 ms late"),
        (evolve(RUN, busy=0.9), "busy for 90% of a core"),
        (evolve(RUN, received=evolve(RECEIVED, cpu=3.9)), "busy for 98% of a core"),
        (evolve(RUN, received=evolve(RECEIVED, dropped=3)), "3 packets did not fit"),
        (evolve(RUN, received=evolve(RECEIVED, unopened=2)), "2 could not be decrypted"),
    ],
)
def test_the_report_doubts_runs_of_an_overloaded_generator(run: RunResult, why: str) -> None:
    assert "Doubtful" not in said(outcome(RUN))
    table = said(outcome(run))
    assert "Doubtful" in table
    assert why in table


def test_the_report_names_differing_srtp_profiles() -> None:
    assert "Every transport used AEAD_AES_128_GCM." in said(outcome(RUN))
    other = evolve(RUN, profiles=frozenset({"AES128_CM_SHA1_80"}))
    assert "**Not alike**: transports used AEAD_AES_128_GCM, AES128_CM_SHA1_80." in said(outcome(RUN, other))


def test_the_report_names_failures() -> None:
    made = outcome(RUN)
    made.failures.append("video to 10, janus: it ended\nwith a log")
    assert "**Failed**: video to 10, janus: it ended\n" in said(made) + "\n"


def test_page_and_plots_are_written_together(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- bench: begin --><!-- bench: end -->")
    report(outcome(RUN), [SCENARIO], CONDITIONS).write(Place("bench"), page)
    names = ["bench-cpu.svg", "bench-latency.svg", "bench-memory.svg"]
    for name in names:
        assert f"(images/{name})" in page.read_text()
        root = ElementTree.parse(tmp_path / "images" / name).getroot()
        assert root.get("role") == "img"
        assert "prefers-color-scheme: dark" in "".join(root.itertext())


def test_a_bar_is_as_high_as_its_value() -> None:
    [(_, _, drawn), *_] = report(outcome(RUN), [SCENARIO], CONDITIONS).plots
    space = "{http://www.w3.org/2000/svg}"
    bars = [one for one in ElementTree.fromstring(drawn).iter(f"{space}rect") if one.find(f"{space}title") is not None]
    heights = [float(one.attrib["height"]) for one in bars]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 3, 0.4, 0.2], abs=0.01)


def test_an_axis_covers_all_values() -> None:
    for values in ([3.0], [0.4, 7], [12, 80], [0.02, 900]):
        for axis in (linear(values), logarithmic(values)):
            low, high = axis.ticks[0], axis.ticks[-1]
            assert low <= min(values)
            assert high >= max(values)
            assert axis.y(high) < axis.y(max(values)) + 0.01 < axis.y(low) + 0.02
