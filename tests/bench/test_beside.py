"""Short runs of the bench: real servers, real clients, real packets."""

from collections.abc import Iterator

import pytest
import trio

from tools.bench.beside.__main__ import main
from tools.bench.beside.call import RunResult
from tools.bench.beside.contest import Contest, Contestant
from tools.bench.beside.drain import open_drain
from tools.bench.beside.scenarios import AUDIO, VIDEO, CallScenario
from tools.bench.command import Progress
from tools.bench.janus import process as janus
from tools.bench.network import LOOPBACK, ServerLink, open_link
from tools.namespaces import why_not

SMALL = CallScenario("small", "small", (AUDIO, VIDEO), publishers=2, members=4)
ONE_TO_TWO = CallScenario("one-to-two", "one to two", (VIDEO,), publishers=1, members=3)
SECONDS = 0.6


@pytest.fixture(scope="module")
def link() -> Iterator[ServerLink]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with open_link() as made:
        yield made


def check(link: ServerLink, contestant: Contestant, scenario: CallScenario) -> None:
    with open_drain() as drain:
        contest = Contest(link, drain, SECONDS, "", Progress())
        outcome = trio.run(contest.run, [scenario], [contestant], 1)
    assert outcome.failures == []
    [run] = outcome.runs[scenario.name, contestant]
    assert isinstance(run, RunResult)
    assert run.received.packets == run.expected > 0.8 * SECONDS * scenario.rate
    assert run.loss == run.received.unopened == 0
    assert run.received.latency_p50 is not None
    assert 0 < run.received.latency_p50 < 1
    assert len(run.joins) == (scenario.members if scenario.publishers > 1 else scenario.members - 1)
    assert all(0 < join < 10 for join in run.joins)
    assert run.notice is not None
    assert 0 < run.notice < 10
    assert 0 < run.cpu_per_packet < 0.01
    assert run.profiles == {"AEAD_AES_128_GCM"}


@pytest.mark.parametrize("scenario", [SMALL, ONE_TO_TWO], ids=lambda one: one.title)
def test_our_gateway_is_measured(scenario: CallScenario) -> None:
    check(LOOPBACK, "gateway", scenario)


@pytest.mark.parametrize("scenario", [SMALL, ONE_TO_TWO], ids=lambda one: one.title)
def test_janus_is_measured(link: ServerLink, scenario: CallScenario) -> None:
    try:
        janus.find()
    except janus.NoJanus as error:
        pytest.skip(str(error))
    check(link, "janus", scenario)


def test_a_server_that_cannot_start_fails_its_own_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.bench.gateway_members.ARGUMENTS", ("serve", "--no-such-option"))
    with open_drain() as drain:
        contest = Contest(LOOPBACK, drain, SECONDS, "", Progress())
        gateway: Contestant = "gateway"
        outcome = trio.run(contest.run, [ONE_TO_TWO], [gateway], 1)
    [failure] = outcome.failures
    assert failure.startswith("one to two, gateway: the gateway did not begin to listen")
    assert not outcome.runs


def test_without_namespaces_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.bench.network.why_not", lambda: "no network namespaces here: not permitted")
    assert main(["--quick", "--only", "gateway"]) == 2
    assert capsys.readouterr().err == (
        "error: no network namespaces here: not permitted; the bench needs root on Linux, with iproute2\n"
    )
