"""The bench of planes: a short run, and its report."""

from argparse import Namespace
from collections.abc import Iterator

import pytest
import trio
from attrs import evolve

from tools.bench.command import Progress
from tools.bench.network import ServerLink, open_link
from tools.bench.planes import sink
from tools.bench.planes.__main__ import Results, main, report
from tools.bench.planes.measure import PlanesResult, measure
from tools.light.media_loop import constant_loop
from tools.namespaces import configure, why_not

LOOP = constant_loop("video", rate=40, packets=5, payload_size=1100)
ONE = PlanesResult(
    packets=700_000, sunk=700_100, dropped=2_000, planes=[0.99], interpreter=0.04, generator=0.17, idle=0.8
)
TWO = evolve(ONE, packets=1_330_000, sunk=1_330_000, dropped=0, planes=[0.9, 0.89], idle=0.0)


def said_of(results: Results) -> str:
    return report(results, LOOP, Namespace(receivers=60, rounds=1, seconds=3)).text()


@pytest.fixture
def link() -> Iterator[ServerLink]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with open_link() as made:
        yield made


def test_each_channel_has_a_plane_and_all_that_leaves_goes_into_the_sink(link: ServerLink) -> None:
    run = trio.run(measure, 2, link, LOOP, 3, 2.0, Progress())
    # Two channels of three receivers get 1,200 packets a second.  The bounds are wide, because other programs on the
    # machine disturb a run of two seconds.
    assert 600 < run.packets < 2400
    assert run.sunk == pytest.approx(run.packets, rel=0.1)
    assert run.dropped == 0
    assert len(run.planes) == 2
    assert min(run.planes) > 0.2 * max(run.planes) > 0
    assert sink.INTERFACE not in configure(*link.prefix, "ip", "link")
    assert "udp" not in configure(*link.prefix, "ip", "rule")


def test_the_report_compares_two_planes_with_one() -> None:
    said = said_of({1: [ONE], 2: [TWO]})
    assert "| 1 | 700,000 | 700,100 | 0.99 | 0.04 | 0.17 | 0.80 | 707,071 | 2,000 |" in said
    assert "| 2 | 1,330,000 | 1,330,000 | 1.79 | 0.04 | 0.17 | 0.00 | 743,017 | 0 |" in said
    assert "**1.90 times** the packets of one (1.90–1.90), with 1.81 times the processor time" in said
    assert "24,000 packets a second if all could leave" in said
    assert "doubted" not in said


def test_the_report_takes_the_median_of_the_rounds() -> None:
    said = said_of({1: [ONE, ONE, ONE], 2: [TWO, evolve(TWO, packets=700_000, sunk=700_000), TWO]})
    assert "**1.90 times** the packets of one (1.00–1.90)" in said


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        (evolve(ONE, planes=[0.7]), TWO, "with 1, time was left"),
        (evolve(ONE, planes=[0.7], idle=0.0), TWO, "one plane had only 0.70 of a core: something else ran"),
        (ONE, evolve(TWO, planes=[0.5, 0.5]), "two planes had only 1.00 cores"),
        (ONE, evolve(TWO, idle=0.3), "with 2, time was left"),
        (ONE, evolve(TWO, sunk=900_000), "with 2 the interface counted other packets"),
    ],
)
def test_the_report_says_why_a_run_proves_nothing(one: PlanesResult, two: PlanesResult, why: str) -> None:
    said = said_of({1: [one], 2: [two]})
    assert "Doubtful" in said
    assert why in said


def test_without_namespaces_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.bench.network.why_not", lambda: "no network namespaces here: not permitted")
    assert main([]) == 1
    assert capsys.readouterr().err == (
        "error: no network namespaces here: not permitted; the bench needs root on Linux, with iproute2\n"
    )
