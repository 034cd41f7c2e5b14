"""Runs against a correct gateway: counts agree to the packet, thresholds are kept, and no list is wrong."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.front_door.made_up_certificates import make_certificate
from tests.gateway_process import GatewayProcess, poll_until, run_gateway
from tests.loadtest.run_tool import children_of, command, end_of, run_tool, started_tool, wait_until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_gateway(Path(tmp_path_factory.mktemp("gateway")) / "log") as gateway:
        yield gateway


def test_gateway_and_tool_count_the_same_packets_on_a_clean_run(gateway: GatewayProcess, tmp_path: Path) -> None:
    before = gateway.metrics()
    page = tmp_path / "report.html"
    run = run_tool(
        gateway.url,
        *("--members", "3", "--audio", "--video", "--duration", "2s", "--processes", "2", "--html", str(page)),
        *("--max-loss", "0.1%", "--max-roster-errors", "0", "--max-silent-streams", "0", "--max-count-difference", "0"),
        *("--max-strange-packets", "0", "--max-latency-p99", "1s", "--max-cpu-per-packet", "10ms"),
    )
    assert run.status == 0, run.report["thresholds"]
    assert run.said == ""
    after = gateway.metrics()
    ours = run.report["gateway"]["counted_by_us"]
    for direction, counted in (("in", ours["sent"]), ("out", ours["received"])):
        name = f'sfu_packets_total{{direction="{direction}"}}'
        assert after[name] - before[name] == counted
    media = run.report["media"]
    for kind in ("audio", "video"):
        sent, received = media[kind]["sent"]["packets"], media[kind]["received"]["packets"]
        # Each packet goes to two others, except for those before they subscribed or before the first key frame.
        assert 0.5 * 2 * sent < received <= 2 * sent
        assert media[kind]["latency"]["count"] > 20
    assert media["video"]["sent"]["key_frames"] >= 3
    assert media["video"]["sent"]["key_frame_requests"] >= 1
    assert page.read_text().count("<svg") >= 8
    gateway.becomes_empty()


def test_a_gateway_with_an_own_authority_is_measured_over_tls(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    with run_gateway(tmp_path / "log", *files.options) as gateway:
        assert gateway.url.startswith("https://")
        options = ("--members", "2", "--duration", "1s", "--max-silent-streams", "0", "--max-roster-errors", "0")
        refused = run_tool(gateway.url, *options, "--metrics", "none")
        assert refused.status == 1
        assert "CERTIFICATE_VERIFY_FAILED" in f"{refused.report}{refused.said}"
        run = run_tool(gateway.url, *options, "--ca", str(files.authority), "--full", "1")
        assert run.status == 0, run.report
        assert run.report["gateway"]["counted_by_us"]["sent"] > 0


def test_all_lists_are_right_while_clients_join_and_leave(gateway: GatewayProcess) -> None:
    run = run_tool(
        gateway.url,
        *("--publishers", "1", "--subscribers", "6", "--video", "--duration", "5s", "--churn", "3/s"),
        *("--processes", "2", "--max-loss", "0.1%", "--max-roster-errors", "0", "--max-silent-streams", "0"),
        *("--max-failures", "0", "--max-leave-p99", "2s", "--max-join-p99", "5s", "--max-first-media-p99", "5s"),
    )
    assert run.status == 0, run.report
    assert run.errors == {}
    assert set(run.report["roster"]["leave_to_notice"]) == {"leave", "close", "kill"}
    assert run.report["clients"]["joins"] >= 7 + 8
    assert run.report["roster"]["notices"] > 50
    assert run.report["gateway"]["difference"]["in"] == 0
    gateway.becomes_empty()


def test_sessions_and_media_go_on_while_clients_change_their_network(gateway: GatewayProcess) -> None:
    run = run_tool(
        gateway.url,
        *("--publishers", "1", "--subscribers", "5", "--audio", "--duration", "5s", "--churn", "8/s"),
        *("--churn-kinds", "move,move,move,leave", "--processes", "2", "--max-roster-errors", "0"),
        *("--max-lost-sessions", "0", "--max-moves-without-media", "0", "--max-move-p99", "2s"),
    )
    assert run.status == 0, run.report
    clients = run.report["clients"]
    assert clients["moves"] >= 20
    assert clients["move_to_media"]["count"] >= 10
    assert clients["leaves"] >= 5
    gateway.becomes_empty()


def test_small_tiles_of_simulcast_cost_a_part_of_large_ones(gateway: GatewayProcess) -> None:
    options = ("--publishers", "2", "--subscribers", "2", "--video", "--bitrate", "1.2M", "--duration", "3s")
    limits = ("--max-loss", "0.1%", "--max-silent-streams", "0", "--max-strange-packets", "0", "--max-failures", "0")
    received = {}
    for layer in ("0", "2"):
        run = run_tool(gateway.url, *options, *limits, "--simulcast", "--layer", layer, "--feedback")
        assert run.status == 0, run.report
        received[layer] = run.report["gateway"]["counted_by_us"]["received_bytes"]
        assert run.report["plan"]["simulcast"]
        gateway.becomes_empty()
    assert received["0"] < received["2"] / 3


def test_a_broken_threshold_makes_the_status_1(gateway: GatewayProcess) -> None:
    run = run_tool(gateway.url, "--members", "2", "--duration", "1s", "--max-latency-p50", "1us")
    assert run.status == 1
    assert run.broken == {"latency_p50"}


def test_full_clients_decode_streams_of_light_clients_and_of_each_other(gateway: GatewayProcess) -> None:
    run = run_tool(
        gateway.url,
        *("--members", "2", "--audio", "--video", "--duration", "5s", "--full", "2"),
        *("--max-full-undecoded", "0", "--max-loss", "0.1%", "--max-roster-errors", "0"),
    )
    assert run.status == 0, run.report
    clients = run.report["full_clients"]
    assert [client["decoded"] for client in clients] == [6, 6]
    for client in clients:
        pictures = [stream for stream in client["streams"] if stream["source"] == "camera"]
        assert {stream["width"] for stream in pictures} == {640, 320}
        assert all(stream["frames"] >= 20 for stream in client["streams"])
    gateway.becomes_empty()


def test_ctrl_c_ends_the_run_in_order_with_a_report(gateway: GatewayProcess) -> None:
    with started_tool(gateway.url, "--members", "3", "--duration", "60s") as process:
        wait_until(lambda: gateway.live()["routes"] == 6)
        workers = children_of(process.pid)
        assert workers
        process.send_signal(signal.SIGINT)
        run = end_of(process)
    assert run.status == 130
    assert run.report["interrupted"]
    assert run.report["clients"]["joins"] == 3
    assert run.figures["loss"] == 0
    assert run.figures["roster_errors"] == 0
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    left = {line.get("reason") for line in gateway.log() if line["event"] == "removed from channel"}
    assert "left" in left
    gateway.becomes_empty()


def test_a_second_ctrl_c_stops_at_once(gateway: GatewayProcess) -> None:
    with started_tool(gateway.url, "--members", "3", "--duration", "60s") as process:
        wait_until(lambda: gateway.live()["routes"] == 6)
        process.send_signal(signal.SIGINT)
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, said) == (b"", b"error: stopped at once, without a report\n")
    gateway.becomes_empty(within=15)


def test_a_dead_worker_breaks_the_run_off_and_its_log_is_shown(gateway: GatewayProcess) -> None:
    with started_tool(gateway.url, "--members", "3", "--duration", "60s") as process:
        wait_until(lambda: gateway.live()["routes"] == 6)
        time.sleep(0.6)  # it has sent a batch
        [worker] = children_of(process.pid)
        os.kill(worker, signal.SIGKILL)
        run = end_of(process)
    assert run.status == 1
    assert run.report["error"].startswith("worker 0 ended with -9")
    assert run.report["clients"]["joins"] == 3
    gateway.becomes_empty()


def test_a_report_file_is_checked_before_the_run(tmp_path: Path) -> None:
    done = subprocess.run(
        command("http://127.0.0.1:9", "--json", str(tmp_path / "nowhere" / "report.json")),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert b"error: --json: " in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--max-loss", "lots"), "--max-loss: 'lots' is not understood"),
        (("--members", "few"), "--members"),
        (("--nonsense",), "--nonsense"),
        (("--pid", "999999999"), "--pid: there is no process 999999999"),
    ],
)
def test_a_wrong_command_gives_one_line_and_status_2(options: tuple[str, ...], said: str) -> None:
    done = subprocess.run(command("http://127.0.0.1:9", *options), capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_a_process_id_replaces_the_metrics_for_cpu_and_memory(gateway: GatewayProcess) -> None:
    run = run_tool(
        gateway.url, "--members", "2", "--duration", "1s", "--metrics", "none", "--pid", str(gateway.process.pid)
    )
    assert run.status == 0
    assert 0 < run.figures["cpu_per_packet"] < 0.01
    assert run.figures["memory_per_member"] is not None
    assert run.figures["count_difference"] is None


def test_missing_metrics_of_the_gateway_are_reported(gateway: GatewayProcess) -> None:
    run = run_tool(
        gateway.url,
        *("--members", "2", "--duration", "1s", "--metrics", f"{gateway.url}/healthz", "--max-cpu-per-packet", "1ms"),
    )
    assert run.status == 1
    assert run.broken == {"cpu_per_packet"}
    assert "no metrics" in run.report["gateway"]["unavailable"]
    poll_until(lambda: gateway.live()["members"], lambda members: members == 0, 5)
