"""systemd learns that the gateway is ready, that its loop runs, and that it stops."""

import os
import socket
from pathlib import Path

import pytest

from gateway.ops.supervisor import notify, watchdog_interval
from tests import gateway_process
from tests.gateway_process import run_gateway


def received(supervisor: socket.socket) -> list[str]:
    supervisor.setblocking(False)
    states = []
    try:
        while True:
            states.append(supervisor.recv(1024).decode())
    except BlockingIOError:
        return states


@pytest.mark.parametrize("abstract", [False, True])
def test_a_gateway_tells_that_it_is_ready_lives_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    path = f"@trio-sfu-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path.replace("@", "\0"))
        supervisor.settimeout(20)
        monkeypatch.setitem(gateway_process.ENVIRONMENT, "NOTIFY_SOCKET", path)
        monkeypatch.setitem(gateway_process.ENVIRONMENT, "WATCHDOG_USEC", "200000")
        with run_gateway(tmp_path / "log", "--planes", "1", "--media-host", "127.0.0.1"):
            assert supervisor.recv(1024) == b"READY=1"
            assert [supervisor.recv(1024) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        states = received(supervisor)
    assert states.count("STOPPING=1") == 1
    assert set(states) <= {"STOPPING=1", "WATCHDOG=1"}


@pytest.mark.parametrize("path", ["", "relative", "/nowhere/notify", "@nobody-listens-here"])
def test_a_supervisor_that_is_not_there_does_no_harm(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify("READY=1")


@pytest.mark.parametrize(
    ("time", "process", "seconds"),
    [
        ("30000000", "", 15.0),
        ("30000000", str(os.getpid()), 15.0),
        ("30000000", "1", None),
        ("", "", None),
        ("x", "", None),
    ],
)
def test_the_watchdog_of_another_process_does_not_count(
    monkeypatch: pytest.MonkeyPatch, time: str, process: str, seconds: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", time)
    monkeypatch.setenv("WATCHDOG_PID", process)
    assert watchdog_interval() == seconds
