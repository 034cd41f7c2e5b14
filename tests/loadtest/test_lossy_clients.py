"""Runs whose clients lose media on purpose."""

import json
import subprocess
from pathlib import Path

from tests.gateway_process import ENVIRONMENT, run_gateway
from tests.loadtest.run_tool import TIMEOUT, command, run_tool

#: Share of packets that may have no repair in time on a machine that is busy with other things.
BUSY = "1%"


def test_lost_video_is_repaired_on_both_sides_of_the_gateway(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--planes", "1") as gateway:
        run = run_tool(
            gateway.url,
            *("--members", "3", "--video", "--duration", "4s", "--ramp", "50", "--lose", "5%"),
            *("--max-unrepaired", BUSY, "--max-repair-p99", "1s", "--max-count-difference", "0"),
            *("--max-roster-errors", "0", "--max-silent-streams", "0"),
        )
    assert run.broken == set()
    sent, received = run.report["media"]["video"]["sent"], run.report["media"]["video"]["received"]
    assert sent["requested"] == sent["resent"] > 20
    assert received["repaired"] > 100
    assert received["lost_for_good"] <= received["given_up"]
    counted, figures = run.report["gateway"]["counted_by_us"], run.report["gateway"]["figures"]
    assert 0.04 < counted["lost_in"] / counted["received_rtp"] < 0.07
    assert counted["lost_out"] > 20
    # The gateway counts each packet once, however often it was asked for.
    assert 0.5 * sent["requested"] < figures["after"]["repaired"] - figures["before"]["repaired"] <= sent["requested"]
    assert figures["after"]["resent"] - figures["before"]["resent"] > received["retransmissions"]


def test_lost_audio_of_senders_is_repaired(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--planes", "1") as gateway:
        run = run_tool(gateway.url, "--members", "3", "--duration", "4s", "--ramp", "50", "--lose-up", "5%")
    assert run.broken == set()
    sent, received = run.report["media"]["audio"]["sent"], run.report["media"]["audio"]["received"]
    assert sent["requested"] == sent["resent"] > 10
    assert received["reordered"] > 20
    assert run.report["gateway"]["counted_by_us"]["lost_in"] == 0


def test_audio_that_receivers_lose_comes_inside_later_packets(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--planes", "1") as gateway:
        run = run_tool(gateway.url, "--members", "3", "--duration", "4s", "--ramp", "50", "--lose-down", "5%")
    assert run.broken == set()
    received = run.report["media"]["audio"]["received"]
    # The gateway repeats all audio in the first seconds.
    assert received["redundant"] > 20
    assert received["lost_for_good"] < 0.25 * received["redundant"]


def test_the_report_says_that_a_gateway_answers_no_nack(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with run_gateway(tmp_path / "log", "--planes", "1", module=("tests.loadtest.deaf_gateway",)) as gateway:
        options = ("--members", "3", "--video", "--duration", "5s", "--ramp", "50", "--lose-down", "5%")
        done = subprocess.run(
            command(gateway.url, *options, "--max-unrepaired", BUSY, "--json", str(report)),
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env=ENVIRONMENT,
        )
    assert done.returncode != 0
    assert b"video: the gateway answers no NACK" in done.stdout
    assert b"BROKEN: unrepaired is 100.00 %" in done.stdout
    received = json.loads(report.read_text())["media"]["video"]["received"]
    assert received["requested"] > 50
    assert received["given_up"] > 5
    assert received["repaired"] == received["retransmissions"] == 0
    assert received["key_frame_requests"] > 0
