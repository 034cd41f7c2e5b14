"""A gateway whose log has no reader: it serves, it stops when asked, and it writes the lines that find room."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from attrs import define

from tests.gateway_process import ENVIRONMENT, GatewayProcess, poll_until

PATIENCE = 20
PROMPTLY = 10.0
"""Seconds in which a gateway without clients ends, its last log lines included."""
COMMAND = (sys.executable, "-m", "gateway")
SERVE = (*COMMAND, "serve", "--media-port", "0", "--log-format", "json")
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@define
class Stalled:
    """Start a gateway and read its log up to its address, and no further."""

    process: "subprocess.Popen[bytes]"
    reading: int
    url: str

    def connect(self, path: str = "/healthz") -> str:
        with urlopen(self.url + path, timeout=PROMPTLY) as answer:
            return str(answer.read().decode())

    def visit(self) -> socket.socket:
        """Connect as a client. This makes a line of the log, and the end of the client another one."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        client = socket.create_connection((host, int(port)), timeout=PROMPTLY)
        client.sendall(UPGRADE)
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        return client

    def fill(self) -> None:
        """Make more lines than a page holds."""
        for _ in range(30):
            self.visit().close()
        poll_until(lambda: self.connect("/metrics"), lambda shown: "sfu_sessions 0.0" in shown, PROMPTLY)

    def rest_of_log(self) -> list[dict[str, Any]]:
        """Read the rest of the log, up to the end of the process."""
        with os.fdopen(os.dup(self.reading), "rb") as rest:
            return [json.loads(line) for line in rest.read().splitlines()]


def small_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    return reading, writing


@contextmanager
def stalled_gateway(*options: str) -> Iterator[Stalled]:
    reading, writing = small_pipe()
    with subprocess.Popen([*SERVE, "--port", "0", *options], stderr=writing, env=ENVIRONMENT) as process:
        os.close(writing)
        try:
            said = b""
            while b'"listening"' not in said or not said.endswith(b"\n"):
                more = os.read(reading, 4096)
                assert more, said
                said += more
            listening = next(line for line in map(json.loads, said.splitlines()) if line["event"] == "listening")
            yield Stalled(process, reading, listening["url"])
        finally:
            process.kill()
            os.close(reading)


def test_a_gateway_whose_log_has_no_reader_serves_and_stops_normally() -> None:
    with stalled_gateway("--drain-timeout", "0") as gateway:
        gateway.fill()
        assert gateway.connect() == "ok\n"
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(PATIENCE) == 0
        assert time.monotonic() - begun < PROMPTLY


def test_waiting_lines_arrive_when_the_log_is_read_again() -> None:
    with stalled_gateway("--drain-timeout", "0") as gateway:
        gateway.fill()
        gateway.process.send_signal(signal.SIGTERM)
        events = [line["event"] for line in gateway.rest_of_log()]
        assert events.count("client connected") == events.count("client disconnected") == 30
        assert events[-2:] == ["draining", "stopped"]
        assert gateway.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(("second", "status"), [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_a_second_signal_ends_a_gateway_whose_log_has_no_reader(second: signal.Signals, status: int) -> None:
    with stalled_gateway() as gateway:
        gateway.fill()
        stays = gateway.visit()
        gateway.process.send_signal(signal.SIGTERM)
        poll_until(lambda: _is_ready(gateway), lambda ready: not ready, PROMPTLY)
        gateway.process.send_signal(second)
        assert gateway.process.wait(PROMPTLY) == status
        stays.close()


def _is_ready(gateway: Stalled) -> bool:
    try:
        gateway.connect("/readyz")
    except OSError:
        return False
    return True


def test_a_second_signal_is_the_last_line_of_a_log_that_is_read() -> None:
    with stalled_gateway() as gateway, gateway.visit():
        gateway.process.send_signal(signal.SIGTERM)
        poll_until(lambda: _is_ready(gateway), lambda ready: not ready, PROMPTLY)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.rest_of_log()[-1]["event"] == "exiting at once"


def _listening_port(process: "subprocess.Popen[bytes]") -> int | None:
    """Return the port of a gateway that cannot print it."""
    assert process.poll() is None
    files = GatewayProcess(process, Path(os.devnull), "", "").open_files()
    for line in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in files:
            return int(fields[1].rpartition(":")[2], 16)
    return None


def _port_of(process: "subprocess.Popen[bytes]") -> int:
    port = poll_until(lambda: _listening_port(process), lambda port: port is not None, PATIENCE)
    assert port is not None
    return port


def _get(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- >&- 2>&-", "2>/dev/null"])
def test_a_gateway_without_standard_error_serves_and_stops_normally(redirection: str) -> None:
    command = f"exec {' '.join(SERVE)} --drain-timeout 0 --port 0 {redirection}"
    with subprocess.Popen(["/bin/sh", "-c", command], env=ENVIRONMENT) as process:
        try:
            assert _get(_port_of(process), "/healthz") == "ok\n"
            standard = [str(Path(f"/proc/{process.pid}/fd/{fd}").readlink()) for fd in range(3)]
            assert not any("socket" in file or "eventpoll" in file for file in standard), standard
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_lines_that_a_full_disk_refused_are_counted() -> None:
    with (
        Path("/dev/full").open("wb") as full,
        subprocess.Popen([*SERVE, "--port", "0"], stderr=full, env=ENVIRONMENT) as process,
    ):
        try:
            port = _port_of(process)
            lost = re.compile(r"^sfu_log_lines_lost_total ([0-9.]+)$", re.MULTILINE)
            poll_until(lambda: lost.findall(_get(port, "/metrics")), lambda found: float(found[0]) >= 1, PATIENCE)
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [["serve", "--port", "eighty"], ["serve", "--open", "--host", "192.0.2.1"]])
def test_a_gateway_that_cannot_start_ends_even_if_it_cannot_log(arguments: list[str]) -> None:
    ended = subprocess.run([*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith(b"error: ")

    reading, writing = small_pipe()
    os.write(writing, bytes(4096))  # full from the start
    try:
        process = subprocess.Popen([*COMMAND, *arguments], env=ENVIRONMENT, stderr=writing)
        assert process.wait(PATIENCE) == ended.returncode
    finally:
        os.close(reading)
        os.close(writing)


def test_the_traceback_of_a_failed_program_is_written_whole() -> None:
    program = (
        "from gateway.ops.log_writer import non_blocking_stderr; "
        "non_blocking_stderr(); raise RuntimeError('the last word')"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stderr.endswith(b"RuntimeError: the last word\n")
    assert ended.stderr.startswith(b"Traceback ")


def test_output_and_warnings_of_libraries_do_not_block_either() -> None:
    program = (
        "import sys, threading, time, warnings\n"
        "from gateway.ops.log_writer import non_blocking_stderr\n"
        "non_blocking_stderr()\n"
        "begun = time.monotonic()\n"
        "for number in range(1000):\n"
        "    print('printed', number, file=sys.stderr)\n"
        "    warnings.warn_explicit('warned', UserWarning, 'file', number)\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\n"
        "thread.start()\n"
        "thread.join()\n"
        "sys.exit(0 if time.monotonic() - begun < 5 else 3)\n"
    )
    reading, writing = small_pipe()
    try:
        assert subprocess.Popen([sys.executable, "-c", program], env=ENVIRONMENT, stderr=writing).wait(PATIENCE) == 0
    finally:
        os.close(writing)
        os.close(reading)
